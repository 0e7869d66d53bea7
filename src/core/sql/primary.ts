import type { Case, CaseBranch, Expression, LiteralType, Raise } from './ast.ts';
import { parseCall } from './call.ts';
import { type Cursor, isName } from './cursor.ts';
import { parseName, parseTypeName, takeIdentifier, unquote } from './name.ts';
import { parseExpressions } from './term.ts';
import * as T from './token.ts';

/** Is `(` followed by this the start of a select rather than of an expression? */
export function startsSelect(kind: number): boolean {
  return kind === T.SELECT || kind === T.VALUES || kind === T.WITH;
}

/** An operand without operators. Keywords that a rule wants come first, names last: see `Cursor`. */
export function parsePrimary(cursor: Cursor): Expression {
  switch (cursor.kind) {
    case T.INTEGER:
      return parseLiteral(cursor, 'integer');
    case T.REAL:
      return parseLiteral(cursor, 'real');
    case T.SEPARATED:
      return parseSeparated(cursor);
    case T.STRING:
      return cursor.peek(1) === T.DOT ? parseColumn(cursor) : parseLiteral(cursor, 'text');
    case T.BLOB:
      return parseLiteral(cursor, 'blob');
    case T.NULL:
      return parseLiteral(cursor, 'null');
    case T.VARIABLE:
      cursor.height = 1;
      return cursor.parameter();
    case T.OPEN:
      return parseParenthesized(cursor);
    case T.CASE:
      return parseCase(cursor);
    case T.CAST:
      return parseCast(cursor);
    case T.EXISTS:
      return parseExists(cursor);
    case T.RAISE:
      return parseRaise(cursor);
    case T.CURRENT_DATE:
      return parseCurrentTime(cursor, 'current_date');
    case T.CURRENT_TIME:
      return parseCurrentTime(cursor, 'current_time');
    case T.CURRENT_TIMESTAMP:
      return parseCurrentTime(cursor, 'current_timestamp');
    default:
      if (!isName(cursor.kind)) cursor.fail('an expression');
      return cursor.peek(1) === T.OPEN ? parseCall(cursor) : parseColumn(cursor);
  }
}

/** A literal of one token; the caller has looked at its kind. */
export function parseLiteral(cursor: Cursor, type: LiteralType): Expression {
  const { start, tokenEnd: end, text } = cursor;
  cursor.advance();
  cursor.height = 1;
  return { kind: 'literal', start, end, type, value: literalValue(type, text) };
}

/** `1_000`: a `_` stands between two digits. https://www.sqlite.org/lang_expr.html#literal_values_constants_ */
export function parseSeparated(cursor: Cursor): Expression {
  const { text } = cursor;
  const hexadecimal = text.charAt(1).toLowerCase() === 'x';
  const misplaced = hexadecimal ? /_(?![0-9a-f])/i : /_(?!\d)|(?<!\d)_/;
  if (misplaced.test(text)) cursor.unrecognized();
  return parseLiteral(cursor, !hexadecimal && /[.e]/i.test(text) ? 'real' : 'integer');
}

function literalValue(type: LiteralType, text: string): string {
  switch (type) {
    case 'text':
      return unquote(text, "'");
    case 'blob':
      return text.slice(2, -1);
    case 'null':
      return '';
    default:
      return text.includes('_') ? text.replaceAll('_', '') : text;
  }
}

/** CURRENT_DATE and its like: terms of their own, also as a DEFAULT. */
export function parseCurrentTime(
  cursor: Cursor,
  name: 'current_date' | 'current_time' | 'current_timestamp',
): Expression {
  const { start, tokenEnd: end } = cursor;
  cursor.advance();
  cursor.height = 1;
  return { kind: 'current-time', start, end, name };
}

