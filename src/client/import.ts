import { type Block, blocksOf, type ImportFormat, type ImportSource } from './blocks.ts';
import { send, type Transport, textOf } from './http.ts';

export type { ImportFormat, ImportSource } from './blocks.ts';

export interface ImportProgress {
  /** Rows the server has confirmed. */
  readonly rows: number;
  /** Bytes of the source they took. */
  readonly bytes: number;
}

export interface ImportOptions {
  /** Default `ndjson`; ignored for rows given as objects. */
  readonly format?: ImportFormat;
  /**
   * Names this import. The same source imported again under the same id adds only what is missing, so that an
   * import that broke off is continued by running it again. Default: a random one.
   */
  readonly importId?: string;
  readonly onProgress?: (progress: ImportProgress) => void;
  readonly signal?: AbortSignal;
}

export interface ImportResult {
  readonly importId: string;
  /** Rows added now. */
  readonly rows: number;
  /** Rows that an earlier run under the same id had added. */
  readonly skipped: number;
}

/**
 * Lanes, and lines that go to one lane before the next has its turn. They are no options: a rerun must give each line
 * to the same lane, or rows would be added twice; also where a bad line was mended meanwhile, so bytes must not decide.
 * Chosen: four lanes keep the partitions busy while the next block is read.
 */
const LANES = 4;
const STRIPE_LINES = 4_096;
/** Bytes of one request, and requests that wait or are on their way (chosen: what the client holds in memory). */
const BLOCK_BYTES = 1 << 20;
const BLOCKS_MAX = 8;
/** A block takes well under a second; a server that is busy with other imports may need more. */
const BLOCK_TIMEOUT_MS = 60_000;

/**
 * Streams blocks over parallel lanes. Each lane is an import of its own to the server (`{importId}.{lane}`)
 * that sends its blocks in order, which is what the server's watermark per import needs.
 */
export async function importInto(
  transport: Transport,
  table: string,
  source: ImportSource,
  options: ImportOptions,
): Promise<ImportResult> {
  const importId = options.importId ?? crypto.randomUUID();
  const format = options.format ?? 'ndjson';
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([stop.signal, options.signal]);
  const done = { rows: 0, skipped: 0, bytes: 0 };
  let failure: { readonly error: unknown } | undefined;
  let header = new Uint8Array();

  const sendCounted = async (block: Block, lane: number): Promise<void> => {
    if (failure !== undefined) return;
    try {
      const upload = { table, format, importId: `${importId}.${lane}`, header, block, signal };
      const counts = await sendBlock(transport, upload);
      done.rows += counts.rows;
      done.skipped += counts.skipped;
      done.bytes += block.bytes.length;
      options.onProgress?.({ rows: done.rows + done.skipped, bytes: done.bytes });
    } catch (error) {
      failure ??= { error };
      stop.abort();
    }
  };

  const lanes: Promise<void>[] = Array.from({ length: LANES }, () => Promise.resolve());
  const underway: Promise<void>[] = [];
  for await (const block of blocksOf(source, format, BLOCK_BYTES, STRIPE_LINES)) {
    if (format === 'csv' && block.index === 0) header = headerOf(block.bytes);
    if (underway.length === BLOCKS_MAX) await underway.shift();
    if (failure !== undefined) break;
    const lane = block.stripe % LANES;
    const sent = (lanes[lane] ?? Promise.resolve()).then(() => sendCounted(block, lane));
    lanes[lane] = sent;
    underway.push(sent);
  }
  await Promise.all(lanes);
  if (failure !== undefined) throw failure.error;
  return { importId, rows: done.rows, skipped: done.skipped };
}

interface Upload {
  readonly table: string;
  readonly format: ImportFormat;
  readonly importId: string;
  /** A CSV's first line, which every block but the first must be given; empty for NDJSON. */
  readonly header: Uint8Array;
  readonly block: Block;
  readonly signal: AbortSignal;
}

const CONTENT_TYPES: Record<ImportFormat, string> = { ndjson: 'application/x-ndjson', csv: 'text/csv' };

async function sendBlock(transport: Transport, upload: Upload): Promise<{ rows: number; skipped: number }> {
  const { table, format, importId, header, block, signal } = upload;
  const bare = block.index === 0 || header.length === 0;
  // The number, in the source, of the first line that holds a row: the server names bad lines by it.
  const line = format === 'csv' && block.index === 0 ? block.firstLine + 1 : block.firstLine;
  const query = new URLSearchParams({ importId, line: String(line) });
  const reply = await send(transport, {
    method: 'POST',
    path: `/v1/import/${encodeURIComponent(table)}?${query}`,
    body: bare ? block.bytes : joined(header, block.bytes),
    contentType: CONTENT_TYPES[format],
    timeoutMs: BLOCK_TIMEOUT_MS,
    signal,
  });
  const counts: unknown = JSON.parse(await textOf(transport, reply, BLOCK_TIMEOUT_MS));
  const { rows = 0, skipped = 0 } = counts as { rows?: number; skipped?: number };
  return { rows, skipped };
}

function headerOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const newline = bytes.indexOf(0x0a);
  return newline < 0 ? new Uint8Array() : bytes.slice(0, newline + 1);
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}
