import { assert } from '../../base/assert.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import { toPort } from './bindings.ts';
import { type ExecutionContext, query, type StatementResult } from './context.ts';
import { encodePlainRows, encodeTaggedRows } from './encode-rows.ts';
import { withKeys } from './foreign-key-list.ts';
import { columnNames, type Prepared, selectSql } from './prepare.ts';
import { runWrite } from './run-write.ts';
import { typedSelect } from './typed-sql.ts';

export type { ExecutionContext, StatementResult } from './context.ts';

export function run(
  context: ExecutionContext,
  prepared: Prepared,
  args: readonly SqlValue[],
): StatementResult {
  return prepared.access === 'read' ? runSelect(context, prepared, args) : runWrite(context, prepared, args);
}

function runSelect(
  context: ExecutionContext,
  prepared: Prepared,
  args: readonly SqlValue[],
): StatementResult {
  if (prepared.parsed.statement.kind === 'pragma') return runPragma(context, prepared);
  const sql = selectSql(prepared, args);
  const bindings = args.map(toPort);
  if (prepared.classes !== null) {
    const result = query(context, sql, bindings);
    const rows = encodePlainRows(result.rows, prepared.classes);
    if (rows !== null) return read(result.columns, rows, result.rows.length, result.truncated);
  }
  // The columns alone do not tell the types, or a value was met that a port reads inexactly.
  prepared.columns ??= columnNames(prepared, context.port);
  const { columns, evaluateOnce } = prepared;
  const typed = (rawText: boolean) =>
    query(context, typedSelect(sql, columns.length, { rawText, evaluateOnce }), bindings);
  let tagged = typed(false);
  let rows = encodeTaggedRows(tagged.rows);
  if (rows === null) {
    // Of a page there may be fewer rows now: raw text is longer.
    tagged = typed(true);
    rows = encodeTaggedRows(tagged.rows);
  }
  assert(rows !== null, 'raw text was read as text');
  return read(columns, rows, tagged.rows.length, tagged.truncated);
}

/** A PRAGMA that reads the schema: names, texts and whole numbers. What is Atoll's own is left out. */
function runPragma(context: ExecutionContext, { sql, parsed, keys }: Prepared): StatementResult {
  const { columns, rows } = context.port.query(sql.slice(parsed.start, parsed.end));
  const named = columns.indexOf('name');
  const shown = withKeys(rows, keys).filter((row) => !/^(_?atoll|_cf)_/i.test(String(row[named] ?? '')));
  const classes = columns.map(() => 'integer' as const);
  const encoded = encodePlainRows(shown, classes);
  assert(encoded !== null, 'a PRAGMA reads names and small numbers');
  return read(columns, encoded, shown.length, false);
}

function read(columns: readonly string[], rows: string, rowCount: number, more: boolean): StatementResult {
  return { columns, rows, rowCount, rowsAffected: 0, lastInsertRowid: null, more };
}
