import { encodeRow, type SqlArguments, type SqlInput } from './values.ts';

export type ImportFormat = 'ndjson' | 'csv';

/** Whole lines of the source, in order. */
export interface Block {
  readonly index: number;
  /** Depends on the block's place in the source alone, whatever the lines hold: see {@link blocksOf}. */
  readonly stripe: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Number of the block's first line in the source, from 1. */
  readonly firstLine: number;
  readonly lines: number;
}

/** Text, bytes, or rows as objects by column name. */
export type ImportSource =
  | AsyncIterable<string | Uint8Array | Readonly<Record<string, SqlInput>>>
  | Iterable<string | Uint8Array | Readonly<Record<string, SqlInput>>>;

const NEWLINE = 0x0a;
const QUOTE = 0x22;

/**
 * Cuts a source into blocks of whole lines: where a stripe of `stripeLines` lines ends, and within one where a block
 * has `blockBytes` bytes. In CSV a newline between quotes ends no record; a record belongs to the stripe that it
 * begins in.
 */
export async function* blocksOf(
  source: ImportSource,
  format: ImportFormat,
  blockBytes: number,
  stripeLines: number,
): AsyncGenerator<Block> {
  const held: Uint8Array[] = [];
  let heldBytes = 0;
  let heldLines = 0;
  let firstLine = 1;
  let index = 0;
  let quoted = false;

  const stripeOf = (line: number): number => Math.floor((line - 1) / stripeLines);
  const take = (): Block => {
    const stripe = stripeOf(firstLine);
    const block = {
      index: index++,
      stripe,
      bytes: concatenate(held, heldBytes),
      firstLine,
      lines: heldLines,
    };
    firstLine += heldLines;
    held.length = 0;
    heldBytes = 0;
    heldLines = 0;
    return block;
  };

  for await (const piece of source) {
    const bytes = bytesOf(piece);
    let start = 0;
    for (let position = 0; position < bytes.length; ) {
      const newline = bytes.indexOf(NEWLINE, position);
      const end = newline < 0 ? bytes.length : newline;
      if (format === 'csv' && countQuotes(bytes, position, end) % 2 === 1) quoted = !quoted;
      if (newline < 0) break;
      position = newline + 1;
      heldLines++;
      if (quoted) continue;
      const stripeEnds = stripeOf(firstLine + heldLines) > stripeOf(firstLine);
      if (stripeEnds || heldBytes + position - start >= blockBytes) {
        held.push(bytes.subarray(start, position));
        heldBytes += position - start;
        start = position;
        yield take();
      }
    }
    if (start < bytes.length) {
      held.push(bytes.subarray(start));
      heldBytes += bytes.length - start;
    }
  }
  if (heldBytes > 0) {
    if (held.at(-1)?.at(-1) !== NEWLINE) heldLines++;
    yield take();
  }
}

const encoder = new TextEncoder();

function bytesOf(piece: string | Uint8Array | Readonly<Record<string, SqlInput>>): Uint8Array {
  if (typeof piece === 'string') return encoder.encode(piece);
  if (piece instanceof Uint8Array) return piece;
  return encoder.encode(`${encodeRow(piece as SqlArguments)}\n`);
}

function countQuotes(bytes: Uint8Array, start: number, end: number): number {
  let count = 0;
  for (let at = bytes.indexOf(QUOTE, start); at >= 0 && at < end; at = bytes.indexOf(QUOTE, at + 1)) count++;
  return count;
}

/** A copy, because a stream may fill its buffers again once it is asked for more. */
function concatenate(parts: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}
