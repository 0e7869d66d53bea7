/** Messages in one (chosen: a group commit of so many takes a few milliseconds). */
export const TOGETHER_MAX = 64;
/** How long a receiver that does not know such messages is not sent any, ms (chosen: a deploy is under way). */
const UNKNOWN_MS = 60_000;

export interface Coalescing {
  /** A receiver that was sent something less long ago is busy, ms. */
  readonly busyMs: number;
  /** How long what is for it is gathered, ms; 0: what the event loop has ready. */
  readonly gatherMs: number;
}

/** Chosen: under load, several requests for a partition come to a router in that time, and whoever has to wait does not feel it. */
export const COALESCING: Coalescing = { busyMs: 50, gatherMs: 0 };

/**
 * The way of messages to one receiver. What finds it idle goes at once, by itself; to a busy one, all that come in the same turn of the event loop go together: of
 * what a message costs, its own call is the greatest part.
 */
export class Lane<Item> {
  readonly #busyMs: number;
  /** Unix milliseconds. */
  #sentAt = Number.NEGATIVE_INFINITY;
  #aloneUntil = Number.NEGATIVE_INFINITY;
  #gathering: Item[] | null = null;

  constructor({ busyMs }: Coalescing) {
    this.#busyMs = busyMs;
  }

  /** Whether the next one goes by itself, and now. `now`: Unix milliseconds. */
  goesAlone(now: number): boolean {
    const gathering = this.#gathering;
    const joins = gathering === null ? now - this.#sentAt <= this.#busyMs : gathering.length < TOGETHER_MAX;
    if (joins && now >= this.#aloneUntil) return false;
    this.#sentAt = now;
    return true;
  }

  /** One that does not go alone. The first one of several has to {@link leave} for all when the time is over: true. */
  join(item: Item): boolean {
    if (this.#gathering !== null) {
      this.#gathering.push(item);
      return false;
    }
    this.#gathering = [item];
    return true;
  }

  /** All that go together now. */
  leave(now: number): Item[] {
    const all = this.#gathering ?? [];
    this.#gathering = null;
    this.#sentAt = now;
    return all;
  }

  /** The receiver does not know messages that carry several. */
  unknown(now: number): void {
    this.#aloneUntil = now + UNKNOWN_MS;
  }
}
