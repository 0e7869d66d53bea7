import { asciiLower } from '../../base/ascii.ts';
import { present } from '../../base/assert.ts';
import { AtollError } from '../../protocol/error.ts';
import { isAggregate, volatility } from '../sql/analysis/functions.ts';
import type { Insert, Node, ResultColumn, SelectCore, TableName } from '../sql/ast.ts';
import { parseStatement } from '../sql/parse.ts';
import { type Edit, splice } from '../sql/splice.ts';
import { findAll } from '../sql/walk.ts';
import { quoteName, quoteText } from '../sqlite/quote.ts';
import { instantEdits } from './copy-instant.ts';
import type { PlainTable } from './introspect.ts';
import { copyRefused } from './refused-change.ts';

/**
 * `INSERT INTO into SELECT … FROM from`, as the rebuild of a table has it: each row becomes one row, in the partition where it is, and the
 * same one wherever it is run. Columns by lower-case name.
 */
export interface Copy {
  /** What is to be run. */
  readonly sql: string;
  /** Columns of the new table that get the values of a column of the old one as they are, and which. */
  readonly carried: ReadonlyMap<string, string>;
}

/** What a statement copies from, as far as it is a copy. */
export interface WrittenCopy {
  readonly insert: Insert;
  readonly core: SelectCore;
  readonly from: TableName;
}

/** @throws AtollError for an INSERT that is not a row-by-row copy of one table */
export function readCopy(insert: Insert): WrittenCopy {
  const { source } = insert;
  if (source === null || source.body.kind !== 'select-core' || source.compounds.length > 0) throw noCopy();
  const core = source.body;
  const from = core.from?.first;
  if (from?.kind !== 'table' || core.from?.joins.length !== 0) throw noCopy();
  if (insert.or !== null || insert.upserts.length > 0 || insert.returning !== null) {
    throw copyRefused('OR …, ON CONFLICT and RETURNING do not go with it');
  }
  const reduces = core.distinct || core.groupBy !== null || core.having !== null;
  const chooses = core.where !== null || source.limit !== null;
  if (reduces || chooses || core.windows !== null || insert.with !== null || source.with !== null) {
    throw copyRefused('all rows are copied: change or delete rows before or afterwards');
  }
  if (source.orderBy !== null) throw copyRefused('leave ORDER BY out: rows keep their places');
  for (const column of core.columns) refuseOtherRows(column);
  return { insert, core, from };
}

function noCopy(): AtollError {
  return new AtollError(
    'unsupported',
    'with schema changes goes only INSERT INTO new SELECT … FROM old, where new is created and old is dropped with it; send other writes by ' +
      'themselves',
  );
}

/** Of the C library, which is another one for each host (https://www.sqlite.org/lang_mathfunc.html). */
const INEXACT: ReadonlySet<string> = new Set(
  'acos acosh asin asinh atan atan2 atanh cos cosh degrees exp ln log log10 log2 pow power radians sin sinh tan tanh'.split(
    ' ',
  ),
);

function refuseOtherRows(node: Node): void {
  const other = findAll(node, 'in').filter(({ source }) => source.kind !== 'in-list');
  const subqueries = [...findAll(node, 'subquery'), ...findAll(node, 'exists'), ...other];
  if (subqueries.length > 0) throw copyRefused('subqueries do not go with it');
  for (const call of findAll(node, 'function')) {
    const volatile = volatility(call.function);
    if (volatile !== null)
      throw copyRefused(`${call.function}() would answer otherwise in every copy of the partition`);
    if (call.over !== null || isAggregate(call))
      throw copyRefused(`${call.function}() looks at several rows`);
    if (INEXACT.has(call.function))
      throw copyRefused(
        `the last digit of ${call.function}() depends on the machine: copy first, then UPDATE`,
      );
  }
}

/**
 * The copy in full: rowids that no column shows are carried along; the clock, in defaults of columns that are left out too, is
 * read once, at `instant` (a time value: https://www.sqlite.org/lang_datefunc.html#time_values).
 *
 * @throws AtollError for what would not be the same everywhere
 */
