import type { PartitionId } from '../../base/brand.ts';
import { AtollError } from '../../protocol/error.ts';
import { encodeImportChunk, type ImportChunkHead, type ImportChunkReply } from '../../protocol/import.ts';
import type { StalePartition } from '../../protocol/network.ts';
import type { RestoreChunkHead } from '../../protocol/restore.ts';
import { type CallContext, type Database, readError } from '../database.ts';
import type { KnownNetwork } from '../known-network.ts';
import { ringOf } from '../spread.ts';
import { attemptId, untilItWins } from '../wait-die.ts';
import type { Chunk } from './lane.ts';
import { claimsIds, spreadsRows, targetIn } from './target.ts';

/** How long a partition may take for one chunk, ms (chosen; a chunk takes some 10 ms, but others may be before it). */
const CHUNK_TIMEOUT_MS = 30_000;
/** How often a chunk is sent whose answer was lost: an object that has crashed is back within a second. */
const ATTEMPTS_MAX = 5;
const BACKOFF_FIRST_MS = 100;
/** How often a chunk is addressed anew because the network has changed (chosen). */
const STALE_MAX = 5;

export interface ChunkRoute {
  readonly database: Database;
  readonly partition: PartitionId;
  readonly importId: string | null;
  readonly trace: string;
  /** The restore that the rows are part of. */
  readonly restore?: string;
}

/**
 * Has the partition insert a chunk, exactly once where the import has an id: then a chunk whose answer was lost is sent
 * again, and the partition's watermark tells whether it is in.
 *
 * @throws AtollError; the outcome is that of this chunk
 */
export async function sendChunk(route: ChunkRoute, chunk: Chunk): Promise<ImportChunkReply> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await sendOnce(route, chunk);
    } catch (error) {
      const shown = error instanceof AtollError ? error : lost(route);
      const repeats = route.importId !== null && shown.outcome === 'unknown' && shown.code !== 'internal';
      if (!repeats || attempt === ATTEMPTS_MAX) throw shown;
      await new Promise((resolve) => setTimeout(resolve, BACKOFF_FIRST_MS * 2 ** attempt));
    }
  }
}

function lost({ partition, restore }: ChunkRoute): AtollError {
  const again = restore === undefined ? '; with an importId the import can be run again' : '';
  return new AtollError(
    'unknown-outcome',
    `the answer of partition ${partition} was lost: its rows may or may not be in${again}`,
  );
}

/** Nothing is applied by a partition that knows a newer network; the chunk is addressed anew. */
async function sendOnce(route: ChunkRoute, chunk: Chunk): Promise<ImportChunkReply> {
  const { database, trace } = route;
  for (let attempt = 1; ; attempt++) {
    const context: CallContext = { deadline: Date.now() + CHUNK_TIMEOUT_MS, trace };
    const known = await database.network(context);
    refuseChangedTable(known, chunk);
    const response = await deliver(route, known, chunk, context);
    if (response.ok) {
      const reply = (await response.json()) as ImportChunkReply;
      database.metrics.importedRows.add(reply.rows);
      return reply;
    }
    database.metrics.retried('stale');
    const newer = (await response.json()) as StalePartition;
    if (database.learn(newer) === null) await database.refresh(context);
    if (attempt === STALE_MAX) {
      throw new AtollError('stale', 'the schema or the partitions keep changing; try again', 'none');
    }
  }
}

/** The answer of a partition that has the rows, or that knows a newer network. */
async function deliver(
  route: ChunkRoute,
  known: KnownNetwork,
  chunk: Chunk,
  context: CallContext,
): Promise<Response> {
  const { database, partition, restore } = route;
  const head = headOf(route, known, chunk);
  const send = async (type: string, body: string): Promise<Response> => {
    const response = await database.call(partition, type, body, context);
    if (response.ok || response.status === 421) return response;
    throw await readError(response);
  };
  if (restore !== undefined) return send('restore-chunk', encodeRestoreChunk(head, restore, chunk.rows));
  const { name } = chunk.target.table;
  const shapes = chunk.runs.map(({ shape }) => shape);
  if (!spreadsRows(known, name) && !claimsIds(known, name, shapes))
    return send('import-chunk', encodeImportChunk(head, chunk.rows));
  const startedMs = Date.now();
  return untilItWins({ database, context }, () => {
    const spread = { transaction: attemptId(), startedMs, ring: ringOf(known) };
    return send('import-chunk', encodeImportChunk({ ...head, spread }, chunk.rows));
  });
}

function refuseChangedTable(known: KnownNetwork, { target }: Chunk): void {
  if (known === target.known || targetIn(known, target.table.name).accepts(target)) return;
  throw new AtollError(
    'schema-conflict',
    `${target.table.name} was changed meanwhile: run the import again under its importId`,
    'none',
  );
}

function encodeRestoreChunk(head: ImportChunkHead, restore: string, rows: readonly string[]): string {
  const restored: RestoreChunkHead = { ...head, restore };
  return encodeImportChunk(restored, rows);
}

function headOf({ partition, importId }: ChunkRoute, known: KnownNetwork, chunk: Chunk): ImportChunkHead {
  return {
    epoch: known.epochOf(partition),
    schema: known.schema.version,
    system: known.information.systemIndex,
    table: chunk.target.table.name,
    importId,
    firstLine: chunk.firstLine,
    lastLine: chunk.lastLine,
    runs: chunk.runs.map(({ shape, tagged, rowCount }) => ({
      columns: shape.columns,
      generatesIds: shape.generatesIds,
      tagged: [...tagged],
      rowCount,
    })),
  };
}
