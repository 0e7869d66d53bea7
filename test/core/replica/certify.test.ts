import { beforeEach, describe, expect, test } from 'vitest';
import type { CommitId, Epoch } from '../../../src/base/brand.ts';
import { certify } from '../../../src/core/replica/certify.ts';
import { checkSchemaChange } from '../../../src/core/replica/feed.ts';
import type { CertifyRequest } from '../../../src/protocol/certify.ts';
import { LocalCluster } from '../../harness/local-cluster.ts';

let cluster: LocalCluster;

beforeEach(() => {
  cluster = new LocalCluster(2);
  cluster.schema(
    'CREATE TABLE post (k TEXT PRIMARY KEY, v)',
    'CREATE TABLE tag (k TEXT PRIMARY KEY)',
    'CREATE TABLE code (k TEXT PRIMARY KEY) REFERENCE',
  );
});

/** The question to a partition about what it is now. */
function question(partition: number, tables: readonly string[] = ['post']): CertifyRequest {
  const replica = cluster.replica(partition);
  const since = (partition === 0 ? replica.feedIndex : replica.last.commit) as CommitId;
  return { epoch: 1 as Epoch, schema: replica.schema.version, since, tables };
}

const certified = (partition: number, request: CertifyRequest) =>
  certify(cluster.replica(partition), request).certified;

/** A transaction that is prepared in partition 1. */
function prepare(locks: readonly { table: number | null; token: number | null; exclusive: boolean }[]): void {
  const replica = cluster.replica(1);
  replica.port.transaction(() => {
    const sql = `INSERT INTO _atoll_prepared (transaction_id, locks) VALUES ('t', ?)`;
    replica.port.query(sql, JSON.stringify(locks));
    replica.append('prepare', null, ++cluster.now);
  });
  replica.reload();
}

describe('a partition certifies', () => {
  test('what nothing has changed since, however many times it is asked', () => {
    const asked = question(1, ['post', 'code']);
    expect([certified(1, asked), certified(1, asked)]).toEqual([true, true]);
  });

  test('what a write to another table leaves as it is, and not what a write changes', () => {
    const asked = question(1);
    cluster.run("INSERT INTO tag VALUES ('a')");
    expect(certified(1, asked)).toBe(true);
    cluster.run("UPDATE post SET v = 1 WHERE k = 'nowhere'");
    expect(certified(1, asked)).toBe(true);
    cluster.run("INSERT INTO post VALUES ('a', 1)");
    expect(certified(1, asked)).toBe(false);
    expect(certified(1, question(1))).toBe(true);
  });

  test('by names as SQLite compares them, and tells who names a table that is not there', () => {
    const asked = question(1, ['POST']);
    cluster.run("INSERT INTO post VALUES ('a', 1)");
    expect(certified(1, asked)).toBe(false);
    expect(() => certified(1, question(1, ['nowhere']))).toThrow(
      expect.objectContaining({ code: 'bad-request', outcome: 'none' }),
    );
  });

  test('nothing of another epoch, and nothing of another schema', () => {
    const asked = question(1);
    expect(certified(1, { ...asked, epoch: 2 as Epoch })).toBe(false);
    cluster.schema('CREATE TABLE later (k TEXT PRIMARY KEY)');
    expect(certified(1, asked)).toBe(false);
    // Its table is the same, but the entry of the schema is a barrier.
    expect(certified(1, { ...asked, schema: cluster.replica(1).schema.version })).toBe(false);
  });

  test('while a schema change holds writes: a hold changes nothing', () => {
    const asked = question(1);
    const proposal = cluster.system.propose(['CREATE TABLE later (k TEXT PRIMARY KEY)'], ++cluster.now);
    if (proposal === null) throw new Error('nothing is proposed');
    checkSchemaChange(cluster.replica(1), proposal.proposal, proposal.change, cluster.now);
    expect(cluster.replica(1).hold).not.toBeNull();
    expect(certified(1, asked)).toBe(true);
  });
});

describe('a prepared transaction', () => {
  const post = 100;
  const tag = 101;

  test.each([
    ['an exclusive lock on the table', [{ table: post, token: null, exclusive: true }], false],
    ['one on a row of the table', [{ table: post, token: 7, exclusive: true }], false],
    ['one on everything', [{ table: null, token: null, exclusive: true }], false],
    ['one on a token of all tables', [{ table: null, token: 7, exclusive: true }], false],
    ['a shared lock', [{ table: null, token: null, exclusive: false }], true],
    ['an exclusive lock on another table', [{ table: tag, token: null, exclusive: true }], true],
    ['no lock', [], true],
    [
      'shared locks, and an exclusive one among them',
      [
        { table: post, token: 1, exclusive: false },
        { table: post, token: 2, exclusive: true },
      ],
      false,
    ],
  ])('with %s', (_, locks, expected) => {
    const { tables } = cluster.replica(1).schema.catalogue;
    expect(tables.slice(0, 2).map(({ name, id }) => [name, id])).toEqual([
      ['post', post],
      ['tag', tag],
    ]);
    const asked = question(1);
    prepare(locks);
    expect(certified(1, asked)).toBe(expected);
    // It is held still, although it was there before.
    expect(certified(1, question(1))).toBe(expected);
    cluster.replica(1).port.query('DELETE FROM _atoll_prepared');
    cluster.replica(1).append('abort', null, ++cluster.now);
    cluster.replica(1).reload();
    expect(certified(1, asked)).toBe(true);
  });
});

describe('a reference table', () => {
  const insert = (k: string) =>
    cluster.group([{ statements: [{ sql: `INSERT INTO code VALUES ('${k}')` }] }], 0);

  test('has changed for the system partition as soon as it is written, for a copy when it comes', () => {
    const [system, copy] = [question(0, ['code']), question(1, ['code'])];
    insert('a');
    expect([certified(0, system), certified(1, copy)]).toEqual([false, true]);
    cluster.deliver();
    expect(certified(1, copy)).toBe(false);
    expect([certified(0, question(0, ['code'])), certified(1, question(1, ['code']))]).toEqual([true, true]);
  });

  test('is told with how far the partition is, so that one that is behind can be made to follow', () => {
    insert('a');
    const { feedIndex } = cluster.system.replica;
    expect(certify(cluster.replica(0), question(0, ['code'])).system).toBe(feedIndex);
    expect(certify(cluster.replica(1), question(1, ['code'])).system).toBeLessThan(feedIndex);
    cluster.deliver();
    expect(certify(cluster.replica(1), question(1, ['code'])).system).toBe(feedIndex);
  });
});

test('a follower, which cannot know what came after, certifies nothing', () => {
  const asked = question(1);
  cluster.replica(1).follows = true;
  expect(() => certified(1, asked)).toThrow('a follower certifies nothing');
});
