import { AtollError } from '../protocol/error.ts';

/** What all partitions together may answer to one scatter, bytes (chosen: see {@link HELD_BYTES_MAX}). */
export const ANSWERS_BYTES_MAX = 32 * 1024 * 1024;
/**
 * What all scatters of an isolate may hold together, bytes (chosen: beside the answers, what is made of them, and the
 * rest, there is room in the 128 MB that an isolate has).
 */
const HELD_BYTES_MAX = 48 * 1024 * 1024;
/** A decoded value beside its text, bytes (chosen: a bigint, or a string's header, and its place in the row). */
const VALUE_BYTES = 32;

let heldByAll = 0;

/** What one scatter holds of its partitions' answers, from the first byte read until they are merged. */
export class AnswersHeld {
  #bytes = 0;
  #released = false;

  /** What may still come. */
  get left(): number {
    return ANSWERS_BYTES_MAX - this.#bytes;
  }

  /** @throws AtollError `result-too-large`: over the bound of one request; `overloaded`: over that of all */
  take(bytes: number): void {
    if (this.#released) throw new AtollError('result-too-large', 'the request has failed already');
    if (bytes > this.left) {
      throw new AtollError(
        'result-too-large',
        `the partitions' answers are larger than ${ANSWERS_BYTES_MAX} bytes together: add a filter, an aggregate or LIMIT`,
      );
    }
    if (heldByAll + bytes > HELD_BYTES_MAX) {
      throw new AtollError('overloaded', 'the router merges as many large answers as it can hold; try again');
    }
    this.#bytes += bytes;
    heldByAll += bytes;
  }

  /** Values that are decoded, before they are. */
  takeValues(count: number): void {
    this.take(count * VALUE_BYTES);
  }

  /** The body as text. Each piece is taken as it comes: what is not read yet is not held here. */
  async read(response: Response): Promise<string> {
    const decoder = new TextDecoder();
    const pieces: string[] = [];
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    try {
      for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
        const bytes = value as Uint8Array;
        this.take(bytes.byteLength);
        pieces.push(decoder.decode(bytes, { stream: true }));
      }
    } catch (error) {
      reader.cancel(error).catch(() => undefined);
      throw error;
    }
    return pieces.join('') + decoder.decode();
  }

  release(): void {
    heldByAll -= this.#bytes;
    this.#bytes = 0;
    this.#released = true;
  }
}
