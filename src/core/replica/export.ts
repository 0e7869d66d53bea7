import type { SqlValue } from '../../base/sql-value.ts';
import { AtollError } from '../../protocol/error.ts';
import type { ExportedDefinition, ExportPageHead, ExportPageRequest } from '../../protocol/export.ts';
import { parseJson } from '../../protocol/json-text.ts';
import { decodeRow, encodeRow } from '../../protocol/json-value.ts';
import { definitionOf, type Layout } from '../log/layout.ts';
import { columnSql } from '../log/rows.ts';
import { isInternalName } from '../schema/introspect.ts';
import type { Table } from '../schema/table.ts';
import { bindExact, selectExact } from '../sqlite/exact.ts';
import { literalOf } from '../sqlite/literal.ts';
import type { PortValue, SqlitePort } from '../sqlite/port.ts';
import { quoteName } from '../sqlite/quote.ts';
import type { ExecuteOutcome } from './outcome.ts';
import type { Replica } from './replica.ts';

/** Rows and bytes of values in one page (chosen: a few milliseconds of the partition's one thread). */
const PAGE_ROWS = 1_000;
const PAGE_BYTES = 512 * 1024;

/** One page of an export; `body` of the outcome is described at {@link ExportPageRequest}. */
export function exportPage(replica: Replica, request: ExportPageRequest): ExecuteOutcome {
  const obstacle = replica.obstacle({ ...request, read: true });
  if (obstacle !== null) return obstacle;
  if (request.table === null) return { kind: 'done', body: JSON.stringify(definitions(replica)) };
  const table = replica.schema.table(request.table);
  if (table === undefined) {
    return {
      kind: 'error',
      error: new AtollError('no-such-table', `no such table: ${request.table}`),
    };
  }
  const after = request.after === null ? null : decodeRow(parseJson(request.after) as unknown[]);
  const { rows, next } = readPage(replica.port, table, after);
  const head: ExportPageHead = { next: next === null ? null : encodeRow(next), rowCount: rows.length };
  return { kind: 'done', body: `${JSON.stringify(head)}\n${insertStatements(table, rows)}` };
}

/** Tables and indexes as SQLite has them; views and triggers as their users wrote them, without Atoll's splices. */
function definitions({ port, schema }: Replica): ExportedDefinition[] {
  const { rows } = port.query(
    "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE type IN ('table', 'index') AND sql IS NOT NULL ORDER BY rowid",
  );
  const { views, triggers } = schema.catalogue;
  return [
    ...rows
      .map(([type, name, table, sql]): ExportedDefinition => {
        return {
          type: type === 'index' ? 'index' : 'table',
          name: String(name),
          table: String(table),
          sql: String(sql),
        };
      })
      .filter(({ name, table }) => !isInternalName(name) && !isInternalName(table)),
    ...views.map(({ name, sql }): ExportedDefinition => ({ type: 'view', name, table: name, sql })),
    ...triggers.map(({ name, table, sql }): ExportedDefinition => ({ type: 'trigger', name, table, sql })),
  ];
}

export interface Page {
  /** In the order of the layout's columns. */
  readonly rows: readonly (readonly SqlValue[])[];
  /** Key of the last row when more may follow. */
  readonly next: readonly SqlValue[] | null;
}

export function readPage(
  port: SqlitePort,
  table: Table,
  after: readonly SqlValue[] | null,
  rowsMax = PAGE_ROWS,
): Page {
  const layout = layoutFor(table);
  const columns = layout.columns.map((_, index) => columnSql(layout, index));
  const key = layout.key.map((index) => columns[index] as string).join(', ');
  const bound = after?.map(bindExact) ?? [];
  const where = after === null ? '' : `WHERE (${key}) > (${bound.map(({ sql }) => sql).join(', ')})`;
  const bindings = bound.map(({ binding }) => binding);
  const tail = (limit: number) => `FROM ${quoteName(table.name)} ${where} ORDER BY ${key} LIMIT ${limit}`;
  const { count, more } = rowsThatFit(port, columns, tail(rowsMax), bindings, rowsMax);
  const rows = count === 0 ? [] : selectExact(port, columns, tail(count), bindings);
  const last = rows.at(-1);
  return { rows, next: more && last !== undefined ? layout.key.map((index) => last[index] ?? null) : null };
}

/** Lengths are read before values: SQLite knows them without reading a large value. At least one row fits. */
function rowsThatFit(
  port: SqlitePort,
  columns: readonly string[],
  tail: string,
  bindings: readonly PortValue[],
  rowsMax: number,
): { count: number; more: boolean } {
  const lengths = columns.map((column) => `octet_length(${column})`);
  const { rows } = port.query(`SELECT ${lengths.join(', ')} ${tail}`, ...bindings);
  let bytes = 0;
  let count = 0;
  for (const row of rows) {
    for (const length of row) bytes += Number(length ?? 0);
    if (count > 0 && bytes > PAGE_BYTES) break;
    count++;
  }
  return { count, more: count < rows.length || count === rowsMax };
}

/** As its rows are read; not that of the log. */
export function layoutFor(table: Table): Layout {
  return { ...definitionOf(table), layout: 0, tableId: table.id, current: true };
}

/** Where SQLite puts values by position nothing is named: dumps are mostly this text. */
function insertStatements(table: Table, rows: Page['rows']): string {
  const layout = layoutFor(table);
  // A hidden rowid is kept only where it decides the row's partition; elsewhere nobody can rely on it.
  const drop = layout.hiddenRowid && !isKeyedByRowid(table) ? 1 : 0;
  const bare =
    !(layout.hiddenRowid && drop === 0) && table.columns.every(({ generated }) => generated === 'no');
  const names = layout.columns.slice(drop).map((_, index) => columnSql(layout, index + drop));
  const prefix = `INSERT INTO ${quoteName(table.name)}${bare ? '' : `(${names.join(',')})`} VALUES(`;
  let text = '';
  for (const row of rows) {
    text += prefix;
    for (let i = drop; i < row.length; i++) text += (i > drop ? ',' : '') + literalOf(row[i] ?? null);
    text += ');\n';
  }
  return text;
}

function isKeyedByRowid({ placement, rowidName }: Table): boolean {
  return placement.kind === 'partitioned' && placement.key.length === 1 && placement.key[0] === rowidName;
}
