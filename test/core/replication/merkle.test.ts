import { beforeEach, describe, expect, test } from 'vitest';
import { assert } from '../../../src/base/assert.ts';
import type { CommitId, Timestamp } from '../../../src/base/brand.ts';
import { purgeStep } from '../../../src/core/log/purge.ts';
import type { Replica } from '../../../src/core/replica/replica.ts';
import {
  advance,
  answer,
  compare,
  QUESTION_MAX,
  type TokenRange,
  type Tree,
} from '../../../src/core/replication/merkle.ts';
import { MerkleScan } from '../../../src/core/replication/merkle-scan.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { catchUp, copy, sent } from './copy.ts';
import { Leader } from './leader.ts';

let leader: Leader;

beforeEach(() => {
  leader = new Leader(new NodeSqlitePort(':memory:'));
  leader.change([
    'CREATE TABLE t(id INTEGER PRIMARY KEY, v)',
    'CREATE TABLE u(a COLLATE NOCASE, b, PRIMARY KEY (a, b)) WITHOUT ROWID',
    'CREATE TABLE h(v)',
  ]);
  leader.commit([
    series('INSERT INTO t SELECT x, x * 1.5 FROM s', 20_000),
    series("INSERT INTO u SELECT 'Key ' || x, x % 7 FROM s", 3000),
    series('INSERT INTO h SELECT x FROM s', 3000),
  ]);
});

function series(sql: string, count: number): string {
  const [insert, select] = sql.split(' SELECT ');
  return `${insert} WITH RECURSIVE s(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM s WHERE x < ${count}) SELECT ${select}`;
}

function scan(replica: Replica, at: CommitId, between?: (step: number) => void): Tree | 'gone' {
  const scanning = new MerkleScan(replica, at);
  for (let step = 0; ; step++) {
    const result = scanning.step(between && 20_000);
    if (result !== null) return result;
    between?.(step);
  }
}

function follow(): Replica {
  const follower = copy(leader.replica, new NodeSqlitePort(':memory:'));
  assert(follower !== 'gone', 'a copy');
  return follower.replica;
}

/** What two sides find that talk to each other, and how many questions it took. */
function differences(
  mine: Tree | 'gone',
  theirs: Tree | 'gone',
): { ranges: readonly TokenRange[]; questions: number } {
  assert(mine !== 'gone' && theirs !== 'gone', 'two trees');
  let comparison = compare(mine);
  let questions = 0;
  for (; comparison.question.length > 0; questions++) {
    expect(comparison.question.length).toBeLessThanOrEqual(QUESTION_MAX);
    comparison = advance(mine, sent(comparison), sent(answer(theirs, sent(comparison.question))));
  }
  return { ranges: comparison.differing, questions };
}

describe('equal replicas', () => {
  test('have equal digests, found with one question', () => {
    const follower = follow();
    const at = leader.replica.last.commit;
    expect(differences(scan(leader.replica, at), scan(follower, at))).toEqual({ ranges: [], questions: 1 });
  });

  test('at one commit, though both go on meanwhile and are elsewhere', () => {
    const follower = copy(leader.replica, new NodeSqlitePort(':memory:'));
    assert(follower !== 'gone', 'a copy');
    const at = leader.replica.last.commit;
    const ahead = (step: number) =>
      leader.commit([
        `UPDATE t SET v = v + 1 WHERE id % 97 = ${step}`,
        `UPDATE t SET id = id + 1000000 WHERE id % 101 = ${step}`,
        `UPDATE t SET id = id - 1000000 WHERE id > 1000000 AND id % 3 = 0`,
        `DELETE FROM u WHERE a LIKE '%${step % 10}7'`,
        `UPDATE u SET a = upper(a), b = b + 10 WHERE b = ${step % 7}`,
        `INSERT OR REPLACE INTO u VALUES ('key ${step}', ${step}), ('NEW ${step}', 1)`,
        `DELETE FROM h WHERE rowid % 53 = ${step}`,
        'INSERT INTO h VALUES (1), (2)',
      ]);
    ahead(90);
    let steps = 0;
    const mine = scan(leader.replica, at, (step) => {
      steps = step;
      if (step < 60) ahead(step);
    });
    expect(steps).toBeGreaterThan(60);
    const theirs = scan(follower.replica, at, (step) => {
      if (step === 1) catchUp(leader.replica, follower);
    });
    expect(differences(mine, theirs).ranges).toEqual([]);
  });
});

describe('a difference', () => {
  test('is found where it is', () => {
    const follower = follow();
    // Past the log, as a damaged disk does it.
    follower.port.query('DROP TRIGGER _atoll_log_100_update');
    follower.port.query('UPDATE t SET v = -v WHERE id = 777');
    const at = leader.replica.last.commit;
    const { ranges, questions } = differences(scan(leader.replica, at), scan(follower, at));
    expect(ranges).toHaveLength(1);
    expect(ranges[0]).toMatchObject({ table: 't' });
    expect((ranges[0]?.end ?? 0) - (ranges[0]?.start ?? 0)).toBe(2 ** 22);
    expect(questions).toBe(3);
  });

  test('of rows that have changed places is one', () => {
    const follower = follow();
    follower.port.query('DROP TRIGGER _atoll_log_100_update');
    follower.port.query('UPDATE t SET v = CASE id WHEN 1 THEN 3.0 ELSE 1.5 END WHERE id IN (1, 2)');
    const at = leader.replica.last.commit;
    const { ranges } = differences(scan(leader.replica, at), scan(follower, at));
    expect(ranges.length).toBeGreaterThan(0);
  });

  test('of everything is told as whole tables', () => {
    const other = new Leader(new NodeSqlitePort(':memory:'));
    other.change(['CREATE TABLE t(id INTEGER PRIMARY KEY, v)']);
    const { ranges } = differences(
      scan(leader.replica, leader.replica.last.commit),
      scan(other.replica, other.replica.last.commit),
    );
    expect(ranges.filter(({ table }) => table === 't')).toEqual([{ table: 't', start: 0, end: 2 ** 32 }]);
    expect(new Set(ranges.map(({ table }) => table))).toEqual(new Set(['t', 'u', 'h']));
  });
});

describe('a comparison begins again elsewhere', () => {
  test('when the schema has changed since', () => {
    const at = leader.replica.last.commit;
    const scanning = new MerkleScan(leader.replica, at);
    expect(scanning.step()).toBeNull();
    leader.change(['ALTER TABLE t ADD COLUMN w']);
    expect(scanning.step()).toBe('gone');
    expect(scan(leader.replica, at)).toBe('gone');
  });

  test('when the log does not reach back', () => {
    const at = leader.replica.last.commit;
    leader.commit(['DELETE FROM t WHERE id < 10']);
    leader.commit(['DELETE FROM t WHERE id < 20']);
    const floor = (leader.replica.last.commit + 1) as CommitId;
    purgeStep(leader.port, { olderThan: 'z' as Timestamp, bytesMax: 1e9, floor });
    expect(scan(leader.replica, at)).toBe('gone');
    expect(scan(leader.replica, leader.replica.last.commit)).not.toBe('gone');
  });
});
