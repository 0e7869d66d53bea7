import { describe, expect, test } from 'vitest';
import { present } from '../../../src/base/assert.ts';
import type { Epoch, PartitionId, Term, Timestamp } from '../../../src/base/brand.ts';
import { DEFAULT_SKEW_LIMIT_MS } from '../../../src/core/clock/hybrid-clock.ts';
import { momentOf } from '../../../src/core/clock/moment.ts';
import { applyFeed, readFeed } from '../../../src/core/replica/feed.ts';
import { endWork, prepareWork } from '../../../src/core/replica/participant.ts';
import { Replica } from '../../../src/core/replica/replica.ts';
import { decodeSession } from '../../../src/protocol/session.ts';
import { LocalCluster } from '../../harness/local-cluster.ts';
import { ask, everything, rowsAt } from './asking-past.ts';

const SCHEMA = [
  'CREATE TABLE owner (owner TEXT PRIMARY KEY, name TEXT COLLATE NOCASE, UNIQUE (name, owner)) PARTITION BY (owner)',
  `CREATE TABLE note (owner TEXT, nr INTEGER, body, PRIMARY KEY (owner, nr), UNIQUE (owner, body),
     FOREIGN KEY (owner) REFERENCES owner ON UPDATE CASCADE ON DELETE CASCADE) PARTITION BY (owner)`,
  'CREATE TABLE trail (owner TEXT, nr INTEGER, what, PRIMARY KEY (owner, nr)) WITHOUT ROWID PARTITION BY (owner)',
  'CREATE TRIGGER gone AFTER DELETE ON note BEGIN REPLACE INTO trail VALUES (OLD.owner, OLD.nr, OLD.body); END',
  'CREATE VIEW counted AS SELECT o.owner, count(n.nr) AS notes FROM owner o LEFT JOIN note n USING (owner) GROUP BY 1',
] as const;

const READS = [
  'SELECT * FROM owner ORDER BY 1',
  'SELECT * FROM note ORDER BY 1, 2',
  'SELECT * FROM trail ORDER BY 1, 2',
  'SELECT * FROM counted ORDER BY 1',
  'SELECT (SELECT count(*) FROM trail), o.name FROM owner o WHERE o.owner IN (SELECT owner FROM note) ORDER BY 2',
  'WITH note AS (SELECT 1 AS x) SELECT x, (SELECT count(*) FROM owner) FROM note',
] as const;

/** There is one partition, whatever the key. */
const WRITES = [
  "INSERT INTO owner VALUES ('a', 'Ann'), ('b', 'Bob')",
  "INSERT INTO note VALUES ('a', 1, 'x'), ('a', 2, 'y'), ('b', 1, 1.5)",
  "UPDATE note SET nr = nr + 10, body = x'00ff' WHERE owner = 'a' AND nr = 1",
  "DELETE FROM note WHERE owner = 'b'",
  "UPDATE owner SET name = 'Bea' WHERE owner = 'b'",
  "REPLACE INTO owner VALUES ('b', 'Bob')",
  "INSERT INTO note VALUES ('b', 9007199254740993, 'big')",
  "DELETE FROM owner WHERE owner = 'a'",
  "INSERT INTO owner VALUES ('a', 'bea')",
  'DELETE FROM trail WHERE true',
] as const;

