import { assert } from '../../base/assert.ts';
import { AtollError } from '../../protocol/error.ts';
import type { Table } from '../schema/table.ts';
import { type Edit, splice } from '../sql/splice.ts';
import type { PortResult, PortValue, SqlitePort } from '../sqlite/port.ts';
import type { SqlValue } from '../sqlite/value.ts';
import { PARAMETERS_MAX } from './arguments.ts';
import { toPort } from './bindings.ts';
import { encodePlainRows, encodeTaggedRows } from './encode-rows.ts';
import type { GeneratedNeed, IdentifierNeed } from './insert-identifiers.ts';
import { classesOfArguments, namesOnlySql, type Prepared, parameterEdits, selectSql } from './prepare.ts';
import { TAG_COLUMN, typedSelect } from './typed-sql.ts';

/** A statement's answer, ready to be put into a reply. */
export interface StatementResult {
  readonly columns: readonly string[];
  /** JSON text: an array of rows, each an array of the public API's values. */
  readonly rows: string;
  readonly rowCount: number;
  readonly rowsAffected: number;
  /** The last id generated or given, of an INSERT into a table with rowids; else null. */
  readonly lastInsertRowid: bigint | null;
}

/** What a statement needs of the replica that runs it. */
export interface ExecutionContext {
  readonly port: SqlitePort;
  /** Largest answer in bytes. */
  readonly answerBytesMax: number;
  takeIdentifiers(table: Table, count: number): number[];
}

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
  const sql = selectSql(prepared, args);
  const bindings = args.map(toPort);
  if (prepared.classes !== null) {
    const result = query(context, sql, bindings);
    const rows = encodePlainRows(result.rows, prepared.classes);
    if (rows !== null) return read(result.columns, rows, result.rows.length);
  }
  // The columns alone do not tell the types, or a value was met that a port reads inexactly.
  prepared.columns ??= context.port.query(namesOnlySql(prepared)).columns;
  const { columns } = prepared;
  const tagged = query(context, typedSelect(sql, columns.length, false), bindings);
  let rows = encodeTaggedRows(tagged.rows);
  if (rows === null)
    rows = encodeTaggedRows(query(context, typedSelect(sql, columns.length, true), bindings).rows);
  assert(rows !== null, 'raw text was read as text');
  return read(columns, rows, tagged.rows.length);
}

function read(columns: readonly string[], rows: string, rowCount: number): StatementResult {
  return { columns, rows, rowCount, rowsAffected: 0, lastInsertRowid: null };
}

function query(context: ExecutionContext, sql: string, bindings: ReturnType<typeof toPort>[]): PortResult {
  const result = context.port.queryBounded(sql, bindings, context.answerBytesMax);
  if (result.truncated) {
    throw new AtollError(
      'result-too-large',
      `the answer is larger than ${context.answerBytesMax} bytes: select fewer columns or add LIMIT`,
    );
  }
  return result;
}

function runWrite(context: ExecutionContext, prepared: Prepared, args: readonly SqlValue[]): StatementResult {
  const { sql, bindings, generated } = writeSql(context, prepared, args);
  const result = query(context, sql, bindings);
  if (prepared.insertsAll !== null && generated !== null) {
    // Every row was inserted, or the statement would have failed: SQLite need not be asked.
    const { columns, rows } = returnedRows(result);
    const rowsAffected = prepared.insertsAll;
    return { columns, rows, rowCount: result.rows.length, rowsAffected, lastInsertRowid: BigInt(generated) };
  }
  const counts = context.port.query('SELECT changes(), CAST(last_insert_rowid() AS TEXT)').rows[0];
  assert(counts !== undefined, 'changes() has a row');
  const rowsAffected = Number(counts[0]);
  const inserted = prepared.parsed.statement.kind === 'insert' && prepared.target?.rowidName !== null;
  return {
    ...returnedRows(result),
    rowCount: result.rows.length,
    rowsAffected,
    lastInsertRowid: inserted && rowsAffected > 0 ? BigInt(String(counts[1])) : null,
  };
}

/** The rows of a RETURNING, whose last column is their tags. */
function returnedRows(result: PortResult): Pick<StatementResult, 'columns' | 'rows'> {
  if (result.columns.at(-1) !== TAG_COLUMN) return { columns: [], rows: '[]' };
  return { columns: result.columns.slice(0, -1), rows: encodeTaggedRows(result.rows, true) ?? '[]' };
}

