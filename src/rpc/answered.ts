import { assert } from '../base/assert.ts';

/** Calls of a link whose replies are remembered (chosen: more than are ever in progress). */
export const ANSWERED_MAX = 512;
/** Bytes of the replies that a link remembers (chosen: an object may have hundreds of links in 128 MB). */
export const ANSWERED_BYTES_MAX = 1 << 20;

/** What is known of a call id. */
export type Answered =
  /** Its first call is still being answered; the reply goes to the repeat too. */
  | { readonly kind: 'in-progress'; readonly type: string }
  /** The reply as it was sent. */
  | { readonly kind: 'answered'; readonly type: string; readonly reply: readonly Uint8Array[] }
  /** It was answered, and the reply was too large to remember. */
  | { readonly kind: 'forgotten'; readonly type: string };

/**
 * The last calls of the other side of a link, so that a frame that comes twice is executed once. Bounded in number and in
 * bytes, the oldest forgotten first; calls in progress are bounded by the link.
 */
export class AnsweredCalls {
  readonly #callsMax: number;
  readonly #bytesMax: number;
  /** In order of their answers, behind those in progress. */
  readonly #calls = new Map<number, Answered>();
  #bytes = 0;
  #inProgress = 0;

  constructor(callsMax: number = ANSWERED_MAX, bytesMax: number = ANSWERED_BYTES_MAX) {
    this.#callsMax = callsMax;
    this.#bytesMax = bytesMax;
  }

  /** Calls that wait for {@link answer}. */
  get inProgress(): number {
    return this.#inProgress;
  }

  of(id: number): Answered | null {
    return this.#calls.get(id) ?? null;
  }

  begin(id: number, type: string): void {
    assert(!this.#calls.has(id), () => `call ${id} has begun already`);
    this.#calls.set(id, { kind: 'in-progress', type });
    this.#inProgress++;
  }

  answer(id: number, reply: readonly Uint8Array[]): void {
    const begun = this.#calls.get(id);
    assert(begun?.kind === 'in-progress', () => `call ${id} is not in progress`);
    this.#calls.delete(id);
    this.#inProgress--;
    const bytes = sizeOf(reply);
    const { type } = begun;
    if (bytes > this.#bytesMax) {
      this.#calls.set(id, { kind: 'forgotten', type });
    } else {
      this.#calls.set(id, { kind: 'answered', type, reply });
      this.#bytes += bytes;
    }
    this.#forget();
  }

  #forget(): void {
    for (const [id, call] of this.#calls) {
      if (this.#calls.size - this.#inProgress <= this.#callsMax && this.#bytes <= this.#bytesMax) return;
      if (call.kind === 'in-progress') continue;
      this.#calls.delete(id);
      if (call.kind === 'answered') this.#bytes -= sizeOf(call.reply);
    }
  }
}

function sizeOf(frames: readonly Uint8Array[]): number {
  return frames.reduce((sum, { length }) => sum + length, 0);
}
