/** How late a deadline may be noticed, ms (chosen: little beside the seconds that are waited for). */
const TICK_MS = 250;

interface Open {
  /** Unix milliseconds. */
  readonly at: number;
  readonly pass: () => void;
}

/**
 * The deadlines of many calls by one timer, which runs while there are any. One of its own, made and cleared, costs a call some 30 µs in a
 * Durable Object (measured), which may have 10,000 at a time (imposed, seen in workerd 2026-11-27).
 */
export class Deadlines {
  readonly #open = new Set<Open>();
  #isTicking = false;

  /** What `promise` becomes, or rejects with `late()` when it takes longer than `milliseconds`. */
  within<T>(promise: Promise<T>, milliseconds: number, late: () => Error): Promise<T> {
    return new Promise((resolve, reject) => {
      const open = { at: Date.now() + milliseconds, pass: () => reject(late()) };
      this.#open.add(open);
      this.#tick();
      promise.then(
        (value) => {
          this.#open.delete(open);
          resolve(value);
        },
        (error: unknown) => {
          this.#open.delete(open);
          reject(error);
        },
      );
    });
  }

  #tick(): void {
    if (this.#isTicking || this.#open.size === 0) return;
    this.#isTicking = true;
    setTimeout(() => {
      this.#isTicking = false;
      const now = Date.now();
      for (const open of this.#open) {
        if (now < open.at) continue;
        this.#open.delete(open);
        open.pass();
      }
      this.#tick();
    }, TICK_MS);
  }
}