export function planCopy(
  source: string,
  written: WrittenCopy,
  into: PlainTable,
  from: PlainTable,
  instant: string,
): Copy {
  const { insert, core } = written;
  const stored = into.columns.filter(({ generated }) => generated === 'no').map(({ name }) => name);
  const targets = insert.columns?.map(({ name }) => name) ?? stored;
  const results = core.columns.flatMap((column) => resultsOf(column, from));
  if (results.length !== targets.length) {
    throw new AtollError('syntax', `${results.length} values for ${targets.length} columns of ${into.name}`);
  }
  const twice = targets.find((name, index) => targets.findIndex((each) => isSame(into, each, name)) < index);
  if (twice !== undefined) throw copyRefused(`it names ${twice} twice`);
  refuseConflictClauses(into);
  for (const table of [into, from]) refuseOddColumns(table);
  const carried = new Map<string, string>();
  for (const [index, target] of targets.entries()) {
    const column = results[index] ?? null;
    const name = canonical(into, target);
    // What is stored is the same value only with the same affinity.
    if (column !== null && affinityIn(into, name) === affinityIn(from, column)) carried.set(name, column);
  }
  const now = quoteText(instant);
  const more = [...rowidAlong(written, targets, into, from, carried), ...timedDefaults(into, targets, now)];
  const names = more.map(({ target }) => quoteName(target));
  const columns =
    insert.columns === null
      ? insertion(insert.table.end, ` (${[...names, ...stored.map(quoteName)].join(', ')})`)
      : insertion(present(insert.columns[0], 'a column list is not empty').start, inFront(names));
  const values = insertion(
    present(core.columns[0], 'a SELECT has columns').start,
    inFront(more.map(({ value }) => value)),
  );
  const edits = more.length === 0 ? [] : [columns, values];
  return { sql: splice(source, [...edits, ...instantEdits(core, source, now)]), carried };
}

function insertion(at: number, text: string): Edit {
  return { start: at, end: at, text };
}

function inFront(items: readonly string[]): string {
  return items.map((item) => `${item}, `).join('');
}

/** Of what the column gives, for each value the column of `from` that it is; null: something else. */
function resultsOf(column: ResultColumn, from: PlainTable): (string | null)[] {
  if (column.kind === 'result-star') return from.columns.map(({ name }) => asciiLower(name));
  const { expression } = column;
  if (expression.kind !== 'column') return [null];
  const name = canonical(from, expression.name.name);
  // A name in double quotes that no column has is a text.
  return [
    name === rowidOf(from) || from.columns.some((each) => asciiLower(each.name) === name) ? name : null,
  ];
}

/** By which the rowid is known here; null: there is none, or it cannot be reached. */
export function rowidOf({ withoutRowid, rowidColumn, rowidName }: PlainTable): string | null {
  const name = withoutRowid ? null : (rowidColumn ?? rowidName);
  return name === null ? null : asciiLower(name);
}

function isSame(table: PlainTable, a: string, b: string): boolean {
  return canonical(table, a) === canonical(table, b);
}

/** Of a column by canonical name; a rowid's otherwise. */
function affinityIn({ columns }: PlainTable, name: string): string {
  return columns.find((column) => asciiLower(column.name) === name)?.affinity ?? 'INTEGER';
}

/** A row that does not fit would go, or get another value, without a word. */
function refuseConflictClauses({ name, sql }: PlainTable): void {
  const { statement } = parseStatement(sql);
  const conflict = CONSTRAINTS.flatMap((kind) => findAll(statement, kind)).find(
    ({ onConflict }) => onConflict === 'IGNORE' || onConflict === 'REPLACE',
  );
  if (conflict !== undefined)
    throw copyRefused(`ON CONFLICT ${conflict.onConflict} in the definition of ${name}: leave it out`);
}

/** They are computed for the copy, or are what is copied. */
function refuseOddColumns({ sql }: PlainTable): void {
  for (const generated of findAll(parseStatement(sql).statement, 'generated')) refuseOtherRows(generated);
}

const CONSTRAINTS = [
  'primary-key-column',
  'primary-key-table',
  'not-null',
  'unique-column',
  'unique-table',
  'check',
] as const;

function canonical(table: PlainTable, name: string): string {
  const lower = asciiLower(name);
  if (table.columns.some((column) => asciiLower(column.name) === lower)) return lower;
  const isRowid = lower === 'rowid' || lower === '_rowid_' || lower === 'oid';
  return (isRowid ? rowidOf(table) : null) ?? lower;
}

interface Along {
  readonly target: string;
  readonly value: string;
}

/** SQLite would number the rows of a table whose rowid is no column anew. */
function rowidAlong(
  { from: source }: WrittenCopy,
  targets: readonly string[],
  into: PlainTable,
  from: PlainTable,
  carried: Map<string, string>,
): Along[] {
  const [target, value] = [rowidOf(into), rowidOf(from)];
  if (target === null || value === null || into.rowidColumn !== null) return [];
  if (targets.some((name) => canonical(into, name) === target)) return [];
  carried.set(target, value);
  const table = source.alias?.name ?? source.name.name;
  return [{ target, value: `${quoteName(table)}.${quoteName(value)}` }];
}

/** Defaults that read the clock. */
function timedDefaults(into: PlainTable, targets: readonly string[], now: string): Along[] {
  const given = new Set(targets.map(asciiLower));
  return into.columns.flatMap(({ name, defaultSql, generated }) => {
    if (defaultSql === null || generated !== 'no' || given.has(asciiLower(name))) return [];
    const sql = `SELECT (${defaultSql})`;
    const { statement } = parseStatement(sql);
    refuseOtherRows(statement);
    const edits = instantEdits(statement, sql, now);
    return edits.length === 0 ? [] : [{ target: name, value: splice(sql, edits).slice('SELECT '.length) }];
  });
}