describe('a read of the past', () => {
  const cluster = new LocalCluster(1);
  cluster.schema(...SCHEMA);
  const replica = cluster.replica(1);
  const remembered = new Map<Timestamp, string[]>();
  const remember = (): void => {
    remembered.set(
      replica.last.time,
      READS.map((sql) => cluster.run(sql).rowsText),
    );
  };
  remember();
  for (const sql of WRITES) {
    cluster.run(sql);
    remember();
  }

  test('finds what was there then, and leaves nothing', () => {
    const before = everything(replica.port);
    expect(remembered.size).toBe(WRITES.length + 1);
    for (const [asOf, then] of remembered) {
      for (const [index, sql] of READS.entries()) {
        expect(JSON.stringify(rowsAt(cluster, sql, asOf)), `${sql} as of ${asOf}`).toBe(
          JSON.stringify(JSON.parse(then[index] as string)),
        );
      }
    }
    expect(everything(replica.port)).toBe(before);
    const after = READS.map((sql) => cluster.run(sql).rowsText);
    expect(after).toEqual([...remembered.values()].at(-1));
  });

  test('leaves nothing when the statement fails either', () => {
    const before = everything(replica.port);
    const [, first] = [...remembered.keys()];
    expect(() =>
      rowsAt(cluster, 'SELECT abs(-9223372036854775807 - 1) FROM owner', first as Timestamp),
    ).toThrow('integer overflow');
    expect(everything(replica.port)).toBe(before);
    cluster.run("INSERT INTO owner VALUES ('c', 'Cy')");
    cluster.run("DELETE FROM owner WHERE owner = 'c'");
  });

  test('in a group sees nothing of the writes before it that are later, which stay', () => {
    const asOf = replica.last.time;
    const sql = "SELECT count(*) FROM owner WHERE owner = 'g'";
    const request = (read: boolean, text: string, more = {}) => ({
      epoch: 1 as Epoch,
      schema: replica.schema.version,
      system: 0,
      shape: 'query' as const,
      read,
      statements: [{ sql: text }],
      ...more,
    });
    const outcomes = replica.execute(
      [
        request(false, "INSERT INTO owner VALUES ('g', 'Gus')"),
        request(true, sql, { asOf }),
        request(true, sql),
        request(false, "DELETE FROM owner WHERE owner = 'g'"),
      ],
      ++cluster.now,
    );
    const counts = outcomes.map(
      (outcome) => outcome.kind === 'done' && JSON.parse(outcome.body).rows[0]?.[0],
    );
    expect(counts).toEqual([undefined, 0, 1, undefined]);
  });

  test('of a batch is of one moment, and its token is of the replica', () => {
    const asOf = [...remembered.keys()][2] as Timestamp;
    const outcome = ask(cluster, ['SELECT count(*) FROM owner', 'SELECT count(*) FROM note'], { asOf });
    const answer = JSON.parse((outcome as { body: string }).body);
    expect(answer.results.map(({ rows }: { rows: unknown[][] }) => rows)).toEqual([[[2]], [[3]]]);
    expect(answer.asOf).toBe(asOf);
    expect(decodeSession(answer.session).time).toBe(replica.last.time);
  });

  test.each([true, false])('is no write, whatever the request says of itself: %s', (read) => {
    const before = everything(replica.port);
    const sql = "INSERT INTO owner VALUES ('z', 'z')";
    expect(ask(cluster, sql, { asOf: replica.last.time, read })).toMatchObject({
      kind: 'error',
      error: { code: 'bad-request', outcome: 'none', message: /asOf is for reads/ },
    });
    expect(everything(replica.port)).toBe(before);
  });
});

describe('a leader that has answered as of a moment', () => {
  const NEXT = 'INSERT INTO t VALUES (?, 1)';

  function clusterOf(): LocalCluster {
    const cluster = new LocalCluster(1);
    cluster.schema('CREATE TABLE t (k TEXT PRIMARY KEY, v)');
    cluster.run(NEXT, ['first']);
    return cluster;
  }

  test('commits nothing at it or before, even when it was ahead of the clock', () => {
    const cluster = clusterOf();
    const asOf = momentOf(cluster.now + DEFAULT_SKEW_LIMIT_MS) as Timestamp;
    expect(rowsAt(cluster, 'SELECT k FROM t', asOf)).toEqual([['first']]);
    cluster.run(NEXT, ['next']);
    expect(rowsAt(cluster, 'SELECT k FROM t', asOf)).toEqual([['first']]);
  });

  test('nor does whoever leads next', () => {
    const cluster = clusterOf();
    const asOf = momentOf(cluster.now + DEFAULT_SKEW_LIMIT_MS) as Timestamp;
    expect(rowsAt(cluster, 'SELECT k FROM t', asOf)).toEqual([['first']]);
    const successor = present(Replica.open(cluster.replica(1).port), 'a replica');
    cluster.partitions[0] = successor;
    cluster.run(NEXT, ['next']);
    expect(rowsAt(cluster, 'SELECT k FROM t', asOf, successor)).toEqual([['first']]);
  });

  test('has written an entry if its log had not passed it, and none otherwise', () => {
    const cluster = clusterOf();
    const { last, port } = cluster.replica(1);
    const newest = () =>
      port.query('SELECT commit_id, kind FROM _atoll_commits ORDER BY commit_id DESC LIMIT 1').rows;
    rowsAt(cluster, 'SELECT k FROM t', last.time);
    expect(newest()).toEqual([[last.commit, 'write']]);
    const asOf = momentOf(cluster.now) as Timestamp;
    for (let i = 0; i < 2; i++) {
      rowsAt(cluster, 'SELECT k FROM t', asOf);
      expect(newest()).toEqual([[last.commit + 1, 'noop']]);
    }
  });
});

