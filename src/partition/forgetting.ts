import type { Replica } from '../core/replica/replica.ts';
import { forgetOldRequests } from '../core/replica/requests.ts';
import { forgetOldEntries } from '../core/replica/retention.ts';

/** Writes between two times of forgetting (chosen: one step takes more entries than they have added). */
const WRITES = 192;
/** Steps behind them at most (chosen: an entry may have many images). */
const STEPS = 3;
/** Steps behind a chunk of an import, whose rows are as many images (chosen: more than a chunk adds). */
const STEPS_PER_CHUNK = 4;
/** Entries of the log at a time that forget records of requests (chosen: together more than most groups add). */
const REQUEST_ENTRIES = 2;

/** Old entries of the log, and old records of requests, go behind writes, as fast as new ones come. */
export class Forgetting {
  readonly #replica: () => Replica;
  readonly #needed: () => number | null;
  /** Since the last step. */
  #writes = 0;
  /** Whether there are more records of requests to forget. */
  #more = false;

  /** `needed`: see {@link forgetOldEntries}. */
  constructor(replica: () => Replica, needed: () => number | null) {
    this.#replica = replica;
    this.#needed = needed;
  }

  /** See {@link forgetOldEntries}. */
  get needed(): number | null {
    return this.#needed();
  }

  /** A group of so many writes is done. */
  written(count: number): void {
    this.#writes += count;
    if (this.#writes >= WRITES || this.#more) this.#forget(STEPS);
  }

  /** A chunk of an import is in. */
  inserted(): void {
    this.#forget(STEPS_PER_CHUNK);
  }

  #forget(steps: number): void {
    this.#writes = 0;
    const now = Date.now();
    forgetOldEntries(this.#replica(), now, this.#needed(), steps);
    this.#more = forgetOldRequests(this.#replica(), now, REQUEST_ENTRIES);
  }
}
