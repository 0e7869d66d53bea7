import type { Replica } from '../core/replica/replica.ts';
import type { Holder } from '../core/transaction/lock-table.ts';
import type { Surroundings } from './surroundings.ts';

/** Longest wait before one looks by itself, ms (chosen: locks also go with an undo, or a start from the file). */
const LOOK_MS = 250;

/** Those that wait for locks of prepared transactions, and for frozen tables. */
export class LockWaits {
  readonly #replica: () => Replica;
  readonly #pause: Surroundings['pause'];
  #waiting: (() => void)[] = [];

  constructor(replica: () => Replica, pause: Surroundings['pause']) {
    this.#replica = replica;
    this.#pause = pause;
  }

  /** A transaction has ended here. */
  changed(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  }

  /** Resolves when it is worth another try, after `patienceMs` at the latest. */
  async wait(holders: readonly Holder[], patienceMs: number): Promise<void> {
    const { locks } = this.#replica();
    if (!holders.every(({ transaction }) => locks.has(transaction))) return;
    const ended = new Promise<void>((resolve) => this.#waiting.push(resolve));
    await Promise.race([ended, this.#pause(Math.min(patienceMs, LOOK_MS))]);
  }
}