/** `a`, `t.a`, `s.t.a`. */
function parseColumn(cursor: Cursor): Expression {
  const { start } = cursor;
  cursor.height = 1;
  const first = takeIdentifier(cursor);
  if (cursor.kind !== T.DOT) {
    return { kind: 'column', start, end: cursor.end, schema: null, table: null, name: first };
  }
  cursor.advance();
  const second = parseName(cursor);
  if (!cursor.take(T.DOT)) {
    return { kind: 'column', start, end: cursor.end, schema: null, table: first, name: second };
  }
  const name = parseName(cursor);
  return { kind: 'column', start, end: cursor.end, schema: first, table: second, name };
}

/** `(select)`, `(a, b)`, or an expression whose parentheses leave no node of their own. */
function parseParenthesized(cursor: Cursor): Expression {
  const { start } = cursor;
  const outer = cursor.open();
  cursor.advance();
  if (startsSelect(cursor.kind)) {
    const select = cursor.grammar.select(cursor);
    cursor.measured();
    cursor.expect(T.CLOSE);
    cursor.close(outer);
    return { kind: 'subquery', start, end: cursor.end, select };
  }
  const first = cursor.grammar.expression(cursor);
  if (cursor.kind === T.COMMA) {
    cursor.advance();
    const items = [first, ...parseExpressions(cursor)];
    cursor.expect(T.CLOSE);
    cursor.close(outer);
    return { kind: 'row', start, end: cursor.end, items };
  }
  if (cursor.kind !== T.CLOSE) cursor.fail('")"');
  cursor.advance();
  cursor.close(outer);
  return first;
}

function parseCase(cursor: Cursor): Case {
  const { start } = cursor;
  const { expression } = cursor.grammar;
  const outer = cursor.open();
  cursor.advance();
  const operand = cursor.kind === T.WHEN ? null : expression(cursor);
  const branches: CaseBranch[] = [];
  do {
    const branchStart = cursor.start;
    cursor.expect(T.WHEN);
    const when = expression(cursor);
    cursor.expect(T.THEN);
    const result = expression(cursor);
    branches.push({ kind: 'case-branch', start: branchStart, end: cursor.end, when, result });
  } while (cursor.kind === T.WHEN);
  const otherwise = cursor.take(T.ELSE) ? expression(cursor) : null;
  cursor.expect(T.END);
  cursor.close(outer);
  return { kind: 'case', start, end: cursor.end, operand, branches, otherwise };
}

function parseCast(cursor: Cursor): Expression {
  const { start } = cursor;
  const outer = cursor.open();
  cursor.advance();
  cursor.expect(T.OPEN);
  const operand = cursor.grammar.expression(cursor);
  cursor.expect(T.AS);
  const type = parseTypeName(cursor);
  cursor.expect(T.CLOSE);
  cursor.close(outer);
  return { kind: 'cast', start, end: cursor.end, operand, type };
}

function parseExists(cursor: Cursor): Expression {
  const { start } = cursor;
  const outer = cursor.open();
  cursor.advance();
  cursor.expect(T.OPEN);
  const select = cursor.grammar.select(cursor);
  cursor.measured();
  cursor.expect(T.CLOSE);
  cursor.close(outer);
  return { kind: 'exists', start, end: cursor.end, select };
}

const RAISES = new Map<number, Raise['action']>([
  [T.IGNORE, 'IGNORE'],
  [T.ROLLBACK, 'ROLLBACK'],
  [T.ABORT, 'ABORT'],
  [T.FAIL, 'FAIL'],
]);

function parseRaise(cursor: Cursor): Raise {
  const { start } = cursor;
  const outer = cursor.open();
  cursor.advance();
  cursor.expect(T.OPEN);
  const action = RAISES.get(cursor.kind);
  if (action === undefined) cursor.fail('IGNORE', 'ROLLBACK', 'ABORT', 'FAIL');
  cursor.advance();
  let message: Expression | null = null;
  if (action !== 'IGNORE') {
    cursor.expect(T.COMMA);
    message = cursor.grammar.expression(cursor);
  }
  cursor.expect(T.CLOSE);
  cursor.close(outer);
  return { kind: 'raise', start, end: cursor.end, action, message };
}