describe('transactions over several partitions', () => {
  /** One that writes 9 to `a` is prepared, after a moment that is given too. */
  function prepared(): { cluster: LocalCluster; replica: Replica; before: Timestamp; at: Timestamp } {
    const cluster = new LocalCluster(1);
    cluster.schema('CREATE TABLE t (k TEXT PRIMARY KEY, v)');
    const replica = cluster.replica(1);
    cluster.run("INSERT INTO t VALUES ('a', 1), ('b', 1)");
    const before = replica.last.time;
    cluster.now++;
    const statements = [{ sql: "UPDATE t SET v = 9 WHERE k = 'a'" }];
    const work = prepareWork(replica, {
      transaction: 'x',
      startedMs: 0,
      anchor: 2 as PartitionId,
      term: 1 as Term,
      time: before,
      schema: replica.schema.version,
      system: 0,
      part: { partition: 1 as PartitionId, epoch: 1 as Epoch, read: false, statements },
    });
    const [outcome] = replica.perform([work], cluster.now);
    const { preparedAt } = JSON.parse((outcome as { body: string }).body) as { preparedAt: Timestamp };
    return { cluster, replica, before, at: preparedAt };
  }

  const end = ({ cluster, replica }: ReturnType<typeof prepared>, commitTimestamp: Timestamp | null) =>
    replica.perform([endWork(replica, { transaction: 'x', commitTimestamp })], ++cluster.now);

  test('that are prepared and may be of the moment or before make it wait until they are decided', () => {
    const all = prepared();
    const { cluster, replica, before, at } = all;
    const rows = (asOf: Timestamp) => rowsAt(cluster, 'SELECT v FROM t ORDER BY k', asOf).flat();
    const later = momentOf(cluster.now + 10) as Timestamp;
    expect(rows(before)).toEqual([1, 1]);
    for (const moment of [at, later]) {
      const { commit } = replica.last;
      expect(ask(cluster, 'SELECT v FROM t', { asOf: moment })).toMatchObject({
        kind: 'locked',
        holders: [{ transaction: 'x', anchor: 2 }],
      });
      expect(replica.last.commit).toBe(commit);
    }
    // What is prepared from now on is after the moment that waits.
    expect(replica.clock.now(cluster.now) > later).toBe(true);
    end(all, null);
    expect(rows(later)).toEqual([1, 1]);
  });

  test('count from their commit timestamp, among entries of that time that count from their own', () => {
    const all = prepared();
    const { cluster, replica, before, at } = all;
    const decided = replica.clock.now(cluster.now);
    // Others go on meanwhile, with other rows.
    cluster.run("UPDATE t SET v = 2 WHERE k = 'b'");
    const between = replica.last.time;
    cluster.run("UPDATE t SET v = 3 WHERE k = 'b'");
    end(all, decided);
    expect(replica.last.time > decided).toBe(true);
    cluster.run("UPDATE t SET v = 10 WHERE k = 'a'");
    const rows = (asOf: Timestamp) => rowsAt(cluster, 'SELECT v FROM t ORDER BY k', asOf).flat();
    expect(rows(before)).toEqual([1, 1]);
    expect(rows(at)).toEqual([1, 1]);
    expect(rows(decided)).toEqual([9, 1]);
    expect(rows(between)).toEqual([9, 2]);
    expect(rows(replica.last.time)).toEqual([10, 3]);
  });
});

describe('reference tables', () => {
  test('count from when they were written, in every partition, whenever it has followed', () => {
    const cluster = new LocalCluster(2);
    cluster.schema('CREATE TABLE ref (k TEXT PRIMARY KEY, v) REFERENCE');
    cluster.run("INSERT INTO ref VALUES ('a', 1)", undefined, 0);
    cluster.now += 10;
    const before = cluster.system.replica.clock.now(cluster.now);
    cluster.group([{ statements: [{ sql: 'UPDATE ref SET v = 2' }] }], 0);
    const written = cluster.system.replica.last.time;
    const [first, second] = cluster.partitions as [Replica, Replica];
    const follow = (replica: Replica) =>
      applyFeed(replica, readFeed(cluster.system.replica, replica.systemIndex), cluster.now);
    follow(first);
    cluster.now += 10;
    const system = cluster.system.replica.feedIndex;
    expect(ask(cluster, 'SELECT v FROM ref', { asOf: written, system }, second)).toEqual({ kind: 'behind' });
    follow(second);
    for (const replica of [cluster.system.replica, first, second]) {
      expect(rowsAt(cluster, 'SELECT v FROM ref', before, replica)).toEqual([[1]]);
      expect(rowsAt(cluster, 'SELECT v FROM ref', written, replica)).toEqual([[2]]);
    }
  });

  test('count from when they came where the clock is too far behind', () => {
    const cluster = new LocalCluster(1);
    cluster.schema('CREATE TABLE ref (k TEXT PRIMARY KEY, v) REFERENCE');
    cluster.now += 10_000;
    cluster.group([{ statements: [{ sql: "INSERT INTO ref VALUES ('a', 1)" }] }], 0);
    const written = cluster.system.replica.last.time;
    const replica = cluster.replica(1);
    const slow = cluster.now - 5_000;
    applyFeed(replica, readFeed(cluster.system.replica, replica.systemIndex), slow);
    expect(replica.last.time < written).toBe(true);
    expect(rowsAt(cluster, 'SELECT v FROM ref', replica.last.time)).toEqual([[1]]);
  });
});

test("Atoll's own tables have a past too", () => {
  const cluster = new LocalCluster(1);
  const system = cluster.system.replica;
  cluster.schema('CREATE TABLE t (k TEXT PRIMARY KEY)');
  const before = system.last.time;
  cluster.now++;
  system.port.query("INSERT INTO atoll_hosts VALUES ('h1', 'agent', 'read')");
  system.append('write', null, cluster.now);
  const sql = "SELECT count(*) FROM atoll_hosts WHERE host = 'h1'";
  expect(rowsAt(cluster, sql, before, system)).toEqual([[0]]);
  expect(rowsAt(cluster, sql, system.last.time, system)).toEqual([[1]]);
});
