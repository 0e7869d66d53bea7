import { asciiLower } from '../../base/ascii.ts';
import { AtollError } from '../../protocol/error.ts';
import type { SqliteError } from '../sqlite/port.ts';
import { quoteName } from '../sqlite/quote.ts';
import type { CommonTable, Limit, Node, Span } from './ast.ts';
import type { Edit } from './splice.ts';
import { findAll } from './walk.ts';

/**
 * Rows that one recursive common table expression may give. Nothing interrupts SQLite inside a Durable Object,
 * so an endless one would block every object of the process for ever (chosen: a third of a second).
 */
export const RECURSION_ROWS_MAX = 1_000_000;

/** SQLite has no function that raises an error; this path, which is none, makes one that can be told. */
const MARK = '_atoll_recursion';

/**
 * Puts an end to every recursive common table expression in `node`. The recursion gets a LIMIT of one row more
 * than is allowed, which ends it, and whoever reads that last row gets an error, so that no answer is cut short
 * silently:
 *
 *     c(x) AS (WITH RECURSIVE c(x) AS (…the body… LIMIT max + 1)
 *              SELECT x FROM (SELECT *, row_number() OVER () AS n FROM c) WHERE n <= max OR error(n) …its LIMIT…)
 *
 * The inner name shadows the outer one. Rows are still handed out as they are made, so a LIMIT of the body or
 * of the statement around it stops an endless recursion as it does in SQLite. Text is only inserted; nested
 * expressions are bounded each by itself.
 */
export function recursionEdits(node: Node, source: string): Edit[] {
  return findAll(node, 'common-table')
    .filter(isRecursive)
    .flatMap((table) => boundEdits(table, source));
}

/** A last arm that reads the expression itself: https://www.sqlite.org/lang_with.html#recursive_common_table_expressions */
function isRecursive(table: CommonTable): boolean {
  const last = table.select.compounds.at(-1);
  if (last === undefined || last.body.kind !== 'select-core') return false;
  const name = asciiLower(table.name.name);
  return findAll(last.body, 'table').some(
    (each) => each.schema === null && asciiLower(each.name.name) === name,
  );
}

function boundEdits(table: CommonTable, source: string): Edit[] {
  const { start, end, limit } = table.select;
  const name = quoteName(table.name.name);
  const list =
    table.columns === null ? '' : `(${table.columns.map((each) => quoteName(each.name)).join(', ')})`;
  const open = { start, end: start, text: `WITH RECURSIVE ${name}${list} AS (` };
  const columns = columnNames(table, source);
  if (columns !== null) {
    // A LIMIT of the body goes on counting, now what is handed out.
    const at = limit?.start ?? end;
    return [
      open,
      { start: at, end: at, text: `\nLIMIT ${RECURSION_ROWS_MAX + 1}) ${numberedSql(name, columns)} ` },
    ];
  }
  const own = limit === null ? `\nLIMIT ${RECURSION_ROWS_MAX + 1}` : '';
  return [open, ...limitEdits(limit), { start: end, end, text: `${own}) ${countedSql(name)}` }];
}

/** Hands rows out one by one, each with its number behind the scenes. */
function numberedSql(name: string, columns: readonly string[]): string {
  const list = columns.map((column) => `_atoll_counted.${quoteName(column)}`).join(', ');
  return (
    `SELECT ${list} FROM (SELECT *, row_number() OVER () AS _atoll_row FROM ${name}) AS _atoll_counted ` +
    `WHERE _atoll_row <= ${RECURSION_ROWS_MAX} OR json_extract('1', '${MARK}' || _atoll_row)`
  );
}

/** Where only SQLite knows the columns: it makes all rows, and they are counted. */
function countedSql(name: string): string {
  const count = `(SELECT count(*) FROM ${name})`;
  return (
    `SELECT * FROM ${name} UNION ALL SELECT * FROM ${name} ` +
    `WHERE ${count} > ${RECURSION_ROWS_MAX} AND json_extract('1', '${MARK}' || ${count})`
  );
}

/** A LIMIT of the body bounds the recursion itself: to no more than is allowed. A negative one is none. */
function limitEdits(limit: Limit | null): Edit[] {
  if (limit === null) return [];
  const { count, offset } = limit;
  const max = RECURSION_ROWS_MAX + 1;
  const edits = around(count, 'min(ifnull(nullif(max(', `, -1), -1), ${max}), ${max})`);
  if (offset === null) return edits;
  const check = `iif(n > ${RECURSION_ROWS_MAX}, json_extract('1', '${MARK}' || n), n)`;
  return [...edits, ...around(offset, `(SELECT ${check} FROM (SELECT `, ' AS n))')];
}

function around({ start, end }: Span, before: string, after: string): Edit[] {
  return [
    { start, end: start, text: before },
    { start: end, end, text: after },
  ];
}

/** Names of the expression's columns where its text tells them, each once; else null. */
function columnNames({ columns, select }: CommonTable, source: string): string[] | null {
  const names = columns === null ? namesOfBody(select.body, source) : columns.map((column) => column.name);
  if (names === null || new Set(names.map(asciiLower)).size < names.length) return null;
  return names;
}

function namesOfBody(body: CommonTable['select']['body'], source: string): string[] | null {
  if (body.kind === 'values') return body.rows[0]?.items.map((_, index) => `column${index + 1}`) ?? null;
  const names: string[] = [];
  for (const column of body.columns) {
    if (column.kind === 'result-star') return null;
    const { alias, expression, start, end } = column;
    const plain = expression.kind === 'column' && expression.name.name;
    names.push(alias?.name ?? (plain || source.slice(start, end)));
  }
  return names;
}

/** What a caller is to see when {@link recursionEdits} has stopped a statement; null for any other error. */
export function recursionError(error: SqliteError): AtollError | null {
  if (!error.message.includes(`'${MARK}`)) return null;
  return new AtollError(
    'result-too-large',
    `a recursive common table expression gives more than ${RECURSION_ROWS_MAX} rows: end it by a condition or a LIMIT`,
    'none',
  );
}
