import { describe, expect, test } from 'vitest';
import type { Epoch, PartitionId } from '../../../src/base/brand.ts';
import { applyFeed, readFeed } from '../../../src/core/replica/feed.ts';
import {
  aboveGivenIds,
  emptyPartitionFrom,
  RECOVERY_GAP,
  rangeAfterLoss,
  rangeOfLost,
  recoverPartition,
  recoverSystem,
} from '../../../src/core/replica/recovery.ts';
import {
  assembleFeed,
  catchUpPartition,
  catchUpSystem,
  feedRunOf,
} from '../../../src/core/replica/recovery-feed.ts';
import { Replica } from '../../../src/core/replica/replica.ts';
import { System } from '../../../src/core/replica/system.ts';
import type { Follower } from '../../../src/core/replication/follower.ts';
import { decodeBatch, encodeBatch, readBatch } from '../../../src/core/replication/shipping.ts';
import { openSnapshot, readSnapshotPage } from '../../../src/core/replication/snapshot-source.ts';
import { SnapshotTarget } from '../../../src/core/replication/snapshot-target.ts';
import type { SqlitePort } from '../../../src/core/sqlite/port.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { LocalCluster } from '../../harness/local-cluster.ts';

const memory = (): SqlitePort => new NodeSqlitePort(':memory:', { synchronous: 'OFF' });

/** A copy as an agent makes it: a snapshot at first, the log afterwards. */
class Copy {
  readonly port = memory();
  #follower: Follower | null = null;
  readonly #leader: Replica;

  constructor(leader: Replica) {
    this.#leader = leader;
    this.follow();
  }

