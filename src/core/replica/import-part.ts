import { asciiLower } from '../../base/ascii.ts';
import { present } from '../../base/assert.ts';
import { AtollError, type ErrorDetail } from '../../protocol/error.ts';
import type { ImportChunk, ImportChunkReply } from '../../protocol/import.ts';
import { encodeRow } from '../../protocol/json-value.ts';
import { keyOf, layoutOf, readLayouts } from '../log/layout.ts';
import { readCaptured } from '../log/read.ts';
import { integerId } from '../plan/given-ids.ts';
import { importPlan } from '../plan/import.ts';
import { looseIdColumn } from '../schema/loose-ids.ts';
import { locksBesideRows, wholePartition } from '../transaction/footprint.ts';
import type { Lock } from '../transaction/lock.ts';
import type { Holder } from '../transaction/lock-table.ts';
import { freeing } from './freed.ts';
import type { Work } from './group.ts';
import type { IdentifierSource } from './identifiers.ts';
import { importedLines, insertChunk, lineOf, watermarkLock } from './import.ts';
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
  { takeIdentifiers }: IdentifierSource = replica.identifiers,
): ImportChunkReply {
  const { port, schema } = replica;
  const context = {
    port,
    schema,
    takeIdentifiers,
    blocked: (error: unknown) => blocked(freeing(replica, transaction, error)),
  };
  return insertChunk(context, head, rows);
}

/**
 * The ids that the chunk's rows give, where ids do not say where a row is: every partition is to be asked for them. Rows that
 * are in already give none.
 */
export function chunkIds({ port, schema }: Replica, { head, rows }: ImportChunk): bigint[] {
  const table = schema.table(head.table);
  const column = table === undefined ? null : looseIdColumn(table);
  if (table === undefined || column === null) return [];
  const lines = new Set(importedLines(port, table, head, rows));
  let at = 0;
  return head.runs.flatMap(({ columns, generatesIds, rowCount }) => {
    const own = rows.slice(at, at + rowCount).filter((row) => lines.has(lineOf(row)));
    at += rowCount;
    const place = columns.findIndex((name) => asciiLower(name) === asciiLower(column));
    if (generatesIds || place < 0 || own.length === 0) return [];
    // As the rows are taken apart when they are inserted; the line comes first.
    const sql = `SELECT CAST(value->>${place + 1} AS TEXT) FROM json_each(?)`;
    const texts = port.query(sql, `[${own.join(',')}]`).rows;
    return texts.flatMap(([text]) => integerId(text === null ? null : String(text)) ?? []);
  });
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
  const isWanted = (columns: readonly string[], values: unknown) =>
    JSON.stringify([columns, values]) === wanted;
  const id = looseIdColumn(table);
  const at = created.findIndex((change) => {
    const layout = layoutOf(layouts, change);
    const image = present(change.after, 'a row that came');
    if (id !== null && isWanted([id], JSON.parse(encodeRow(keyOf(layout, image))))) return true;
    return schema.uniquesOf(table).some((index) => {
      const entry = entryOf(index, layout, image);
      return entry !== null && isWanted(index.columns, valuesOf(index, entry));
    });
  });
  return lines[at] ?? null;
}
