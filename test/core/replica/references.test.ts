import { describe, expect, test } from 'vitest';
import { undoAndRedo } from '../../../src/core/replica/undo-redo.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { catchUp, copy } from '../replication/copy.ts';
import { Waves } from './waves.ts';

/** Families by their owner, children by theirs; an owner of each partition. */
function families(): { waves: Waves; here: string; there: string } {
  const waves = new Waves('CREATE TABLE family (owner TEXT PRIMARY KEY)');
  waves.cluster.schema(
    'CREATE TABLE child (id TEXT PRIMARY KEY, family TEXT REFERENCES family ON DELETE CASCADE) PARTITION BY (id)',
  );
  const [[here = ''] = [], [there = ''] = []] = waves.keys;
  waves.cluster.run('INSERT INTO family VALUES (?)', [here]);
  return { waves, here, there };
}

const CHILD = 'INSERT INTO child VALUES (?, ?)';
const ENTRIES = 'SELECT v0, r0, r1 FROM _atoll_reference_102';

describe('references over partitions', () => {
  test('are entries where the parent is, undone and done again with their commits, and in copies', () => {
    const { waves, here, there } = families();
    const copies = [1, 2].map((partition) =>
      copy(waves.cluster.replica(partition), new NodeSqlitePort(':memory:', { synchronous: 'OFF' })),
    );
    expect(waves.transact(2, 't1', CHILD, [there, here])).toMatchObject([{ kind: 'done' }]);
    expect(waves.transact(1, 't2', CHILD, [here, null])).toEqual([]);
    const entries = waves.rows(1, ENTRIES);
    expect(entries).toMatchObject([[here, expect.any(Number), there]]);
    expect(waves.rows(2, ENTRIES)).toEqual([]);
    for (const partition of [1, 2]) undoAndRedo(waves.cluster.replica(partition), 3);
    expect(waves.rows(1, ENTRIES)).toEqual(entries);
    for (const [index, follower] of copies.entries()) {
      if (follower === 'gone') throw new Error('gone');
      catchUp(waves.cluster.replica(index + 1), follower);
      expect(follower.replica.port.query(ENTRIES).rows).toEqual(waves.rows(index + 1, ENTRIES));
    }
  });

  test('lock out who takes the parent away, and the other way round', () => {
    const { waves, here, there } = families();
    const child = waves.prepare(2, 'child', CHILD, [there, here], 5);
    expect(waves.later('child', [child], 5)).toMatchObject([{ kind: 'done' }]);
    const remove = 'DELETE FROM family WHERE owner = ?';
    expect(() => waves.prepare(1, 'young', remove, [here], 9)).toThrow(
      expect.objectContaining({ code: 'conflict' }),
    );
    expect(() => waves.prepare(1, 'old', remove, [here], 1)).toThrow('locked');
    for (const partition of [1, 2]) waves.end(partition, 'child', false);
    waves.prepare(1, 'old', remove, [here], 1);
    expect(waves.later('child', [waves.prepare(2, 'child', CHILD, [there, here], 5)], 5)).toMatchObject([
      { kind: 'error', error: { code: 'conflict' } },
    ]);
  });

  test('say in each vote whether they hold so far, and what is to be done elsewhere', () => {
    const { waves, here, there } = families();
    const [orphan] = waves.later('orphan', [waves.prepare(2, 'orphan', CHILD, [there, waves.keys[0]?.[1]])]);
    expect(JSON.parse(orphan?.kind === 'done' ? orphan.body : '{}')).toMatchObject({
      vote: 'yes',
      violated: true,
    });
    for (const partition of [1, 2]) waves.end(partition, 'orphan', false);
    waves.transact(2, 't1', CHILD, [there, here]);
    const first = waves.prepare(1, 'delete', 'DELETE FROM family WHERE owner = ?', [here]);
    expect(first.violated).toBe(true);
    const [second] = waves
      .later('delete', [first])
      .map((each) => JSON.parse(each.kind === 'done' ? each.body : '{}'));
    expect(second.violated).toBeUndefined();
    const [third] = waves
      .later('delete', [second])
      .map((each) => JSON.parse(each.kind === 'done' ? each.body : '{}'));
    expect([third.violated, third.escapes]).toEqual([undefined, undefined]);
    for (const partition of [1, 2]) waves.end(partition, 'delete', true);
    expect([waves.rows(1, ENTRIES), waves.rows(2, 'SELECT * FROM child')]).toEqual([[], []]);
  });

  test('are changed by transactions only', () => {
    const { waves, here, there } = families();
    waves.transact(2, 't1', CHILD, [there, here]);
    const refused = expect.objectContaining({ code: 'multi-partition-write' });
    expect(() => waves.cluster.run(CHILD, ['x', here], 1)).toThrow();
    expect(() => waves.cluster.run('DELETE FROM family WHERE owner = ?', [here], 1)).toThrow(refused);
    expect(() => waves.cluster.run('DELETE FROM child WHERE id = ?', [there], 2)).toThrow(refused);
    expect(waves.cluster.run('INSERT INTO family VALUES (?)', [waves.keys[0]?.[1]], 1).rowsAffected).toBe(1);
  });
});
