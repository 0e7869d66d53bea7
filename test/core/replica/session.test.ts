import { describe, expect, test } from 'vitest';
import type { CommitId, Epoch, PartitionId, Timestamp } from '../../../src/base/brand.ts';
import type { ExecuteOutcome } from '../../../src/core/replica/outcome.ts';
import type { ExecuteRequest } from '../../../src/protocol/execute.ts';
import {
  decodeSession,
  encodeSession,
  newSession,
  type SessionToken,
} from '../../../src/protocol/session.ts';
import { LocalCluster } from '../../harness/local-cluster.ts';

function clusterOf(): LocalCluster {
  const cluster = new LocalCluster(2);
  cluster.schema('CREATE TABLE t (k TEXT PRIMARY KEY, v)', 'CREATE TABLE ref (k TEXT PRIMARY KEY) REFERENCE');
  return cluster;
}

function ask(
  cluster: LocalCluster,
  sql: string | readonly string[],
  more: Partial<ExecuteRequest> = {},
  partition = 1,
): ExecuteOutcome {
  const replica = cluster.replica(partition);
  const statements = [sql].flat().map((each) => ({ sql: each }));
  const request: ExecuteRequest = {
    epoch: 1 as Epoch,
    schema: replica.schema.version,
    system: 0,
    shape: typeof sql === 'string' ? 'query' : 'batch',
    read: statements.every((each) => each.sql.startsWith('SELECT')),
    statements,
    ...more,
  };
  const [outcome] = replica.execute([request], ++cluster.now);
  if (partition === 0) cluster.deliver();
  return outcome as ExecuteOutcome;
}

function sessionIn(outcome: ExecuteOutcome): SessionToken {
  if (outcome.kind !== 'done') throw new Error(JSON.stringify(outcome));
  return decodeSession((JSON.parse(outcome.body) as { session: string }).session);
}

const SELECT = 'SELECT count(*) FROM t';

describe('the session of a reply', () => {
  test('names the commit that the reply saw: its own after a write, the last one for a read', () => {
    const cluster = clusterOf();
    const replica = cluster.replica(1);
    const before = replica.last.commit;
    const written = sessionIn(ask(cluster, "INSERT INTO t VALUES ('a', 1)"));
    expect(written.seen).toEqual(new Map([[1, before + 1]]));
    expect(written).toMatchObject({ history: 'h', system: replica.systemIndex, time: replica.last.time });
    expect(sessionIn(ask(cluster, SELECT))).toEqual(written);
    expect(sessionIn(ask(cluster, ["INSERT INTO t VALUES ('b', 1)", SELECT])).seen).toEqual(
      new Map([[1, before + 2]]),
    );
  });

  test('does not name what was undone', () => {
    const cluster = clusterOf();
    const before = sessionIn(ask(cluster, SELECT));
    expect(ask(cluster, ["INSERT INTO t VALUES ('a', 1)", "INSERT INTO t VALUES ('a', 2)"]).kind).toBe(
      'error',
    );
    expect(sessionIn(ask(cluster, SELECT))).toEqual(before);
  });

  test('in a group names all commits of the group, which become durable together', () => {
    const cluster = clusterOf();
    const before = cluster.replica(1).last.commit;
    const outcomes = cluster.group([
      { statements: [{ sql: "INSERT INTO t VALUES ('a', 1)" }] },
      { statements: [{ sql: "INSERT INTO t VALUES ('a', 2)" }] },
      { statements: [{ sql: "INSERT INTO t VALUES ('b', 2)" }] },
    ]);
    expect(outcomes.map(({ kind }) => kind)).toEqual(['done', 'error', 'done']);
    expect(sessionIn(outcomes[0] as ExecuteOutcome).seen.get(1 as PartitionId)).toBe(before + 2);
    expect(sessionIn(outcomes[2] as ExecuteOutcome).seen.get(1 as PartitionId)).toBe(before + 2);
  });

  test('goes on from the one that came with the request', () => {
    const cluster = clusterOf();
    const time = 'ffffffffffffffff-p9' as Timestamp;
    const seen = new Map([[9 as PartitionId, 5 as CommitId]]);
    const session = encodeSession({ ...newSession('h'), seen, system: 99, time });
    const { commit } = cluster.replica(1).last;
    expect(sessionIn(ask(cluster, SELECT, { session }))).toEqual({
      history: 'h',
      seen: new Map([
        [1, commit],
        [9, 5],
      ]),
      system: 99,
      time,
    });
  });

  test('tells how far reference tables were seen, at the system partition and at their copies', () => {
    const cluster = clusterOf();
    const written = sessionIn(ask(cluster, "INSERT INTO ref VALUES ('x')", {}, 0));
    expect(written.system).toBe(cluster.system.replica.feedIndex);
    expect(written.seen.get(0 as PartitionId)).toBe(written.system);
    expect(sessionIn(ask(cluster, SELECT)).system).toBe(written.system);
  });

  test('of another history is refused', () => {
    const cluster = clusterOf();
    const session = encodeSession(newSession('another'));
    const before = sessionIn(ask(cluster, SELECT));
    for (const sql of [SELECT, "INSERT INTO t VALUES ('a', 1)"]) {
      expect(ask(cluster, sql, { session })).toMatchObject({
        kind: 'error',
        error: { code: 'history-gone' },
      });
    }
    expect(cluster.run(SELECT).rows).toEqual([[0]]);
    expect(sessionIn(ask(cluster, SELECT))).toEqual(before);
  });
});

