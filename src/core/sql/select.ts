import type {
  AsOf,
  CommonTable,
  CompoundTerm,
  ResultColumn,
  Select,
  SelectCore,
  Values,
  ValuesRow,
  With,
} from './ast.ts';
import { type Cursor, isName } from './cursor.ts';
import { parseOptionalFrom } from './from.ts';
import { parseAlias, parseName, parseOptionalNames, startsAsOf, takeIdentifier } from './name.ts';
import { parseExpressions, parseLimit, parseOrderBy, parseWhere } from './term.ts';
import * as T from './token.ts';
import { parseNamedWindows } from './window.ts';

/** A select inside another statement: https://www.sqlite.org/lang_select.html */
export function parseSelect(cursor: Cursor): Select {
  return parseWholeSelect(cursor, cursor.start, parseOptionalWith(cursor), false);
}

/** A select whose WITH was read. `statement`: it is the whole statement, so that AS OF may follow. */
export function parseWholeSelect(
  cursor: Cursor,
  start: number,
  withClause: With | null,
  statement: boolean,
): Select {
  const outer = cursor.open();
  const body = parseBody(cursor);
  let last = body;
  const compounds: CompoundTerm[] = [];
  for (;;) {
    const termStart = cursor.start;
    const operator = parseCompoundOperator(cursor);
    if (operator === null) break;
    last = parseBody(cursor);
    compounds.push({ kind: 'compound', start: termStart, end: cursor.end, operator, body: last });
  }
  // VALUES takes neither: SELECT * FROM (VALUES …) ORDER BY … is how SQLite wants it.
  const orderBy = last.kind === 'values' ? null : parseOrderBy(cursor);
  const limit = last.kind === 'values' ? null : parseLimit(cursor);
  if ((orderBy !== null || limit !== null) && isCompoundOperator(cursor.kind)) {
    const clause = orderBy === null ? 'LIMIT' : 'ORDER BY';
    cursor.reject(`${clause} clause should come after ${cursor.text.toUpperCase()} not before`);
  }
  const asOf = parseAsOf(cursor, statement);
  cursor.close(outer);
  const { end } = cursor;
  return { kind: 'select', start, end, with: withClause, body, compounds, orderBy, limit, asOf };
}

function isCompoundOperator(kind: number): boolean {
  return kind === T.UNION || kind === T.EXCEPT || kind === T.INTERSECT;
}

function parseCompoundOperator(cursor: Cursor): CompoundTerm['operator'] | null {
  if (cursor.take(T.UNION)) return cursor.take(T.ALL) ? 'UNION ALL' : 'UNION';
  if (cursor.take(T.EXCEPT)) return 'EXCEPT';
  return cursor.take(T.INTERSECT) ? 'INTERSECT' : null;
}

function parseAsOf(cursor: Cursor, statement: boolean): AsOf | null {
  const { start } = cursor;
  if (!startsAsOf(cursor)) return null;
  if (!statement) cursor.reject('AS OF goes at the end of a whole SELECT statement');
  cursor.expectAll(T.AS, T.OF);
  const moment = cursor.grammar.expression(cursor);
  return { kind: 'as-of', start, end: cursor.end, moment };
}

function parseBody(cursor: Cursor): SelectCore | Values {
  if (cursor.kind === T.SELECT) return parseCore(cursor);
  if (cursor.kind === T.VALUES) return parseValues(cursor);
  return cursor.fail('SELECT', 'VALUES');
}

function parseCore(cursor: Cursor): SelectCore {
  const { start } = cursor;
  cursor.advance();
  const distinct = cursor.take(T.DISTINCT);
  if (!distinct) cursor.take(T.ALL);
  const columns = parseResultColumns(cursor);
  const from = parseOptionalFrom(cursor);
  const where = parseWhere(cursor);
  let groupBy = null;
  if (cursor.take(T.GROUP)) {
    cursor.expect(T.BY);
    groupBy = parseExpressions(cursor);
  }
  const having = cursor.take(T.HAVING) ? cursor.grammar.expression(cursor) : null;
  let windows = null;
  if (cursor.isWindow) {
    cursor.advance();
    windows = parseNamedWindows(cursor);
  }
  const { end } = cursor;
  return { kind: 'select-core', start, end, distinct, columns, from, where, groupBy, having, windows };
}

function parseValues(cursor: Cursor): Values {
  const { start } = cursor;
  cursor.advance();
  const rows: ValuesRow[] = [];
  do {
    const rowStart = cursor.start;
    cursor.expect(T.OPEN);
    const items = parseExpressions(cursor);
    cursor.expect(T.CLOSE);
    rows.push({ kind: 'values-row', start: rowStart, end: cursor.end, items });
  } while (cursor.take(T.COMMA));
  return { kind: 'values', start, end: cursor.end, rows };
}

/** The columns of SELECT and of RETURNING. */
export function parseResultColumns(cursor: Cursor): ResultColumn[] {
  const columns = [parseResultColumn(cursor)];
  while (cursor.take(T.COMMA)) columns.push(parseResultColumn(cursor));
  return columns;
}

function parseResultColumn(cursor: Cursor): ResultColumn {
  const { start } = cursor;
  if (cursor.take(T.STAR)) return { kind: 'result-star', start, end: cursor.end, table: null };
  if (cursor.peek(1) === T.DOT && cursor.peek(2) === T.STAR && isName(cursor.kind)) {
    const table = takeIdentifier(cursor);
    cursor.expectAll(T.DOT, T.STAR);
    return { kind: 'result-star', start, end: cursor.end, table };
  }
  const expression = cursor.grammar.expression(cursor);
  const alias = parseAlias(cursor);
  return { kind: 'result-expression', start, end: cursor.end, expression, alias };
}

/** WITH … if it is there: https://www.sqlite.org/lang_with.html */
export function parseOptionalWith(cursor: Cursor): With | null {
  const { start } = cursor;
  if (!cursor.take(T.WITH)) return null;
  const recursive = cursor.take(T.RECURSIVE);
  const tables = [parseCommonTable(cursor)];
  while (cursor.take(T.COMMA)) tables.push(parseCommonTable(cursor));
  return { kind: 'with', start, end: cursor.end, recursive, tables };
}

function parseCommonTable(cursor: Cursor): CommonTable {
  const { start } = cursor;
  const outer = cursor.open();
  const name = parseName(cursor);
  const columns = parseOptionalNames(cursor);
  cursor.expect(T.AS);
  let materialized: boolean | null = null;
  if (cursor.take(T.NOT)) {
    cursor.expect(T.MATERIALIZED);
    materialized = false;
  } else if (cursor.take(T.MATERIALIZED)) {
    materialized = true;
  }
  cursor.expect(T.OPEN);
  const select = parseSelect(cursor);
  cursor.measured();
  cursor.expect(T.CLOSE);
  cursor.close(outer);
  return { kind: 'common-table', start, end: cursor.end, name, columns, materialized, select };
}
