import { AtollError } from '../protocol/error.ts';

/** Largest body of a query or batch, bytes, inflated (chosen: a few values of SQLite's 2 MB limit). */
export const BODY_BYTES_MAX = 16 * 1024 * 1024;

/** The request's body as text; gzip is inflated. `headers`: the request's, for whoever has them. Both sizes are bounded, so that no body exhausts memory. */
export function readBody(request: Request, headers = request.headers): Promise<string> {
  const length = headers.get('content-length');
  if (length !== null && Number(length) > BODY_BYTES_MAX) throw tooLarge();
  if (headers.get('content-encoding') !== null) return readBounded(inflate(request)).then(decode);
  // Without a length the size is known only while reading.
  return length === null
    ? readBounded(request.body).then(decode)
    : request.arrayBuffer().then(decode, refuseBrokenOff);
}

/** The body, inflated where its `content-encoding` says so. */
export function inflate(request: Request): ReadableStream<Uint8Array> | null {
  const encoding = request.headers.get('content-encoding')?.toLowerCase() ?? 'identity';
  if (encoding === 'identity') return request.body;
  if (encoding !== 'gzip')
    throw new AtollError('payload', `content-encoding ${encoding} is not known: send gzip or none`);
  return (
    request.body?.pipeThrough(
      new DecompressionStream('gzip') as ReadableWritablePair<Uint8Array, Uint8Array>,
    ) ?? null
  );
}

async function readBounded(body: ReadableStream<Uint8Array> | null): Promise<Uint8Array> {
  if (body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      length += value.byteLength;
      if (length > BODY_BYTES_MAX) throw tooLarge();
      chunks.push(value);
    }
  } catch (error) {
    throw error instanceof AtollError ? error : brokenOff();
  } finally {
    // What is left can still be read, and thrown away.
    reader.releaseLock();
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

/** Strict: a byte that is no UTF-8 would become another character, and be stored as that. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });

function decode(bytes: ArrayBuffer | Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new AtollError('payload', 'the body is not valid UTF-8: send other bytes as {"$blob":"<base64>"}');
  }
}

function refuseBrokenOff(): never {
  throw brokenOff();
}

function brokenOff(): AtollError {
  return new AtollError('payload', 'the body is broken off, or is no gzip of one member');
}

function tooLarge(): AtollError {
  return new AtollError(
    'too-large',
    `the body is larger than ${BODY_BYTES_MAX} bytes: send less at once, or use /v1/import`,
  );
}
