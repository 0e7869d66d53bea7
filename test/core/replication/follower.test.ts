import { beforeEach, describe, expect, test } from 'vitest';
import { assert } from '../../../src/base/assert.ts';
import type { CommitId, Term, Timestamp } from '../../../src/base/brand.ts';
import { dump } from '../../../src/core/log/dump.ts';
import { purgeStep } from '../../../src/core/log/purge.ts';
import { undoAndRedo } from '../../../src/core/replica/undo-redo.ts';
import { Follower } from '../../../src/core/replication/follower.ts';
import {
  type AppendBatch,
  decodeBatch,
  encodeBatch,
  readBatch,
} from '../../../src/core/replication/shipping.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { copy } from './copy.ts';
import { Leader, stateOf } from './leader.ts';

let leader: Leader;
let follower: Follower;

beforeEach(() => {
  leader = new Leader(new NodeSqlitePort(':memory:'));
  leader.change(['CREATE TABLE t(id INTEGER PRIMARY KEY, v)']);
  const copied = copy(leader.replica, new NodeSqlitePort(':memory:'));
  assert(copied !== 'gone', 'a copy');
  follower = copied;
});

function insert(from: number, count = 1): void {
  leader.commit([
    `INSERT INTO t WITH RECURSIVE s(x) AS (SELECT ${from} UNION ALL SELECT x + 1 FROM s WHERE x < ${from + count - 1})
     SELECT x, 'value ' || x FROM s`,
  ]);
}

function next(bytesMax?: number): AppendBatch {
  const batch = readBatch(leader.replica, follower.position(), bytesMax);
  assert(typeof batch !== 'string', 'there is more');
  return batch;
}

describe('a batch', () => {
  test('that comes twice, or after a larger one, changes nothing', () => {
    insert(1);
    const first = next();
    insert(2);
    const both = next();
    expect(follower.append(both).kind).toBe('appended');
    const state = stateOf(follower.replica, 2);
    expect(follower.append(first).kind).toBe('stale');
    expect(follower.append(both).kind).toBe('stale');
    expect(stateOf(follower.replica, 2)).toEqual(state);
  });

  test('of which a part is here adds the rest', () => {
    insert(1);
    const start = follower.position();
    follower.append(next());
    insert(2);
    const overlapping = readBatch(leader.replica, start);
    assert(typeof overlapping !== 'string', 'there is more');
    expect(overlapping.entries).toHaveLength(2);
    expect(follower.append(overlapping)).toMatchObject({ kind: 'appended', position: { commitId: 3 } });
    expect(stateOf(follower.replica, 2)).toEqual(stateOf(leader.replica, 2));
  });

  test('behind one that is missing waits for it', () => {
    insert(1);
    insert(2);
    const second = readBatch(leader.replica, { commitId: 2 as CommitId, term: 1 as Term });
    assert(typeof second !== 'string', 'there is more');
    expect(follower.append(second)).toMatchObject({ kind: 'gap', position: { commitId: 1 } });
  });

  test('of another log is refused', () => {
    insert(1);
    const batch = next();
    const { previous } = batch;
    const other = { ...batch, previous: { ...previous, term: 9 as Term } };
    expect(follower.append(other).kind).toBe('diverged');
    follower.append(batch);
    insert(2);
    expect(readBatch(leader.replica, { ...follower.position(), term: 9 as Term })).toBe('snapshot-needed');
    expect(readBatch(leader.replica, { commitId: 99 as CommitId, term: 1 as Term })).toBe('snapshot-needed');
  });

  test('cannot be read any more once the log was purged', () => {
    const { commitId, term } = follower.position();
    insert(1);
    insert(2);
    const floor = 3 as CommitId;
    purgeStep(leader.port, { olderThan: 'z' as Timestamp, bytesMax: 1e9, floor });
    expect(readBatch(leader.replica, { commitId, term })).toBe('snapshot-needed');
    expect(readBatch(leader.replica, { commitId: 2 as CommitId, term })).not.toBe('snapshot-needed');
    expect(readBatch(leader.replica, { commitId: 3 as CommitId, term })).toBe('up-to-date');
  });

  test('whose rows are not as the entry says leaves nothing behind', () => {
    insert(1);
    follower.append(next());
    insert(2);
    leader.commit(['UPDATE t SET v = 5 WHERE id = 1']);
    const { port } = follower.replica;
    port.query('DROP TRIGGER _atoll_log_100_update');
    port.query('UPDATE t SET v = 4');
    const rows = dump(port, follower.replica.schema.catalogue.tables);
    expect(() => follower.append(next())).toThrow();
    expect(dump(port, follower.replica.schema.catalogue.tables)).toEqual(rows);
    expect(follower.position().commitId).toBe(2);
  });

  test('that is damaged is told apart from a batch', () => {
    insert(1);
    const { head, data } = encodeBatch(next());
    expect(() => decodeBatch(head, data.subarray(0, data.length - 1))).toThrow('the bytes end early');
    expect(() => decodeBatch({ ...(head as object), last: -1 }, data)).toThrow('number');
    expect(() => decodeBatch(null, data)).toThrow('head');
  });
});

