import { send, type Transport, textOf } from './http.ts';

/** SQL text as `export` writes it, in pieces; `gzip` says that they are packed. */
export type RestoreSource = AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>;

export interface RestoreOptions {
  readonly gzip?: boolean;
  /** Bytes that the server has taken. */
  readonly onProgress?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

export interface RestoreResult {
  readonly tables: number;
  readonly rows: number;
  readonly partitions: readonly { readonly partition: number; readonly rows: number }[];
}

/** One request, since nobody may see a part: it takes as long as it takes. */
export async function restoreFrom(
  transport: Transport,
  source: RestoreSource,
  options: RestoreOptions,
): Promise<RestoreResult> {
  const reply = await send(transport, {
    method: 'POST',
    path: '/v1/restore',
    body: bytesOf(source, options.onProgress),
    contentType: 'application/sql',
    timeoutMs: Number.POSITIVE_INFINITY,
    ...(options.gzip === true ? { contentEncoding: 'gzip' } : {}),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  return JSON.parse(await textOf(transport, reply, Number.POSITIVE_INFINITY)) as RestoreResult;
}

/** Read no faster than the server takes it. */
function bytesOf(
  source: RestoreSource,
  onProgress: RestoreOptions['onProgress'],
): ReadableStream<Uint8Array> {
  const pieces = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  const encoder = new TextEncoder();
  let taken = 0;
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await pieces.next();
      onProgress?.(taken);
      if (done === true) return controller.close();
      const bytes = typeof value === 'string' ? encoder.encode(value) : value;
      taken += bytes.length;
      controller.enqueue(bytes);
    },
    cancel: async () => {
      await pieces.return?.();
    },
  });
}
