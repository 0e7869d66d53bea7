import { describe, expect, test } from 'vitest';
import { present } from '../../../src/base/assert.ts';
import { laterWork } from '../../../src/core/replica/later-wave.ts';
import { Replica } from '../../../src/core/replica/replica.ts';
import { undoAndRedo } from '../../../src/core/replica/undo-redo.ts';
import { Waves } from './waves.ts';

/** Two partitions with an item of each of their first three owners. */
function items(): Waves {
  const waves = new Waves(
    'CREATE TABLE items (owner TEXT, item INTEGER, note TEXT, PRIMARY KEY (owner, item)) WITHOUT ROWID PARTITION BY (owner)',
  );
  for (const [index, owners] of waves.keys.entries()) {
    for (const owner of owners.slice(0, 3))
      waves.cluster.run('INSERT INTO items VALUES (?, 1, NULL)', [owner], index + 1);
  }
  return waves;
}

const rowsOf = (waves: Waves, partition: number) =>
  waves.rows(partition, 'SELECT owner, item, note FROM items ORDER BY 1, 2');

const MOVE = 'UPDATE items SET owner = ?, note = ? WHERE owner = ?';

describe('a later wave', () => {
  test('is prepared on top of what is prepared already, survives a start, and is applied with it', () => {
    const waves = items();
    const [[a, , a2] = [], [b, , b2] = []] = waves.keys;
    const before = [rowsOf(waves, 1), rowsOf(waves, 2)];
    const votes = [
      waves.prepare(1, 't', MOVE, [b, 'from a', a]),
      waves.prepare(2, 't', MOVE, [a, 'from b', b]),
    ];
    expect(waves.later('t', votes).map(({ kind }) => kind)).toEqual(['done', 'done']);
    expect([rowsOf(waves, 1), rowsOf(waves, 2)]).toEqual(before);
    // What is in memory only is gone.
    waves.cluster.partitions[0] = present(Replica.open(waves.cluster.replica(1).port), 'a replica');
    expect(waves.cluster.replica(1).locks.size).toBe(1);
    for (const partition of [1, 2]) waves.end(partition, 't', true);
    expect(rowsOf(waves, 1)).toContainEqual([a, 1, 'from b']);
    expect(rowsOf(waves, 2)).toContainEqual([b, 1, 'from a']);
    expect(rowsOf(waves, 1)).toContainEqual([a2, 1, null]);
    expect(rowsOf(waves, 2)).toContainEqual([b2, 1, null]);
    expect(rowsOf(waves, 1).length + rowsOf(waves, 2).length).toBe(before.flat().length);
    const after = rowsOf(waves, 1);
    expect(undoAndRedo(waves.cluster.replica(1), 3)).toBe(3);
    expect(rowsOf(waves, 1)).toEqual(after);
  });

  test('leaves nothing when it is aborted', () => {
    const waves = items();
    const [[a] = []] = waves.keys;
    const before = [rowsOf(waves, 1), rowsOf(waves, 2)];
    const vote = waves.prepare(1, 't', MOVE, [waves.keys[1]?.[0], 'x', a]);
    expect(waves.later('t', [vote])[0]).toMatchObject({
      kind: 'error',
      error: { code: 'constraint', message: 'UNIQUE constraint failed: items.owner, items.item' },
    });
    waves.end(1, 't', false);
    expect([rowsOf(waves, 1), rowsOf(waves, 2)]).toEqual(before);
    expect(waves.cluster.replica(1).locks.isEmpty).toBe(true);
    expect(waves.cluster.replica(2).locks.isEmpty).toBe(true);
  });

  test('waits, or dies, for a key that another transaction holds', () => {
    const waves = items();
    const [[a] = [], [b] = []] = waves.keys;
    const vote = waves.prepare(1, 'mine', MOVE, [b, 'x', a]);
    waves.prepare(2, 'other', 'DELETE FROM items WHERE owner = ?', [b]);
    expect(waves.later('mine', [vote], 0)[0]).toMatchObject({ kind: 'locked' });
    expect(waves.later('mine', [vote], 2)[0]).toMatchObject({
      kind: 'error',
      error: { code: 'conflict', detail: { reason: 'wait-die' } },
    });
    waves.end(2, 'other', true);
    expect(waves.later('mine', [vote], 0)[0]).toMatchObject({ kind: 'done' });
  });

  test('of rows that do not belong there is refused', () => {
    const waves = items();
    const [[a] = [], [b] = []] = waves.keys;
    const { escapes } = waves.prepare(1, 't', MOVE, [b, 'x', a]);
    const changes = present(escapes, 'the row escapes').changes;
    waves.end(1, 't', false);
    const request = waves.request(1, 'u', { changes });
    const outcome = waves.perform(1, (replica) => laterWork(replica, { ...request, changes }));
    expect(outcome).toMatchObject({ kind: 'error', error: { code: 'multi-partition-write' } });
  });

  test('is found only by a transaction: a key that is changed by itself must stay in its partition', () => {
    const waves = items();
    const [[a, a1] = [], [b] = []] = waves.keys;
    const change = (to: string | undefined) =>
      waves.cluster.outcome(
        [{ sql: 'UPDATE items SET owner = ?, item = 7 WHERE owner = ?', args: [to, a] }],
        1,
      );
    expect(change(b)).toMatchObject({ kind: 'error', error: { code: 'multi-partition-write' } });
    expect(change(a1)).toMatchObject({ kind: 'done' });
  });
});
