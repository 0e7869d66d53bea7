import { describe, expect, test } from 'vitest';
import { present } from '../../../src/base/assert.ts';
import type { Epoch, PartitionId, Term, Timestamp } from '../../../src/base/brand.ts';
import type { Work } from '../../../src/core/replica/group.ts';
import { laterWork } from '../../../src/core/replica/later-wave.ts';
import type { ExecuteOutcome } from '../../../src/core/replica/outcome.ts';
import { endWork, prepareWork } from '../../../src/core/replica/participant.ts';
import { Replica } from '../../../src/core/replica/replica.ts';
import { undoAndRedo } from '../../../src/core/replica/undo-redo.ts';
import { errandsOf } from '../../../src/core/transaction/owners.ts';
import type { WireStatement } from '../../../src/protocol/execute.ts';
import type { PrepareRequest, RingRange, Vote } from '../../../src/protocol/transaction.ts';
import { LocalCluster } from '../../harness/local-cluster.ts';

type Yes = Vote & { vote: 'yes' };

/** A cluster whose transactions are driven by hand, with itself as their anchor. */
class Waves {
  readonly cluster = new LocalCluster(2);
  readonly ring: RingRange[] = this.cluster.partitions
    .flatMap(({ identity }) =>
      identity.ranges.map(({ start }): RingRange => [start, identity.partition, identity.epoch]),
    )
    .sort(([a], [b]) => a - b);
  /** Keys of each partition. */
  readonly keys: readonly (readonly string[])[];

  constructor() {
    this.cluster.schema(
      'CREATE TABLE items (owner TEXT, item INTEGER, note TEXT, PRIMARY KEY (owner, item)) WITHOUT ROWID PARTITION BY (owner)',
    );
    const keys: [string[], string[]] = [[], []];
    for (let i = 0; keys.some((list) => list.length < 3); i++) {
      const owner = `owner ${i}`;
      for (const [index, list] of keys.entries()) {
        const outcome = this.cluster.outcome(
          [{ sql: 'INSERT INTO items SELECT ?, 1, NULL', args: [owner] }],
          index + 1,
        );
        if (outcome.kind === 'done') list.push(owner);
      }
    }
    this.keys = keys;
  }

  perform(partition: number, work: (replica: Replica) => Work): ExecuteOutcome {
    const replica = this.cluster.replica(partition);
    return present(replica.perform([work(replica)], ++this.cluster.now)[0], 'one piece of work');
  }

  request(
    partition: number,
    transaction: string,
    more: { statements?: WireStatement[]; changes?: string; startedMs?: number },
  ): PrepareRequest {
    const { statements = [], changes, startedMs = 1 } = more;
    return {
      transaction,
      startedMs,
      anchor: 9 as PartitionId,
      term: 1 as Term,
      time: '0000000000000000-x' as Timestamp,
      schema: this.cluster.replica(partition).schema.version,
      system: 0,
      part: { partition: partition as PartitionId, epoch: 1 as Epoch, read: false, statements },
      ...(changes !== undefined && { changes }),
    };
  }

  prepare(partition: number, transaction: string, sql: string, args: unknown[]): Yes {
    const request = this.request(partition, transaction, { statements: [{ sql, args }] });
    const outcome = this.perform(partition, (replica) => prepareWork(replica, request));
    if (outcome.kind !== 'done') throw outcome.kind === 'error' ? outcome.error : new Error(outcome.kind);
    return JSON.parse(outcome.body);
  }

  /** The second wave, of what the votes say. */
  later(transaction: string, votes: readonly Yes[], startedMs = 1): ExecuteOutcome[] {
    const escapes = votes.flatMap((vote) => vote.escapes ?? []);
    return errandsOf(escapes, this.ring).map(({ partition, changes }) => {
      const request = this.request(partition, transaction, { changes, startedMs });
      return this.perform(partition, (replica) => laterWork(replica, { ...request, changes }));
    });
  }

  end(partition: number, transaction: string, commit: boolean): void {
    const commitTimestamp = commit ? this.cluster.replica(partition).clock.now(this.cluster.now) : null;
    this.perform(partition, (replica) => endWork(replica, { transaction, commitTimestamp }));
  }

  rows(partition: number): readonly (readonly unknown[])[] {
    return this.cluster.replica(partition).port.query('SELECT owner, item, note FROM items ORDER BY 1, 2')
      .rows;
  }
}

const MOVE = 'UPDATE items SET owner = ?, note = ? WHERE owner = ?';

describe('a later wave', () => {
  test('is prepared on top of what is prepared already, survives a start, and is applied with it', () => {
    const waves = new Waves();
    const [[a, , a2] = [], [b, , b2] = []] = waves.keys;
    const before = [waves.rows(1), waves.rows(2)];
    const votes = [
      waves.prepare(1, 't', MOVE, [b, 'from a', a]),
      waves.prepare(2, 't', MOVE, [a, 'from b', b]),
    ];
    expect(waves.later('t', votes).map(({ kind }) => kind)).toEqual(['done', 'done']);
    expect([waves.rows(1), waves.rows(2)]).toEqual(before);
    // What is in memory only is gone.
    waves.cluster.partitions[0] = present(Replica.open(waves.cluster.replica(1).port), 'a replica');
    expect(waves.cluster.replica(1).locks.size).toBe(1);
    for (const partition of [1, 2]) waves.end(partition, 't', true);
    expect(waves.rows(1)).toContainEqual([a, 1, 'from b']);
    expect(waves.rows(2)).toContainEqual([b, 1, 'from a']);
    expect(waves.rows(1)).toContainEqual([a2, 1, null]);
    expect(waves.rows(2)).toContainEqual([b2, 1, null]);
    expect(waves.rows(1).length + waves.rows(2).length).toBe(before.flat().length);
    const after = waves.rows(1);
    expect(undoAndRedo(waves.cluster.replica(1), 3)).toBe(3);
    expect(waves.rows(1)).toEqual(after);
  });

  test('leaves nothing when it is aborted', () => {
    const waves = new Waves();
    const [[a] = []] = waves.keys;
    const before = [waves.rows(1), waves.rows(2)];
    const vote = waves.prepare(1, 't', MOVE, [waves.keys[1]?.[0], 'x', a]);
    expect(waves.later('t', [vote])[0]).toMatchObject({
      kind: 'error',
      error: { code: 'constraint', message: 'UNIQUE constraint failed: items.owner, items.item' },
    });
    waves.end(1, 't', false);
    expect([waves.rows(1), waves.rows(2)]).toEqual(before);
    expect(waves.cluster.replica(1).locks.isEmpty).toBe(true);
    expect(waves.cluster.replica(2).locks.isEmpty).toBe(true);
  });

  test('waits, or dies, for a key that another transaction holds', () => {
    const waves = new Waves();
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
    const waves = new Waves();
    const [[a] = [], [b] = []] = waves.keys;
    const { escapes } = waves.prepare(1, 't', MOVE, [b, 'x', a]);
    const changes = present(escapes, 'the row escapes').changes;
    waves.end(1, 't', false);
    const request = waves.request(1, 'u', { changes });
    const outcome = waves.perform(1, (replica) => laterWork(replica, { ...request, changes }));
    expect(outcome).toMatchObject({ kind: 'error', error: { code: 'multi-partition-write' } });
  });

  test('is found only by a transaction: a key that is changed by itself must stay in its partition', () => {
    const waves = new Waves();
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