interface Bound {
  readonly sql: string;
  readonly bindings: PortValue[];
  /** The id of the last row, if it is a generated one. */
  readonly generated: number | null;
}

/** The write's text with ids in place, cached by the arguments' classes and by which rows need an id. */
function writeSql(context: ExecutionContext, prepared: Prepared, args: readonly SqlValue[]): Bound {
  const bindings = args.map(toPort);
  const { identifiers, target } = prepared;
  if (identifiers === null || target === null) {
    const sql = cached(prepared, classesOfArguments(args), () => parameterEdits(prepared, args));
    return { sql, bindings, generated: null };
  }
  if (identifiers.plan.kind === 'select') return insertSelectSql(context, prepared, args, bindings);
  const needing = identifiers.plan.needs.filter((need) => needsIdentifier(need, args));
  const ids = needing.length === 0 ? [] : context.takeIdentifiers(target, needing.length);
  const edits = (idText: (index: number) => string): Edit[] => [
    ...parameterEdits(prepared, args),
    ...identifiers.edits,
    ...needing.map((need, index) => need.edit(idText(index))),
  ];
  const count = prepared.parsed.parameterCount;
  const lastNeeds = needing.at(-1)?.row === identifiers.plan.needs.length - 1;
  const generated = lastNeeds ? (ids.at(-1) ?? null) : null;
  if (count + ids.length > PARAMETERS_MAX) {
    return {
      sql: rewritten(
        prepared,
        edits((index) => String(ids[index])),
      ),
      bindings,
      generated,
    };
  }
  // Which rows need an id depends on the arguments that are NULL, so their places are part of the key.
  const key = `${classesOfArguments(args)}/${needing.map((need) => need.row).join()}`;
  const sql = cached(prepared, key, () => edits((index) => `?${count + 1 + index}`));
  return { sql, bindings: [...bindings, ...ids], generated };
}

function needsIdentifier(need: IdentifierNeed, args: readonly SqlValue[]): need is GeneratedNeed {
  if (need.kind === 'parameter') return (args[need.index - 1] ?? null) === null;
  return need.kind === 'generate';
}

/** INSERT … SELECT: the SELECT is counted first, since ids are taken before they are used. */
function insertSelectSql(
  context: ExecutionContext,
  prepared: Prepared,
  args: readonly SqlValue[],
  bindings: PortValue[],
): Bound {
  const { identifiers, target, parsed } = prepared;
  const { statement } = parsed;
  assert(identifiers !== null && target !== null, 'no ids to generate');
  assert(statement.kind === 'insert' && statement.source !== null, 'ids for a SELECT without a SELECT');
  const edits = parameterEdits(prepared, args);
  const { start, end } = statement.source;
  const inner = edits
    .filter((edit) => edit.start >= start && edit.end <= end)
    .map((edit) => ({ ...edit, start: edit.start - start, end: edit.end - start }));
  const counting = `SELECT count(*) FROM (${splice(prepared.sql.slice(start, end), inner)}\n)`;
  const count = Number(context.port.query(counting, ...bindings).rows[0]?.[0]);
  const first = count === 0 ? 0 : context.takeIdentifiers(target, count)[0];
  const sql = rewritten(prepared, [
    ...edits,
    ...identifiers.edits,
    ...identifiers.selectEdits(String(first)),
  ]);
  return { sql, bindings, generated: null };
}

function cached(prepared: Prepared, key: string, edits: () => Edit[]): string {
  let sql = prepared.variants.get(key);
  if (sql === undefined) {
    sql = rewritten(prepared, edits());
    prepared.variants.set(key, sql);
  }
  return sql;
}

/** An id that stands in a parameter's place makes the parameter's own edit void. */
function rewritten(prepared: Prepared, edits: readonly Edit[]): string {
  const last = new Map<string, Edit>();
  const kept = edits.filter((edit) => edit.start === edit.end);
  for (const edit of edits) if (edit.start < edit.end) last.set(`${edit.start}:${edit.end}`, edit);
  return splice(prepared.sql.slice(0, prepared.parsed.end), [...last.values(), ...kept]);
}
