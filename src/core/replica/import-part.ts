import { present } from '../../base/assert.ts';
import { AtollError, type ErrorDetail } from '../../protocol/error.ts';
import type { ImportChunk, ImportChunkReply } from '../../protocol/import.ts';
import { layoutOf, readLayouts } from '../log/layout.ts';
import { readCaptured } from '../log/read.ts';
import { importPlan } from '../plan/import.ts';
import { locksBesideRows, wholePartition } from '../transaction/footprint.ts';
import type { Lock } from '../transaction/lock.ts';
import type { Holder } from '../transaction/lock-table.ts';
import { freeing } from './freed.ts';
import type { Work } from './group.ts';
import { importedLines, insertChunk, watermarkLock } from './import.ts';
import type { Replica } from './replica.ts';
import { entryOf, valuesOf } from './unique-entries.ts';

/** An import's chunk as a part of a transaction: its rows have entries in indexes over partitions. */

/** What it needs before its rows are in; their own locks follow from what they are. */
export function chunkLocks({ schema }: Replica, { head }: ImportChunk): Lock[] {
  const table = schema.table(head.table);
  if (table === undefined) return wholePartition('write');
  const plan = importPlan(schema, table);
  const isWrite = plan.kind === 'route' || plan.kind === 'scatter-write';
  const locks = isWrite ? locksBesideRows(plan, schema) : wholePartition('write');
  return head.importId === null ? locks : [...locks, watermarkLock(table, head.importId)];
}

/**
 * Inserts the rows in the transaction that is open. `blocked` is told who may take back what a row is refused for.
 *
 * @throws AtollError that names the line
 */
export function runChunk(
  replica: Replica,
  transaction: string,
  { head, rows }: ImportChunk,
  blocked: (holders: readonly Holder[]) => void,
): ImportChunkReply {
  const { port, schema } = replica;
  const { takeIdentifiers } = replica.identifiers;
  const context = {
    port,
    schema,
    takeIdentifiers,
    blocked: (error: unknown) => blocked(freeing(replica, transaction, error)),
  };
  return insertChunk(context, head, rows);
}

/**
 * Says which line a chunk was refused for by another partition, where nobody knows of lines: inserts the rows once more and
 * undoes it. The outcome is the error.
 */
export function refusedWork(replica: Replica, chunk: ImportChunk, error: AtollError): Work {
  return {
    read: false,
    run: () => {
      const { code, message, detail } = error;
      const { firstLine, lastLine } = chunk.head;
      const line = lineOfValues(replica, chunk, detail);
      if (line !== null) throw new AtollError(code, `line ${line}: ${message}`, 'none', { ...detail, line });
      const lines = { firstLine, lastLine };
      throw new AtollError(code, `lines ${firstLine} to ${lastLine}: ${message}`, 'none', {
        ...detail,
        ...lines,
      });
    },
  };
}

/** The line whose row has the values that an error names (`uniqueViolation`); null where that cannot be told. */
function lineOfValues(replica: Replica, chunk: ImportChunk, detail: ErrorDetail | null): number | null {
  const { port, schema } = replica;
  const { head, rows } = chunk;
  const table = schema.table(head.table);
  if (table === undefined) return null;
  const lines = importedLines(port, table, head, rows);
  try {
    runChunk(replica, '', chunk, () => undefined);
  } catch (error) {
    // What the rows met has changed since.
    if (error instanceof AtollError) return null;
    throw error;
  }
  const layouts = readLayouts(port);
  const created = readCaptured(port).filter(({ tableId, type }) => tableId === table.id && type === 'create');
  // A trigger may have added some.
  if (created.length !== lines.length) return null;
  const wanted = JSON.stringify([detail?.columns, detail?.values]);
  const at = created.findIndex((change) =>
    schema.uniquesOf(table).some((index) => {
      const entry = entryOf(index, layoutOf(layouts, change), present(change.after, 'a row that came'));
      return entry !== null && JSON.stringify([index.columns, valuesOf(index, entry)]) === wanted;
    }),
  );
  return lines[at] ?? null;
}
