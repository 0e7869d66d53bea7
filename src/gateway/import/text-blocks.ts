import { AtollError } from '../../protocol/error.ts';

/** Longest line, bytes (imposed: SQLite's limit of a value or a row in workerd is 2.2 MB). */
export const LINE_BYTES_MAX = 2 * 1024 * 1024;

const NEWLINE = 0x0a;

/**
 * A body as text in pieces that end where a line ends. A byte that is no UTF-8 is an error after the whole lines
 * before it, so that the reader of lines knows which one it is.
 *
 * @throws AtollError `payload` for what cannot be read, `too-large` for a line that is too long
 */
export async function* textBlocks(body: ReadableStream<Uint8Array> | null): AsyncGenerator<string> {
  const held: Uint8Array[] = [];
  let heldBytes = 0;
  for await (const piece of piecesOf(body)) {
    const end = piece.lastIndexOf(NEWLINE) + 1;
    if (end > 0) {
      held.push(piece.subarray(0, end));
      yield* decoded(joined(held));
      held.length = 0;
      heldBytes = 0;
    }
    if (end === piece.length) continue;
    held.push(piece.subarray(end));
    heldBytes += piece.length - end;
    if (heldBytes > LINE_BYTES_MAX) throw lineTooLong();
  }
  if (held.length > 0) yield* decoded(joined(held));
}

export function lineTooLong(): AtollError {
  return new AtollError('too-large', `the line is longer than ${LINE_BYTES_MAX} bytes`);
}

/** A body's bytes as they come; where it is left early, the rest is read and thrown away. */
export async function* piecesOf(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array> {
  if (body === null) return;
  const reader = body.getReader();
  let done = false;
  try {
    for (;;) {
      const piece = await reader.read().catch(() => {
        done = true;
        throw new AtollError('payload', 'the body is broken off, or is no whole gzip');
      });
      done = piece.done;
      if (piece.done) return;
      yield piece.value;
    }
  } finally {
    if (!done) await discard(reader);
  }
}

/** Of a body that is refused, this much is read to its end, bytes (chosen). */
const DISCARDED_BYTES_MAX = 64 * 1024 * 1024;

/** Reads what nobody wants: a client that cannot send its body to the end does not look for the answer. */
export async function discard(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  try {
    for (let bytes = 0; bytes < DISCARDED_BYTES_MAX; ) {
      const piece = await reader.read();
      if (piece.done) return;
      bytes += piece.value.length;
    }
    await reader.cancel();
  } catch {
    // The client has gone.
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Lets a U+FEFF stand: only the source's first is a byte order mark. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function* decoded(bytes: Uint8Array): Generator<string> {
  let text: string | null = null;
  try {
    text = decoder.decode(bytes);
  } catch {
    yield* decodedByLine(bytes);
  }
  if (text !== null) yield text;
}

function* decodedByLine(bytes: Uint8Array): Generator<string> {
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline < 0 ? bytes.length : newline + 1;
    let line: string;
    try {
      line = decoder.decode(bytes.subarray(start, end));
    } catch {
      throw new AtollError(
        'payload',
        'the line is not valid UTF-8; text of other bytes is {"$text":"<base64>"}',
      );
    }
    yield line;
    start = end;
  }
}