describe('what a session demands', () => {
  test('a follower answers from the commit or the time on, and is behind before', () => {
    const cluster = clusterOf();
    ask(cluster, "INSERT INTO t VALUES ('a', 1)");
    const follower = cluster.replica(1);
    follower.follows = true;
    const { commit, time } = follower.last;
    expect(ask(cluster, SELECT, { atLeast: commit }).kind).toBe('done');
    expect(ask(cluster, SELECT, { atLeast: (commit + 1) as CommitId })).toEqual({ kind: 'behind' });
    expect(ask(cluster, SELECT, { atLeastTime: time }).kind).toBe('done');
    expect(ask(cluster, SELECT, { atLeastTime: `${time}0` as Timestamp })).toEqual({ kind: 'behind' });
  });

  test('a follower that does not know the epoch yet is behind; a leader says what it knows', () => {
    const cluster = clusterOf();
    const epoch = 2 as Epoch;
    expect(ask(cluster, SELECT, { epoch }).kind).toBe('stale');
    cluster.replica(1).follows = true;
    expect(ask(cluster, SELECT, { epoch })).toEqual({ kind: 'behind' });
  });

  test('a follower of the system partition is behind until it has the reference rows that were seen elsewhere', () => {
    const cluster = clusterOf();
    ask(cluster, "INSERT INTO ref VALUES ('x')", {}, 0);
    const system = cluster.system.replica.feedIndex;
    cluster.system.replica.follows = true;
    const sql = 'SELECT count(*) FROM ref';
    expect(ask(cluster, sql, { system }, 0).kind).toBe('done');
    expect(ask(cluster, sql, { system: system + 1 }, 0)).toEqual({ kind: 'behind' });
  });

  test('a follower sees what others have applied to its file', () => {
    const cluster = clusterOf();
    const follower = cluster.replica(1);
    follower.follows = true;
    const { commit } = follower.last;
    follower.port.query('UPDATE _atoll_head SET last_commit_id = last_commit_id + 5');
    expect(follower.last.commit).toBe(commit + 5);
    expect(ask(cluster, SELECT, { atLeast: (commit + 5) as CommitId }).kind).toBe('done');
  });

  test.each([1, 0])(
    'a leader has passed any time, and refuses a commit that it does not have: %i',
    (partition) => {
      const cluster = clusterOf();
      const { commit } = cluster.replica(partition).last;
      const sql = partition === 0 ? 'SELECT count(*) FROM ref' : SELECT;
      const future = 'ffffffffffffffff-p9' as Timestamp;
      expect(ask(cluster, sql, { atLeastTime: future, atLeast: commit }, partition).kind).toBe('done');
      expect(ask(cluster, sql, { atLeast: (commit + 1) as CommitId }, partition)).toMatchObject({
        kind: 'error',
        error: {
          code: 'history-gone',
          outcome: 'none',
          message: expect.stringContaining('begin a new session'),
        },
      });
    },
  );
});
