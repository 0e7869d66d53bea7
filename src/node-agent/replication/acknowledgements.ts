import type { AppendResult } from '../../core/replication/follower.ts';

/** Between two answers to a leader that sends without a pause, ms (chosen: each costs it an event, and a wait for the disk here). */
const ANSWER_MS = 200;
/** Batches, and bytes of them, that are answered together (chosen: three quarters and one quarter of a leader’s window). */
const BATCHES_MAX = 12;
const BYTES_MAX = 1024 * 1024;

/**
 * Answers to a leader's batches. One says all before it, so that those which come close together share one; the first
 * after a pause, and whatever did not go as meant, is answered at once.
 */
export class Acknowledgements {
  readonly #send: (result: AppendResult) => void;
  #sentAt = 0;
  #waiting: AppendResult | null = null;
  #batches = 0;
  #bytes = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(send: (result: AppendResult) => void) {
    this.#send = send;
  }

  /** `bytes`: of the batch; `now`: Unix ms. */
  add(result: AppendResult, bytes: number, now: number): void {
    this.#waiting = result;
    this.#batches++;
    this.#bytes += bytes;
    const since = now - this.#sentAt;
    // The clock may have been set back.
    const wait = since < 0 ? 0 : ANSWER_MS - since;
    const isUrgent = result.kind !== 'appended' || this.#batches >= BATCHES_MAX || this.#bytes >= BYTES_MAX;
    if (isUrgent || wait <= 0) this.#flush(now);
    else this.#timer ??= setTimeout(() => this.#flush(Date.now()), wait);
  }

  /** What waits is of a link that is gone. */
  clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#waiting = null;
    this.#batches = 0;
    this.#bytes = 0;
  }

  #flush(now: number): void {
    const result = this.#waiting;
    this.clear();
    if (result === null) return;
    this.#sentAt = now;
    this.#send(result);
  }
}