describe('an entry that is larger than a message', () => {
  test('comes in pieces, which are kept until all are there', () => {
    insert(1, 2000);
    let pieces = 0;
    for (; follower.position().commitId === 1; pieces++) {
      const batch = next(10_000);
      expect(batch.entries).toHaveLength(1);
      expect(batch.entries[0]?.length).toBeLessThan(20_000);
      expect(follower.replica.port.query('SELECT count(*) FROM t').rows).toEqual([[0]]);
      expect(follower.append(batch).kind).toBe('appended');
      expect(follower.append(batch).kind).toBe('stale');
      const again = Follower.open(follower.replica.port);
      assert(again !== null, 'a replica');
      follower = again;
    }
    expect(pieces).toBeGreaterThan(5);
    expect(stateOf(follower.replica, 2)).toEqual(stateOf(leader.replica, 2));
    expect(follower.replica.port.query('SELECT count(*) FROM _atoll_staged').rows).toEqual([[0]]);
  });

  test('is not put together with a hole', () => {
    insert(1, 500);
    const first = next(10_000);
    expect(first.piece?.offset).toBe(0);
    const later = readBatch(leader.replica, { ...follower.position(), offset: 400 }, 10_000);
    assert(typeof later !== 'string', 'there is more');
    expect(follower.append(later)).toMatchObject({ kind: 'gap', position: { commitId: 1, offset: 0 } });
    expect(follower.append(first)).toMatchObject({
      kind: 'appended',
      position: { offset: first.piece?.next },
    });
    expect(follower.append(later).kind).toBe('gap');
    expect(readBatch(leader.replica, { ...follower.position(), offset: 500 })).toBe('snapshot-needed');
  });

  test('may as well come whole after some of its pieces', () => {
    insert(1, 500);
    follower.append(next(10_000));
    const { commitId, term } = follower.position();
    const whole = readBatch(leader.replica, { commitId, term });
    assert(typeof whole !== 'string', 'there is more');
    expect(follower.append(whole)).toMatchObject({ kind: 'appended', position: { commitId: 2, offset: 0 } });
    expect(stateOf(follower.replica, 2)).toEqual(stateOf(leader.replica, 2));
  });

  test('goes on in the middle when its leader has undone it and done it again', () => {
    insert(1, 500);
    // As a witness leaves holes that are gone afterwards.
    const { port } = leader.replica;
    port.query('UPDATE _atoll_log SET seq = seq + 10000');
    port.query('UPDATE _atoll_log SET seq = 2 * (seq - 10000)');
    port.query('UPDATE _atoll_commits SET first_seq = 2 * first_seq, last_seq = 2 * last_seq');
    port.query('UPDATE _atoll_head SET last_seq = 2 * last_seq');
    leader.replica.reload();
    follower.append(next(10_000));
    expect(undoAndRedo(leader.replica, 1)).toBe(1);
    while (follower.position().commitId === 1) expect(follower.append(next(10_000)).kind).toBe('appended');
    expect(stateOf(follower.replica, 2)).toEqual(stateOf(leader.replica, 2));
  });

  test('is sent anew when its pieces do not make it', () => {
    insert(1, 500);
    follower.append(next(10_000));
    follower.replica.port.query('UPDATE _atoll_staged SET next_offset = next_offset + 1');
    let batch = next(10_000);
    for (; batch.piece?.next !== null; batch = next(10_000)) follower.append(batch);
    expect(follower.append(batch)).toMatchObject({ kind: 'gap', position: { commitId: 1, offset: 0 } });
    while (follower.position().commitId === 1) follower.append(next(10_000));
    expect(stateOf(follower.replica, 2)).toEqual(stateOf(leader.replica, 2));
  });

  test('from a leader of another term replaces the pieces of the former', () => {
    insert(1, 500);
    const first = next(10_000);
    follower.append(first);
    follower.replica.port.query('UPDATE _atoll_staged SET term = 7');
    expect(follower.append(first)).toMatchObject({
      kind: 'appended',
      position: { offset: first.piece?.next },
    });
  });
});

test('reads see what was applied, and the schema that belongs to it', () => {
  insert(1);
  leader.change(['ALTER TABLE t ADD COLUMN w DEFAULT 3']);
  while (follower.position().commitId < leader.replica.last.commit) follower.append(next());
  const [outcome] = follower.replica.execute(
    [
      {
        statements: [{ sql: 'SELECT * FROM t', args: [] }],
        epoch: 1,
        schema: 2,
        system: 0,
        read: true,
        shape: 'query',
      } as never,
    ],
    1_800_000_000_000,
  );
  expect(outcome).toMatchObject({ kind: 'done' });
  expect((outcome as { body: string }).body).toContain('[[1,"value 1",3]]');
});
