import type { Expression, FunctionCall, OrderingTerm } from './ast.ts';
import type { Cursor } from './cursor.ts';
import { parseName, takeIdentifier } from './name.ts';
import { parseExpressions, parseOrderBy } from './term.ts';
import * as T from './token.ts';
import { parseWindowDefinition } from './window.ts';

/** A function call with all that can hang on it: https://www.sqlite.org/lang_aggfunc.html#aggfunclist */
export function parseCall(cursor: Cursor): FunctionCall {
  const { start } = cursor;
  const outer = cursor.open();
  const name = takeIdentifier(cursor);
  cursor.expect(T.OPEN);
  let distinct = false;
  let list: Expression[] = [];
  let orderBy: OrderingTerm[] | null = null;
  const star = cursor.take(T.STAR);
  if (!star) {
    distinct = cursor.take(T.DISTINCT);
    if (!distinct) cursor.take(T.ALL);
    if (cursor.kind !== T.CLOSE && cursor.kind !== T.ORDER) list = parseExpressions(cursor);
    orderBy = parseOrderBy(cursor);
  }
  cursor.expect(T.CLOSE);
  const filter = cursor.isFilter ? parseFilter(cursor) : null;
  let over: FunctionCall['over'] = null;
  if (cursor.isOver) {
    cursor.advance();
    over = cursor.kind === T.OPEN ? parseWindowDefinition(cursor) : parseName(cursor);
  }
  cursor.close(outer);
  const { end } = cursor;
  const lower = name.name.toLowerCase();
  return {
    kind: 'function',
    start,
    end,
    name,
    function: lower,
    distinct,
    star,
    arguments: list,
    orderBy,
    filter,
    over,
  };
}

function parseFilter(cursor: Cursor): Expression {
  cursor.advance();
  cursor.expectAll(T.OPEN, T.WHERE);
  const filter = cursor.grammar.expression(cursor);
  cursor.expect(T.CLOSE);
  return filter;
}
