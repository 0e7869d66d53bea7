import type { PartitionId, TableId } from '../base/brand.ts';
import type { System } from '../core/replica/system.ts';
import { AtollError, toAtollError } from '../protocol/error.ts';
import type { Freeze, Freezes, Thaw } from '../protocol/freeze.ts';
import type { Peers } from './surroundings.ts';

/** What all partitions may take to freeze their copies, ms (chosen: above what they wait for prepared transactions). */
const FREEZE_MS = 8_000;

/**
 * The system partition's side of writes of reference tables: all copies are frozen before one is made, so that nobody who has
 * seen it anywhere can find an older copy elsewhere. What is open is in memory alone: a write that was not committed when
 * this instance ended never will be.
 */
export class ReferenceWrites {
  readonly #system: System;
  readonly #peers: Peers;
  readonly #open = new Map<string, Freeze>();
  /** Tells this instance's freezes from another's. */
  readonly #instance = crypto.randomUUID();
  #count = 0;
  /** Writes of reference tables alone that are under way, and the last transaction that writes others beside them. */
  readonly #plain = new Set<Promise<unknown>>();
  #beside: Promise<unknown> = Promise.resolve();

  constructor(system: System, peers: Peers) {
    this.#system = system;
    this.#peers = peers;
  }

  /**
   * Runs `write` while all copies of these tables are frozen; `write` hands the freeze's name on to where it is delivered.
   *
   * @throws AtollError `unavailable` or `busy`, nothing written, if some partition does not freeze its copies
   */
  async whileFrozen<T>(
    tables: readonly TableId[],
    deadline: number,
    write: (freeze: string | null) => Promise<T>,
  ): Promise<T> {
    if (tables.length === 0) return write(null);
    const name = `${this.#instance}.${++this.#count}`;
    const run = this.#beside.then(() => this.#frozen({ name, tables }, deadline, () => write(name)));
    this.#plain.add(run);
    try {
      return await run;
    } finally {
      this.#plain.delete(run);
    }
  }

  /**
   * As {@link whileFrozen}, for a transaction that has parts elsewhere, which must not meet other freezes: no write of a reference table
   * is under way beside it. The freeze has the transaction's name.
   */
  async besideOthers<T>(freeze: Freeze, deadline: number, write: () => Promise<T>): Promise<T> {
    const before = [this.#beside, ...this.#plain];
    const run = Promise.allSettled(before).then(() => this.#frozen(freeze, deadline, write));
    this.#beside = run.catch(() => undefined);
    return run;
  }

  async #frozen<T>(freeze: Freeze, deadline: number, write: () => Promise<T>): Promise<T> {
    this.#open.set(freeze.name, freeze);
    try {
      await this.#freezeAll(freeze, Math.max(1, Math.min(FREEZE_MS, deadline - Date.now())));
      return await write();
    } catch (error) {
      // It may be written nevertheless: whoever asks what has become of the freeze follows first.
      if (toAtollError(error).outcome === 'unknown') this.#open.delete(freeze.name);
      throw error;
    } finally {
      if (this.#open.delete(freeze.name)) this.#tell({ names: [freeze.name] });
    }
  }

  /** The write is committed: whoever gets it thaws with it. */
  over(name: string): void {
    this.#open.delete(name);
  }

  freezes(): Freezes {
    return { open: [...this.#open.values()], system: this.#system.replica.feedIndex };
  }

  async #freezeAll(freeze: Freeze, milliseconds: number): Promise<void> {
    const partitions = this.#system.partitionIds();
    const answers = await Promise.allSettled(
      partitions.map((partition) => this.#call(partition, 'freeze', freeze, milliseconds)),
    );
    answers.forEach((answer, index) => {
      if (answer.status === 'fulfilled') return;
      const { code, message } = toAtollError(answer.reason);
      throw new AtollError(
        code === 'busy' ? 'busy' : 'unavailable',
        `partition ${partitions[index]} cannot be told that a reference table changes: ${message}; nothing is written`,
        'none',
      );
    });
  }

  /** One that does not hear of it asks. */
  #tell(thaw: Thaw): void {
    for (const partition of this.#system.partitionIds()) {
      this.#call(partition, 'thaw', thaw).catch((error: unknown) =>
        console.debug(`a thaw was not delivered: ${String(error)}`),
      );
    }
  }

  #call(partition: PartitionId, type: string, message: unknown, milliseconds?: number): Promise<unknown> {
    const { database } = this.#system.replica.identity;
    return this.#peers.call(database, partition, type, message, milliseconds);
  }
}
