import {
  decodeAny,
  decodeFrame,
  encodeFrame,
  encodePart,
  FRAME_BYTES_MAX,
  type Frame,
  FrameError,
  MESSAGE_BYTES_MAX,
  PIECE_BYTES_MAX,
} from '../protocol/frame.ts';

/** The frame as what goes over the wire: itself, or the parts that it is cut into, to be sent one after another. */
export function encodeMessage(frame: Frame): Uint8Array[] {
  const whole = encodeFrame(frame);
  if (whole.length <= FRAME_BYTES_MAX) return [whole];
  const parts: Uint8Array[] = [];
  for (let start = 0; start < whole.length; start += PIECE_BYTES_MAX) {
    const piece = whole.subarray(start, start + PIECE_BYTES_MAX);
    parts.push(encodePart({ kind: 'part', index: parts.length, totalBytes: whole.length, piece }));
  }
  return parts;
}

/**
 * Puts parts together. Those of one message follow each other with nothing in between, so that one link holds one
 * unfinished message at most; its memory is taken when the first part says its size, within the bound.
 */
export class Assembler {
  readonly #messageBytesMax: number;
  #whole: Uint8Array | null = null;
  #filled = 0;
  #parts = 0;

  constructor(messageBytesMax: number = MESSAGE_BYTES_MAX) {
    this.#messageBytesMax = messageBytesMax;
  }

  /** The frame that is complete with these bytes, or null: more parts follow. Error: FrameError; the link is then of no use. */
  add(bytes: Uint8Array): Frame | null {
    const frame = decodeAny(bytes);
    if (frame.kind !== 'part') {
      if (this.#whole !== null) throw new FrameError(`a '${frame.type}' between the parts of a message`);
      return frame;
    }
    const { index, totalBytes, piece } = frame;
    const whole = this.#whole ?? this.#begin(totalBytes);
    if (index !== this.#parts) throw new FrameError(`part ${index} where part ${this.#parts} belongs`);
    if (totalBytes !== whole.length)
      throw new FrameError('parts that differ about the size of their message');
    if (piece.length !== Math.min(PIECE_BYTES_MAX, whole.length - this.#filled)) {
      throw new FrameError(`part ${index} has ${piece.length} bytes: it is not full, or too large`);
    }
    whole.set(piece, this.#filled);
    this.#filled += piece.length;
    this.#parts++;
    if (this.#filled < whole.length) return null;
    this.#whole = null;
    return decodeFrame(whole, whole.length);
  }

  #begin(totalBytes: number): Uint8Array {
    if (totalBytes <= FRAME_BYTES_MAX) throw new FrameError(`parts of a message of ${totalBytes} bytes only`);
    if (totalBytes > this.#messageBytesMax) {
      throw new FrameError(
        `a message of ${totalBytes} bytes, where at most ${this.#messageBytesMax} may come`,
      );
    }
    this.#whole = new Uint8Array(totalBytes);
    this.#filled = 0;
    this.#parts = 0;
    return this.#whole;
  }
}
