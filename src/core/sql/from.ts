import type { From, Identifier, Join, NestedJoin, TableName, TableSource, TableSubquery } from './ast.ts';
import { type Cursor, isName } from './cursor.ts';
import { parseAlias, parseName, parseNames } from './name.ts';
import { startsSelect } from './primary.ts';
import { parseArguments } from './term.ts';
import * as T from './token.ts';

/** FROM … if it is there. */
export function parseOptionalFrom(cursor: Cursor): From | null {
  return cursor.take(T.FROM) ? parseFrom(cursor) : null;
}

/** The chain of tables behind FROM: https://www.sqlite.org/syntax/join-clause.html */
export function parseFrom(cursor: Cursor): From {
  const { start } = cursor;
  const first = parseTableSource(cursor);
  if (cursor.kind === T.ON || cursor.kind === T.USING) {
    cursor.reject('a JOIN clause is required before ON or USING');
  }
  const joins: Join[] = [];
  for (let join = parseJoin(cursor); join !== null; join = parseJoin(cursor)) joins.push(join);
  return { kind: 'from', start, end: cursor.end, first, joins };
}

function parseJoin(cursor: Cursor): Join | null {
  const { start } = cursor;
  const operator = parseJoinOperator(cursor);
  if (operator === null) return null;
  const { natural, type } = operator;
  const table = parseTableSource(cursor);
  const on = cursor.take(T.ON) ? cursor.grammar.expression(cursor) : null;
  const using = on === null && cursor.take(T.USING) ? parseNames(cursor) : null;
  return { kind: 'join', start, end: cursor.end, natural, type, table, on, using };
}

interface JoinOperator {
  readonly natural: boolean;
  readonly type: Join['type'];
}

function parseJoinOperator(cursor: Cursor): JoinOperator | null {
  if (cursor.take(T.COMMA)) return { natural: false, type: 'comma' };
  if (cursor.take(T.JOIN)) return { natural: false, type: 'inner' };
  if (cursor.kind < T.CROSS || cursor.kind > T.LAST_NAME) return null;
  const { start } = cursor;
  const words: string[] = [];
  while (words.length < 3 && isName(cursor.kind)) {
    words.push(cursor.text.toUpperCase());
    cursor.advance();
  }
  const { end } = cursor;
  if (cursor.kind !== T.JOIN) cursor.fail('JOIN');
  const operator = joinOperator(words);
  if (operator === null) cursor.reject(`unknown join type: ${cursor.sql.slice(start, end)}`, { start, end });
  cursor.advance();
  return operator;
}

/** Up to three words in any order, by the rules of sqlite3JoinType; null if they make no sense together. */
function joinOperator(words: readonly string[]): JoinOperator | null {
  const known = ['NATURAL', 'LEFT', 'OUTER', 'RIGHT', 'FULL', 'INNER', 'CROSS'];
  if (words.some((word) => !known.includes(word))) return null;
  const has = (word: string): boolean => words.includes(word);
  const natural = has('NATURAL');
  const left = has('LEFT') || has('FULL');
  const right = has('RIGHT') || has('FULL');
  const inner = has('INNER') || has('CROSS');
  const outer = has('OUTER') || left || right;
  if ((inner && outer) || (outer && !left && !right)) return null;
  if (left && right) return { natural, type: 'full' };
  if (left) return { natural, type: 'left' };
  if (right) return { natural, type: 'right' };
  return { natural, type: has('CROSS') ? 'cross' : 'inner' };
}

function parseTableSource(cursor: Cursor): TableSource {
  if (cursor.kind === T.OPEN) return parseParenthesizedSource(cursor);
  const { start } = cursor;
  let schema: Identifier | null = null;
  let name = parseName(cursor);
  if (cursor.take(T.DOT)) {
    schema = name;
    name = parseName(cursor);
  }
  if (cursor.kind === T.OPEN) {
    const list = parseArguments(cursor);
    const alias = parseAlias(cursor);
    return { kind: 'table-function', start, end: cursor.end, schema, name, arguments: list, alias };
  }
  return finishTable(cursor, start, schema, name, parseAlias(cursor));
}

/** `(select) AS x` or `(a JOIN b) AS x`. */
function parseParenthesizedSource(cursor: Cursor): TableSubquery | NestedJoin {
  const { start } = cursor;
  const outer = cursor.open();
  cursor.advance();
  if (startsSelect(cursor.kind)) {
    const select = cursor.grammar.select(cursor);
    cursor.measured();
    cursor.expect(T.CLOSE);
    const alias = parseAlias(cursor);
    cursor.close(outer);
    return { kind: 'table-subquery', start, end: cursor.end, select, alias };
  }
  const from = parseFrom(cursor);
  cursor.expect(T.CLOSE);
  const alias = parseAlias(cursor);
  cursor.close(outer);
  return { kind: 'nested-join', start, end: cursor.end, from, alias };
}

/** The target of INSERT, UPDATE or DELETE: an alias needs its AS here. `indexed`: may INDEXED BY follow? */
export function parseTarget(cursor: Cursor, indexed: boolean): TableName {
  const { start } = cursor;
  let schema: Identifier | null = null;
  let name = parseName(cursor);
  if (cursor.take(T.DOT)) {
    schema = name;
    name = parseName(cursor);
  }
  const alias = cursor.take(T.AS) ? parseName(cursor) : null;
  if (indexed) return finishTable(cursor, start, schema, name, alias);
  const { end } = cursor;
  return { kind: 'table', start, end, schema, name, alias, indexedBy: null, notIndexed: false };
}

/** INDEXED BY or NOT INDEXED: https://www.sqlite.org/lang_indexedby.html */
function finishTable(
  cursor: Cursor,
  start: number,
  schema: Identifier | null,
  name: Identifier,
  alias: Identifier | null,
): TableName {
  let indexedBy: Identifier | null = null;
  let notIndexed = false;
  if (cursor.take(T.INDEXED)) {
    cursor.expect(T.BY);
    indexedBy = parseName(cursor);
  } else if (cursor.take(T.NOT)) {
    cursor.expect(T.INDEXED);
    notIndexed = true;
  }
  return { kind: 'table', start, end: cursor.end, schema, name, alias, indexedBy, notIndexed };
}
