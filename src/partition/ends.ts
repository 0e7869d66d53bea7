import type { PartitionId } from '../base/brand.ts';
import type { TransactionEnd, TransactionEnds } from '../protocol/transaction.ts';

interface Waiting {
  readonly end: TransactionEnd;
  readonly told: () => void;
  readonly failed: (error: unknown) => void;
}

/**
 * How transactions ended, on the way to those that are prepared. One message to a partition at a time: what comes while it
 * is under way goes together in the next one, so that ends cost little when there are many, and wait for nothing when there are few.
 */
export class Ends {
  readonly #send: (partition: PartitionId, message: TransactionEnds) => Promise<unknown>;
  /** Of partitions that a message is on its way to. */
  readonly #waiting = new Map<PartitionId, Waiting[]>();

  constructor(send: (partition: PartitionId, message: TransactionEnds) => Promise<unknown>) {
    this.#send = send;
  }

  /** Resolves when the partition has done it. Error: that of the message that it went with. */
  tell(partition: PartitionId, end: TransactionEnd): Promise<void> {
    return new Promise((told, failed) => {
      const own: Waiting = { end, told, failed };
      const waiting = this.#waiting.get(partition);
      if (waiting !== undefined) waiting.push(own);
      else {
        this.#waiting.set(partition, []);
        void this.#run(partition, [own]);
      }
    });
  }

  async #run(partition: PartitionId, first: readonly Waiting[]): Promise<void> {
    for (let batch = first; batch.length > 0; ) {
      try {
        await this.#send(partition, { ends: batch.map(({ end }) => end) });
        for (const { told } of batch) told();
      } catch (error) {
        for (const { failed } of batch) failed(error);
      }
      batch = this.#waiting.get(partition) ?? [];
      if (batch.length > 0) this.#waiting.set(partition, []);
    }
    this.#waiting.delete(partition);
  }
}
