import { present } from '../../../src/base/assert.ts';
import type { Epoch, PartitionId, Term, Timestamp } from '../../../src/base/brand.ts';
import type { Work } from '../../../src/core/replica/group.ts';
import { laterWork } from '../../../src/core/replica/later-wave.ts';
import type { ExecuteOutcome } from '../../../src/core/replica/outcome.ts';
import { endWork, prepareWork } from '../../../src/core/replica/participant.ts';
import type { Replica } from '../../../src/core/replica/replica.ts';
import { tokenOfKey } from '../../../src/core/schema/partition-key.ts';
import { covers } from '../../../src/core/schema/token-map.ts';
import { errandsOf } from '../../../src/core/transaction/owners.ts';
import type { WireStatement } from '../../../src/protocol/execute.ts';
import type { PrepareRequest, RingRange, Vote } from '../../../src/protocol/transaction.ts';
import { LocalCluster } from '../../harness/local-cluster.ts';

export type Yes = Vote & { vote: 'yes' };

/** A cluster whose transactions are driven by hand, with itself as their anchor. */
export class Waves {
  readonly cluster = new LocalCluster(2);
  readonly ring: RingRange[] = this.cluster.partitions
    .flatMap(({ identity }) =>
      identity.ranges.map(({ start }): RingRange => [start, identity.partition, identity.epoch]),
    )
    .sort(([a], [b]) => a - b);
  /** Keys of each partition. */
  readonly keys: readonly (readonly string[])[];

  /** `table` is partitioned by a text. */
  constructor(definition: string) {
    this.cluster.schema(definition);
    const keys: [string[], string[]] = [[], []];
    for (let i = 0; keys.some((list) => list.length < 3); i++) {
      const owner = `owner ${i}`;
      const token = tokenOfKey([owner], [{ affinity: 'TEXT', collation: 'BINARY' }]);
      for (const [index, { identity }] of this.cluster.partitions.entries())
        if (covers(identity.ranges, token)) keys[index]?.push(owner);
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

  prepare(partition: number, transaction: string, sql: string, args: unknown[], startedMs = 1): Yes {
    const request = this.request(partition, transaction, { statements: [{ sql, args }], startedMs });
    const outcome = this.perform(partition, (replica) => prepareWork(replica, request));
    if (outcome.kind !== 'done') throw outcome.kind === 'error' ? outcome.error : new Error(outcome.kind);
    return JSON.parse(outcome.body);
  }

  /** The second wave, of what the votes say. */
  later(transaction: string, votes: readonly Yes[], startedMs = 1, visited = false): ExecuteOutcome[] {
    const escapes = votes.flatMap((vote) => vote.escapes ?? []);
    return errandsOf(escapes, this.ring).map(({ partition, changes }) => {
      const request = this.request(partition, transaction, { changes, startedMs });
      return this.perform(partition, (replica) => laterWork(replica, { ...request, changes, visited }));
    });
  }

  end(partition: number, transaction: string, commit: boolean): void {
    const commitTimestamp = commit ? this.cluster.replica(partition).clock.now(this.cluster.now) : null;
    this.perform(partition, (replica) => endWork(replica, { transaction, commitTimestamp }));
  }

  rows(partition: number, sql: string): readonly (readonly unknown[])[] {
    return this.cluster.replica(partition).port.query(sql).rows;
  }

  /** All of it: both waves, and the end. */
  transact(partition: number, transaction: string, sql: string, args: unknown[]): ExecuteOutcome[] {
    const outcomes = this.later(transaction, [this.prepare(partition, transaction, sql, args)]);
    const commit = outcomes.every(({ kind }) => kind === 'done');
    for (const each of [1, 2]) this.end(each, transaction, commit);
    return outcomes;
  }
}
