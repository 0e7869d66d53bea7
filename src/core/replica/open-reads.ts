import type { Timestamp } from '../../base/brand.ts';

/** How long the log waits for the next page of an answer, ms (chosen: a client that does something with each page). */
export const READ_HOLD_MS = 600_000;
/** Moments that are told apart (chosen: more are held as the oldest of them). */
const MOMENTS_MAX = 64;

/** The moments that pages are read as of, and may be asked for again. In memory: a partition without writes forgets nothing anyway. */
export class OpenReads {
  /** Until when each is held, Unix ms. */
  readonly #held = new Map<Timestamp | '', number>();

  /** A page was asked for, of the rows of `at`. */
  note(at: Timestamp | '', now: number): void {
    if (!this.#held.has(at) && this.#held.size >= MOMENTS_MAX) {
      this.oldest(now);
      const [oldest = at] = [...this.#held.keys()].sort();
      if (this.#held.size >= MOMENTS_MAX && oldest < at) {
        this.#held.set(oldest, now + READ_HOLD_MS);
        return;
      }
    }
    this.#held.set(at, now + READ_HOLD_MS);
  }

  /** The oldest moment that the log must still tell; null for none. */
  oldest(now: number): Timestamp | '' | null {
    let oldest: Timestamp | '' | null = null;
    for (const [at, until] of this.#held) {
      if (until <= now) this.#held.delete(at);
      else if (oldest === null || at < oldest) oldest = at;
    }
    return oldest;
  }
}
