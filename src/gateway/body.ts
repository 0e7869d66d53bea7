import { AtollError } from '../protocol/error.ts';

/** Largest body of a query or batch, bytes, inflated (chosen: a few values of SQLite's 2 MB limit). */
export const BODY_BYTES_MAX = 16 * 1024 * 1024;

/** The request's body as text; gzip is inflated. Both sizes are bounded, so that no body exhausts memory. */
export async function readBody(request: Request): Promise<string> {
  const declared = Number(request.headers.get('content-length') ?? 0);
  if (declared > BODY_BYTES_MAX) throw tooLarge();
  const encoding = request.headers.get('content-encoding');
  if (encoding === null || encoding === 'identity') {
    // Without a length the size is known only while reading.
    if (request.headers.has('content-length')) return request.text();
    return readBounded(request.body);
  }
  return readBounded(inflate(request));
}

/** The body, inflated where its `content-encoding` says so. */
export function inflate(request: Request): ReadableStream<Uint8Array> | null {
  const encoding = request.headers.get('content-encoding');
  if (encoding === null || encoding === 'identity') return request.body;
  if (encoding !== 'gzip')
    throw new AtollError('payload', `content-encoding ${encoding} is not known: send gzip or none`);
  return (
    request.body?.pipeThrough(
      new DecompressionStream('gzip') as ReadableWritablePair<Uint8Array, Uint8Array>,
    ) ?? null
  );
}

async function readBounded(body: ReadableStream<Uint8Array> | null): Promise<string> {
  if (body === null) return '';
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  try {
    for await (const chunk of body) {
      bytes += chunk.byteLength;
      if (bytes > BODY_BYTES_MAX) throw tooLarge();
      text += decoder.decode(chunk, { stream: true });
    }
  } catch (error) {
    if (error instanceof AtollError) throw error;
    throw new AtollError('payload', 'the body is broken off or is no gzip');
  }
  return text + decoder.decode();
}

function tooLarge(): AtollError {
  return new AtollError(
    'too-large',
    `the body is larger than ${BODY_BYTES_MAX} bytes: send less at once, or use /v1/import`,
  );
}
