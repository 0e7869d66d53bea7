import { assert } from '../../base/assert.ts';
import { AtollError } from '../../protocol/error.ts';
import type { ImportChunkHead, ImportChunkReply, ImportRun } from '../../protocol/import.ts';
import { failureOf } from '../execution/failure.ts';
import type { Schema } from '../schema/catalogue.ts';
import { type KeyColumn, tokenOfKey } from '../schema/partition-key.ts';
import type { Table } from '../schema/table.ts';
import { SqliteError, type SqlitePort } from '../sqlite/port.ts';
import { quoteName } from '../sqlite/quote.ts';
import type { Lock } from '../transaction/lock.ts';
import { IMPORTS } from './bookkeeping.ts';

/** What a chunk needs of the replica that inserts it. */
export interface ImportContext {
  readonly port: SqlitePort;
  readonly schema: Schema;
  /** `given`: ids that must not be among them, whatever the table holds. */
  takeIdentifiers(table: Table, count: number, given: readonly number[]): number[];
  /** Throws where the row is refused for something that a prepared transaction may take back. */
  readonly blocked: (error: SqliteError) => void;
}

/**
 * Inserts a chunk's rows but those that the stored watermark says are in already, and advances the watermark, in the
 * transaction that is open. Nothing is twice in since a row beyond the watermark was never inserted under this id,
 * and nothing is left out since chunks of one import reach a partition in order, each after the one before it is
 * confirmed.
 *
 * @throws AtollError that names the line in `detail.line`; the transaction must be undone then
 */
export function insertChunk(
  context: ImportContext,
  head: ImportChunkHead,
  rows: readonly string[],
): ImportChunkReply {
  const table = context.schema.table(head.table);
  if (table === undefined) throw new AtollError('no-such-table', `no such table: ${head.table}`);
  const id = head.importId === null ? null : watermarkId(table, head.importId);
  const watermark = id === null ? 0 : readWatermark(context.port, id);
  if (watermark >= head.lastLine) return { rows: 0, skipped: rows.length };
  let at = 0;
  let inserted = 0;
  let tried = 0;
  for (const run of head.runs) {
    let texts = rows.slice(at, at + run.rowCount);
    assert(texts.length === run.rowCount, 'a chunk has the rows that its head counts');
    at += run.rowCount;
    if (watermark >= head.firstLine) texts = texts.filter((text) => lineOf(text) > watermark);
    if (texts.length === 0) continue;
    tried += texts.length;
    inserted += insertRun(context, table, run, texts);
  }
  assert(at === rows.length, 'a chunk has no more rows than its head counts');
  if (id !== null) writeWatermark(context.port, id, head.lastLine);
  return { rows: inserted, skipped: rows.length - tried };
}

/** Lines of the rows that would be inserted, in their order. */
export function importedLines(
  port: SqlitePort,
  table: Table,
  { importId }: ImportChunkHead,
  rows: readonly string[],
): number[] {
  const watermark = importId === null ? 0 : readWatermark(port, watermarkId(table, importId));
  return rows.map(lineOf).filter((line) => line > watermark);
}

/** Held by a chunk that is not decided yet: one after another, as the watermark goes. */
export function watermarkLock(table: Table, importId: string): Lock {
  const token = tokenOfKey([watermarkId(table, importId)], WATERMARK_KEY);
  return { table: IMPORTS.id, token, exclusive: true };
}

const WATERMARK_KEY: readonly KeyColumn[] = [{ affinity: 'TEXT', collation: 'BINARY' }];

/** A table's id, since one id of a client may well be used for several tables. */
function watermarkId(table: Table, importId: string): string {
  return `${table.id}/${importId}`;
}

function readWatermark(port: SqlitePort, id: string): number {
  const row = port.query('SELECT line FROM _atoll_imports WHERE import_id = ?', id).rows[0];
  return row === undefined ? 0 : Number(row[0]);
}

function writeWatermark(port: SqlitePort, id: string, line: number): void {
  port.query('INSERT INTO _atoll_imports VALUES (?1, ?2) ON CONFLICT DO UPDATE SET line = ?2', id, line);
}

export function lineOf(row: string): number {
  return Number(row.slice(1, row.indexOf(',')));
}

/** Rows that were inserted: a table may declare ON CONFLICT IGNORE. */
function insertRun(context: ImportContext, table: Table, run: ImportRun, texts: readonly string[]): number {
  const { port } = context;
  const sql = insertSql(table, run);
  let rows = texts;
  if (run.generatesIds) {
    const ids = context.takeIdentifiers(table, texts.length, []);
    rows = texts.map((text, index) => `[${ids[index]},${text.slice(1)}`);
  }
  try {
    port.query(sql, `[${rows.join(',')}]`);
  } catch (error) {
    if (!(error instanceof SqliteError) || !concernsARow(error)) throw error;
    context.blocked(error);
    const line = lineOf(texts[firstFailing(port, sql, rows)] as string);
    const { code, message, detail } = failureOf(error);
    throw new AtollError(code, `line ${line}: ${message}`, 'none', { ...detail, line });
  }
  return Number(port.query('SELECT changes()').rows[0]?.[0]);
}

/** Not what a full disk or a lost file says. */
function concernsARow({ kind }: SqliteError): boolean {
  return kind === 'constraint' || kind === 'syntax' || kind === 'too-big' || kind === 'other';
}

/** One parameter holds all rows: SQLite takes them apart faster than they could be bound one by one (SQL.md). */
function insertSql(table: Table, run: ImportRun): string {
  const tagged = new Set(run.tagged);
  const offset = run.generatesIds ? 2 : 1; // The line comes first, a generated id before it.
  const values = run.columns.map((_, index) => valueSql(offset + index, tagged.has(index)));
  const names = run.columns.map((name) => columnName(table, name));
  if (run.generatesIds) {
    names.unshift(columnName(table, table.rowidColumn ?? table.rowidName ?? 'rowid'));
    values.unshift('value->>0');
  }
  return `INSERT INTO ${quoteName(table.name)} (${names.join(', ')}) SELECT ${values.join(', ')} FROM json_each(?)`;
}

/** A hidden rowid stays bare: quoted it might be taken for text. */
function columnName(table: Table, name: string): string {
  return name === table.rowidName && name !== table.rowidColumn ? name : quoteName(name);
}

function valueSql(index: number, tagged: boolean): string {
  if (!tagged) return `value->>${index}`;
  return (
    `CASE WHEN json_type(value, '$[${index}].b') IS NOT NULL THEN unhex(value->${index}->>'b') ` +
    `WHEN json_type(value, '$[${index}].t') IS NOT NULL THEN CAST(unhex(value->${index}->>'t') AS TEXT) ` +
    `ELSE value->>${index} END`
  );
}

/** Thrown to undo what was only tried. */
class Tried extends Error {}

/** Index of the row with which the rows up to it fail, found by halving; all rows together have failed. */
function firstFailing(port: SqlitePort, sql: string, rows: readonly string[]): number {
  let low = 0;
  let high = rows.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (passes(port, sql, rows.slice(0, middle + 1))) low = middle + 1;
    else high = middle;
  }
  return low;
}

function passes(port: SqlitePort, sql: string, rows: readonly string[]): boolean {
  try {
    return port.transaction((): boolean => {
      port.query(sql, `[${rows.join(',')}]`);
      throw new Tried();
    });
  } catch (error) {
    if (error instanceof Tried) return true;
    if (error instanceof SqliteError) return false;
    throw error;
  }
}
