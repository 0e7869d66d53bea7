import type { Expression, Limit, OrderingTerm } from './ast.ts';
import type { Cursor } from './cursor.ts';
import * as T from './token.ts';

/** One or more expressions between commas. */
export function parseExpressions(cursor: Cursor): Expression[] {
  const { expression } = cursor.grammar;
  const list = [expression(cursor)];
  while (cursor.take(T.COMMA)) list.push(expression(cursor));
  return list;
}

/** `(…)` with any number of expressions. */
export function parseArguments(cursor: Cursor): Expression[] {
  cursor.expect(T.OPEN);
  const list = cursor.kind === T.CLOSE ? [] : parseExpressions(cursor);
  cursor.expect(T.CLOSE);
  return list;
}

/** `a DESC NULLS LAST, b`. */
export function parseOrderingTerms(cursor: Cursor): OrderingTerm[] {
  const terms = [parseOrderingTerm(cursor)];
  while (cursor.take(T.COMMA)) terms.push(parseOrderingTerm(cursor));
  return terms;
}

function parseOrderingTerm(cursor: Cursor): OrderingTerm {
  const { start } = cursor;
  const expression = cursor.grammar.expression(cursor);
  const direction = parseDirection(cursor);
  let nulls: 'FIRST' | 'LAST' | null = null;
  if (cursor.take(T.NULLS)) {
    if (cursor.take(T.FIRST)) nulls = 'FIRST';
    else if (cursor.take(T.LAST)) nulls = 'LAST';
    else cursor.fail('FIRST', 'LAST');
  }
  return { kind: 'ordering-term', start, end: cursor.end, expression, direction, nulls };
}

/** ASC or DESC if it is there. */
export function parseDirection(cursor: Cursor): 'ASC' | 'DESC' | null {
  if (cursor.take(T.ASC)) return 'ASC';
  return cursor.take(T.DESC) ? 'DESC' : null;
}

/** ORDER BY … if it is there. */
export function parseOrderBy(cursor: Cursor): OrderingTerm[] | null {
  if (!cursor.take(T.ORDER)) return null;
  cursor.expect(T.BY);
  return parseOrderingTerms(cursor);
}

/** WHERE … if it is there. */
export function parseWhere(cursor: Cursor): Expression | null {
  return cursor.take(T.WHERE) ? cursor.grammar.expression(cursor) : null;
}

/** LIMIT … if it is there; in `LIMIT m, n` the first is the offset. */
export function parseLimit(cursor: Cursor): Limit | null {
  const { start } = cursor;
  if (!cursor.take(T.LIMIT)) return null;
  const { expression } = cursor.grammar;
  const first = expression(cursor);
  if (cursor.take(T.OFFSET)) {
    const offset = expression(cursor);
    return { kind: 'limit', start, end: cursor.end, count: first, offset };
  }
  if (cursor.take(T.COMMA)) {
    const count = expression(cursor);
    return { kind: 'limit', start, end: cursor.end, count, offset: first };
  }
  return { kind: 'limit', start, end: cursor.end, count: first, offset: null };
}
