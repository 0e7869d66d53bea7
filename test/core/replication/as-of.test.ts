import { describe, expect, test } from 'vitest';
import { present } from '../../../src/base/assert.ts';
import type { CommitId, Epoch, Timestamp } from '../../../src/base/brand.ts';
import { momentOf } from '../../../src/core/clock/moment.ts';
import { purgeStep } from '../../../src/core/log/purge.ts';
import type { ExecuteOutcome } from '../../../src/core/replica/outcome.ts';
import type { Replica } from '../../../src/core/replica/replica.ts';
import type { Follower } from '../../../src/core/replication/follower.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { LocalCluster } from '../../harness/local-cluster.ts';
import { catchUp, copy } from './copy.ts';

const SELECT = 'SELECT k, v FROM t ORDER BY k';

function setUp(): { cluster: LocalCluster; leader: Replica; follower: Follower } {
  const cluster = new LocalCluster(1);
  cluster.schema('CREATE TABLE t (k TEXT PRIMARY KEY, v)');
  const leader = cluster.replica(1);
  const follower = copy(leader, new NodeSqlitePort(':memory:', { synchronous: 'OFF' }));
  if (follower === 'gone') throw new Error('gone');
  return { cluster, leader, follower };
}

function ask(cluster: LocalCluster, replica: Replica, asOf: Timestamp): ExecuteOutcome {
  const request = {
    epoch: 1 as Epoch,
    schema: replica.schema.version,
    system: 0,
    shape: 'query' as const,
    read: true,
    statements: [{ sql: SELECT }],
    asOf,
  };
  return present(replica.execute([request], cluster.now)[0], 'an outcome');
}

function rows(outcome: ExecuteOutcome): unknown {
  if (outcome.kind !== 'done') throw new Error(JSON.stringify(outcome));
  return JSON.parse(outcome.body).rows;
}

describe('a follower reads the past', () => {
  test('as its leader does, of any moment that it has passed; else it is behind', () => {
    const { cluster, leader, follower } = setUp();
    const moments: Timestamp[] = [];
    for (let i = 0; i < 6; i++) {
      cluster.run('INSERT INTO t VALUES (?, ?)', [`k${i}`, i]);
      cluster.run('UPDATE t SET v = v + 10 WHERE k <> ?', [`k${i}`]);
      moments.push(leader.last.time);
      if (i === 2) catchUp(leader, follower);
    }
    const [, , reached, beyond] = moments as [Timestamp, Timestamp, Timestamp, Timestamp];
    expect(ask(cluster, follower.replica, beyond)).toEqual({ kind: 'behind' });
    const { last } = follower.replica;
    for (const moment of moments.slice(0, 3)) {
      expect(rows(ask(cluster, follower.replica, moment))).toEqual(rows(ask(cluster, leader, moment)));
    }
    expect(rows(ask(cluster, follower.replica, reached))).toHaveLength(3);
    expect(follower.replica.last).toEqual(last);
    catchUp(leader, follower);
    for (const moment of moments) {
      expect(rows(ask(cluster, follower.replica, moment))).toEqual(rows(ask(cluster, leader, moment)));
    }
  });

  test('of now only when the leader has said that nothing of then can come any more', () => {
    const { cluster, leader, follower } = setUp();
    cluster.run("INSERT INTO t VALUES ('a', 1)");
    catchUp(leader, follower);
    const now = momentOf(cluster.now) as Timestamp;
    expect(ask(cluster, follower.replica, now)).toEqual({ kind: 'behind' });
    // Whatever follows nobody else writes into its log.
    expect(follower.position()).toMatchObject({ commitId: leader.last.commit });
    expect(rows(ask(cluster, leader, now))).toEqual([['a', 1]]);
    catchUp(leader, follower);
    expect(rows(ask(cluster, follower.replica, now))).toEqual([['a', 1]]);
    expect(ask(cluster, follower.replica, momentOf(cluster.now + 1e6) as Timestamp)).toEqual({
      kind: 'behind',
    });
  });

  test('not while a transaction that may be of then is not decided', () => {
    const { cluster, leader, follower } = setUp();
    cluster.run("INSERT INTO t VALUES ('a', 1)");
    const before = leader.last.time;
    cluster.now++;
    leader.port.transaction(() => {
      const at = leader.clock.now(cluster.now);
      leader.port.query('INSERT INTO _atoll_prepared (transaction_id, prepared_at) VALUES (?, ?)', 'x', at);
      leader.append('prepare', null, cluster.now);
    });
    const after = leader.last.time;
    catchUp(leader, follower);
    expect(rows(ask(cluster, follower.replica, before))).toEqual([['a', 1]]);
    expect(ask(cluster, follower.replica, after)).toEqual({ kind: 'behind' });
  });

  test('as far as its own log reaches; another may have more', () => {
    const { cluster, leader, follower } = setUp();
    cluster.run("INSERT INTO t VALUES ('a', 1)");
    const { time } = leader.last;
    cluster.run("INSERT INTO t VALUES ('b', 1)");
    cluster.run("INSERT INTO t VALUES ('c', 1)");
    catchUp(leader, follower);
    const floor = leader.last.commit as CommitId;
    purgeStep(follower.replica.port, { olderThan: '~' as Timestamp, bytesMax: 2 ** 28, floor });
    expect(ask(cluster, follower.replica, time)).toEqual({ kind: 'behind' });
    expect(rows(ask(cluster, leader, time))).toEqual([['a', 1]]);
  });
});