  follow(): this {
    if (this.#follower === null) {
      const head = openSnapshot(this.#leader);
      const target = SnapshotTarget.begin(this.port, head);
      while (target.cursor !== null) {
        const page = readSnapshotPage(this.#leader, head.base.commitId, target.cursor);
        if (page === 'gone') throw new Error('gone');
        target.accept(page);
      }
      this.#follower = target.finish();
    }
    for (;;) {
      const batch = readBatch(this.#leader, this.#follower.position());
      if (batch === 'up-to-date') return this;
      if (batch === 'snapshot-needed') throw new Error(batch);
      const { head, data } = encodeBatch(batch);
      this.#follower.append(decodeBatch(head, data));
    }
  }

  /** As the tool opens it. */
  replica(): Replica {
    const replica = Replica.open(this.port);
    if (replica === null) throw new Error('no replica');
    return replica;
  }
}

const NOW = 5_000_000;
const rows = (replica: Replica, sql: string): unknown => replica.port.query(sql).rows;

function cluster(): LocalCluster {
  const made = new LocalCluster(2);
  made.schema('CREATE TABLE c (code TEXT PRIMARY KEY, name TEXT) REFERENCE');
  made.schema('CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT, v TEXT) PARTITION BY (k)');
  return made;
}

function countries(made: LocalCluster, ...codes: string[]): void {
  for (const code of codes) {
    const outcome = made.outcome([{ sql: `INSERT INTO c VALUES ('${code}', 'n')` }], 0);
    expect(outcome.kind).toBe('done');
  }
}

describe('recovery', () => {
  test('a partition that is behind takes the feed from the copy of the system partition', () => {
    const made = cluster();
    const behind = new Copy(made.replica(1));
    const system = new Copy(made.replica(0));
    countries(made, 'DE', 'FR');
    made.schema('ALTER TABLE t ADD COLUMN w TEXT');
    countries(made, 'JP');
    system.follow();
    const replica = behind.replica();
    const upTo = system.replica().feedIndex;
    const feed = assembleFeed([feedRunOf(system.replica())], replica.systemIndex, upTo);
    if (!('entries' in feed)) throw new Error('missing');
    catchUpPartition(replica, feed.entries, NOW);
    expect(rows(replica, 'SELECT code FROM c ORDER BY code')).toEqual([['DE'], ['FR'], ['JP']]);
    expect(replica.schema.version).toBe(3);
    expect(rows(replica, 'SELECT w FROM t')).toEqual([]);
  });

  test('a system partition that is behind takes it from the log of a partition that is ahead', () => {
    const made = cluster();
    countries(made, 'DE');
    const system = new Copy(made.replica(0));
    const ahead = new Copy(made.replica(1));
    const other = new Copy(made.replica(2));
    countries(made, 'FR');
    made.schema('ALTER TABLE t ADD COLUMN w TEXT');
    made.schema('CREATE INDEX by_name ON c (name)');
    countries(made, 'JP');
    ahead.follow();
    const replica = ahead.replica();
    const opened = System.open(system.replica());
    const before = opened.replica.feedIndex;
    const feed = assembleFeed([feedRunOf(opened.replica), feedRunOf(replica)], before, replica.systemIndex);
    if (!('entries' in feed)) throw new Error('missing');
    catchUpSystem(opened, feed.entries, NOW);
    catchUpPartition(other.replica(), feed.entries, NOW);
    for (const each of [opened.replica, replica, other.replica()]) {
      expect(rows(each, 'SELECT code FROM c ORDER BY code')).toEqual([['DE'], ['FR'], ['JP']]);
      expect(each.schema.version).toBe(4);
    }
    expect(rows(opened.replica, `SELECT state, version FROM atoll_migrations ORDER BY proposal`)).toEqual([
      ['published', 1],
      ['published', 2],
      ['published', 3],
      ['published', 4],
    ]);
  });

  test('the feed goes on where all have met, whatever numbers its entries had', () => {
    const made = cluster();
    const system = new Copy(made.replica(0));
    const ahead = new Copy(made.replica(1));
    // What nobody follows takes numbers, too.
    const token = { role: 'read', databases: [], createdAt: '', expiresAt: null, revokedAt: null };
    for (let i = 0; i < 50; i++) made.system.recordToken({ id: `t${i}`, ...token } as never, made.now + i);
    countries(made, 'FR');
    const replica = ahead.follow().replica();
    const opened = System.open(system.replica());
    const from = opened.replica.feedIndex;
    const feed = assembleFeed([feedRunOf(replica)], from, replica.systemIndex);
    if (!('entries' in feed)) throw new Error('missing');
    catchUpSystem(opened, feed.entries, NOW);
    const recovery = { history: 'n', host: 'h', feedIndex: opened.replica.feedIndex };
    recoverPartition(replica, recovery, NOW);
    recoverSystem(opened, recovery, [], NOW);
    const { schema, identity } = opened.replica;
    const request = {
      epoch: identity.epoch,
      schema: schema.version,
      system: 0,
      shape: 'query',
      read: false,
      statements: [{ sql: `INSERT INTO c VALUES ('IT', 'n')` }],
    } as const;
    expect(opened.replica.execute([request], NOW)[0]?.kind).toBe('done');
    applyFeed(replica, readFeed(opened.replica, replica.systemIndex), NOW);
    expect(rows(replica, 'SELECT code FROM c ORDER BY code')).toEqual([['FR'], ['IT']]);
  });

  test('what no copy has is named', () => {
    const made = cluster();
    const behind = new Copy(made.replica(1));
    countries(made, 'DE', 'FR');
    const system = new Copy(made.replica(0));
    countries(made, 'JP');
    system.follow();
    const from = behind.replica().systemIndex;
    const upTo = system.replica().feedIndex;
    const feed = assembleFeed([feedRunOf(system.replica()), feedRunOf(behind.replica())], from, upTo);
    expect(feed).toEqual({ missingAfter: from });
  });

  test('recovered copies are of another history, led by another host, and write on', () => {
    const made = cluster();
    const partitions = made.partitions.map((each) => new Copy(each).replica());
    const system = System.open(new Copy(made.replica(0)).replica());
    const recovery = { history: 'new', host: 'h'.repeat(16), feedIndex: system.replica.feedIndex };
    const recovered = partitions.map((replica) => ({
      partition: replica.identity.partition,
      identifiers: recoverPartition(replica, recovery, NOW),
    }));
    recoverSystem(system, recovery, recovered, NOW);
    const { network } = { network: system.network() };
    expect(network.history).toBe('new');
    expect(network.hosts).toEqual([{ host: recovery.host, kind: 'agent', status: 'write' }]);
    expect(network.partitions.map(({ host }) => host)).toEqual([recovery.host, recovery.host]);
    for (const replica of [system.replica, ...partitions]) {
      const opened = Replica.open(replica.port);
      expect(opened?.identity.history).toBe('new');
    }
    const proposal = system.propose(['CREATE TABLE more (id INTEGER PRIMARY KEY)'], NOW);
    expect(proposal?.change.version).toBe(3);
  });

  test('ids go on above those that the former leader may have issued', () => {
    const made = cluster();
    const copy = new Copy(made.replica(1));
    const insert = (replica: Replica): number => {
      const { identity, schema, systemIndex } = replica;
      const [outcome] = replica.execute(
        [
          {
            epoch: identity.epoch,
            schema: schema.version,
            system: systemIndex,
            shape: 'query',
            read: false,
            statements: [{ sql: `INSERT INTO t (k, v) VALUES ('a', 'b')` }],
          },
        ],
        NOW,
      );
      if (outcome?.kind !== 'done') throw new Error(JSON.stringify(outcome));
      return Number(JSON.parse(outcome.body).lastInsertRowid);
    };
    const former = Array.from({ length: 500 }, () => insert(made.replica(1)));
    const replica = copy.replica();
    recoverPartition(replica, { history: 'n', host: 'h', feedIndex: replica.systemIndex }, NOW);
    const first = insert(replica);
    expect(first).toBeGreaterThan(Math.max(...former));
    expect(first).toBeGreaterThanOrEqual(RECOVERY_GAP);
  });

  test('ids go on above those that clients have given, which other copies have', () => {
    const made = new LocalCluster(2);
    made.schema('CREATE TABLE posts (id INTEGER PRIMARY KEY, tenant TEXT) PARTITION BY (tenant)');
    const [owner, other] = made.partitions as [Replica, Replica];
    for (const replica of made.partitions)
      applyFeed(replica, readFeed(made.system.replica, replica.systemIndex), NOW);
    const { start, end } = owner.identity.identifiers;
    const far = start + RECOVERY_GAP * 7;
    other.port.transaction(() => {
      other.port.query(`INSERT INTO posts VALUES (-1, 'a'), (${far}, 'a'), (${end}, 'a')`);
      other.append('write', null, NOW);
    });
    expect(aboveGivenIds(owner, { start, end })).toBe(0);
    const given = aboveGivenIds(other, { start, end });
    expect(given).toBe(far + 1);
    const recovery = { history: 'n', host: 'h', feedIndex: owner.systemIndex };
    expect(recoverPartition(owner, recovery, NOW, given).start).toBeGreaterThan(far);
    expect(rangeOfLost({ start: 1, end: 101 }, 90)).toEqual({ start: 90, end: 101 });
  });

  test('a gap is at most half of what is left', () => {
    expect(rangeAfterLoss({ start: 1, end: 101 }, 51)).toEqual({ start: 76, end: 101 });
    expect(rangeAfterLoss({ start: 1, end: 101 }, 0, 10)).toEqual({ start: 11, end: 101 });
    expect(rangeAfterLoss({ start: 1, end: 101 }, 101)).toEqual({ start: 101, end: 101 });
    expect(rangeOfLost({ start: 1, end: 101 })).toEqual({ start: 51, end: 101 });
  });

  test('a partition without a copy begins empty, with the schema and the reference tables', () => {
    const made = cluster();
    countries(made, 'DE');
    const copy = new Copy(made.replica(0));
    const identifiers = { start: 7, end: 1_000 };
    const ranges = [{ start: 0, end: 2 ** 32 }];
    const lost = { partition: 2 as PartitionId, epoch: 1 as Epoch, ranges, identifiers };
    emptyPartitionFrom(copy.replica(), lost, copy.replica().feedIndex);
    const replica = copy.replica();
    expect(replica.isSystem).toBe(false);
    expect(replica.schema.version).toBe(2);
    expect(rows(replica, 'SELECT code FROM c')).toEqual([['DE']]);
    expect(
      rows(
        replica,
        `SELECT name FROM sqlite_schema WHERE name LIKE 'atoll%' OR name LIKE '_atoll_settings%'`,
      ),
    ).toEqual([]);
    // It follows and is followed as any other.
    countries(made, 'FR');
    const feed = assembleFeed([feedRunOf(made.replica(0))], replica.systemIndex, made.replica(0).feedIndex);
    if (!('entries' in feed)) throw new Error('missing');
    catchUpPartition(replica, feed.entries, NOW + 1);
    const learner = new Copy(replica).replica();
    expect(rows(learner, 'SELECT code FROM c ORDER BY code')).toEqual([['DE'], ['FR']]);
  });
});
