import { beforeEach, describe, expect, test } from 'vitest';
import type { CommitId, Epoch, PartitionId } from '../../../src/base/brand.ts';
import { createLog } from '../../../src/core/log/capture.ts';
import { RETENTION_MS } from '../../../src/core/log/purge.ts';
import { readHead } from '../../../src/core/log/tables.ts';
import {
  createInternalTable,
  internalTable,
  TRANSACTION_TABLES,
} from '../../../src/core/replica/bookkeeping.ts';
import {
  addFollower,
  awaitingPurge,
  followersFloor,
  markLost,
  noteFollower,
  readFollowers,
  removeFollower,
} from '../../../src/core/replica/followers.ts';
import { FORMAT_VERSION } from '../../../src/core/replica/format.ts';
import { Replica } from '../../../src/core/replica/replica.ts';
import { forgetOldEntries } from '../../../src/core/replica/retention.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';

const NOW = 1_700_000_000_000;
const LATER = NOW + 2 * RETENTION_MS;
let port: NodeSqlitePort;
let replica: Replica;

beforeEach(() => {
  port = new NodeSqlitePort(':memory:');
  replica = Replica.create(port, {
    database: 'main',
    partition: 1 as PartitionId,
    history: 'a history',
    node: 'p1',
    epoch: 1 as Epoch,
    ranges: [],
    identifiers: { start: 1, end: 100 },
  });
  const table = internalTable(99, 't', [['k', 'INTEGER', 1]]);
  createInternalTable(port, table);
  createLog(port, table);
  for (let i = 1; i <= 10; i++)
    port.transaction(() => {
      port.query('INSERT INTO t VALUES (?)', i);
      if (i > 5) port.query('DELETE FROM t WHERE k = ?', i - 5);
      replica.append('write', null, NOW);
    });
});

function note(host: string, matched: number, seenMs = LATER): void {
  noteFollower(port, { host, matched: matched as CommitId, seenMs, state: 'following' });
}

test('a file of the first format gets the tables that replication needs', () => {
  for (const { name, id } of TRANSACTION_TABLES) {
    port.query(`DROP TABLE ${name}`);
    port.query('DELETE FROM _atoll_layouts WHERE table_id = ?', id);
  }
  port.query(
    'DROP TABLE _atoll_followers; DROP TABLE _atoll_staged; UPDATE _atoll_format SET format_version = 1',
  );
  const upgraded = Replica.open(port);
  expect(upgraded?.last.commit).toBe(10);
  expect(readFollowers(port)).toEqual([]);
  expect(port.query('SELECT format_version FROM _atoll_format').rows).toEqual([[FORMAT_VERSION]]);
  expect(port.query('SELECT * FROM _atoll_staged').rows).toEqual([]);
});

describe('old entries', () => {
  test('go when every responsible host has them, and no sooner', () => {
    note('a', 7);
    note('b', 4);
    expect(followersFloor(port)).toBe(5);
    forgetOldEntries(replica, LATER, null, 10);
    expect(readHead(port).firstCommitId).toBe(5);
    expect(port.query('SELECT min(commit_id) FROM _atoll_log').rows).toEqual([[5]]);
    note('b', 9, LATER + 5000);
    forgetOldEntries(replica, LATER + 5000, null, 10);
    expect(readHead(port).firstCommitId).toBe(8);
  });

  test('wait for what partitions need as well', () => {
    note('a', 7);
    forgetOldEntries(replica, LATER, 3, 10);
    expect(readHead(port).firstCommitId).toBe(4);
  });

  test('all go where nobody follows', () => {
    forgetOldEntries(replica, LATER, null, 10);
    expect(readHead(port).firstCommitId).toBe(11);
  });

  test('do not wait for a host that is not responsible any more', () => {
    note('a', 2);
    removeFollower(port, 'a');
    forgetOldEntries(replica, LATER, null, 10);
    expect(readHead(port).firstCommitId).toBe(11);
  });
});

describe('a host that is away too long', () => {
  test('is marked for a full resynchronisation, and nothing waits for it', () => {
    note('away', 2, LATER - RETENTION_MS - 1);
    note('late', 3, LATER - RETENTION_MS);
    forgetOldEntries(replica, LATER, null, 10);
    expect(readFollowers(port).map(({ host, state }) => [host, state])).toEqual([
      ['away', 'resync'],
      ['late', 'following'],
    ]);
    expect(readHead(port).firstCommitId).toBe(4);
  });

  test('is waited for again once it has what a snapshot gives it', () => {
    note('a', 2, NOW);
    expect(markLost(port, LATER)).toEqual(['a']);
    noteFollower(port, { host: 'a', matched: 6 as CommitId, seenMs: LATER, state: 'snapshot' });
    expect(followersFloor(port)).toBe(7);
  });

  test('is one that lacks more than the log may take', () => {
    note('behind', 2);
    note('close', 9);
    expect(markLost(port, LATER, { milliseconds: RETENTION_MS, bytes: 100 })).toEqual(['behind']);
  });
});

describe('the list of responsible hosts', () => {
  test('shows what awaits purge, and because of whom', () => {
    note('a', 7);
    note('b', 4);
    note('c', 10);
    addFollower(port, 'new', LATER);
    const { floor, entries, images, because, resync } = awaitingPurge(port);
    expect({ floor, entries, images }).toEqual({ floor: 5, entries: 6, images: 11 });
    expect(because.map(({ host, lacks }) => [host, lacks])).toEqual([
      ['b', 6],
      ['a', 3],
    ]);
    expect(resync.map(({ host }) => host)).toEqual(['new']);
  });

  test('is not written at every answer, but whenever it must be', () => {
    note('a', 2);
    note('a', 3, LATER + 10);
    expect(readFollowers(port)[0]?.matched).toBe(2);
    note('a', 4, LATER + 2000);
    expect(readFollowers(port)[0]?.matched).toBe(4);
    noteFollower(port, { host: 'a', matched: 1 as CommitId, seenMs: LATER + 2001, state: 'following' });
    expect(readFollowers(port)[0]?.matched).toBe(1);
    addFollower(port, 'a', LATER);
    expect(readFollowers(port)[0]?.state).toBe('following');
  });
});
