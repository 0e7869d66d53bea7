import type { BinaryOperator, Expression, In, InList, TableFunction, TableName } from './ast.ts';
import { type Cursor, isBareName } from './cursor.ts';
import { parseName, takeIdentifier } from './name.ts';
import { parsePrimary, startsSelect } from './primary.ts';
import { parseArguments } from './term.ts';
import * as T from './token.ts';

/** Binding powers, weakest first: the %left and %right lines of SQLite's parse.y. */
const OR = 1;
const AND = 2;
const NOT = 3;
const EQUALITY = 4;
const COMPARISON = 5;
const BITWISE = 6;
const SUM = 7;
const PRODUCT = 8;
const CONCATENATION = 9;
const COLLATE = 10;
const PREFIX = 11;

/** What an infix or postfix token binds with; 0 if it is neither. */
const POWER = new Uint8Array(T.COUNT);
const OPERATOR: (BinaryOperator | undefined)[] = [];

const BINARY: readonly (readonly [number, number, BinaryOperator])[] = [
  [T.OR, OR, 'OR'],
  [T.AND, AND, 'AND'],
  [T.EQ, EQUALITY, '='],
  [T.NE, EQUALITY, '!='],
  [T.LT, COMPARISON, '<'],
  [T.LE, COMPARISON, '<='],
  [T.GT, COMPARISON, '>'],
  [T.GE, COMPARISON, '>='],
  [T.BIT_AND, BITWISE, '&'],
  [T.BIT_OR, BITWISE, '|'],
  [T.SHIFT_LEFT, BITWISE, '<<'],
  [T.SHIFT_RIGHT, BITWISE, '>>'],
  [T.PLUS, SUM, '+'],
  [T.MINUS, SUM, '-'],
  [T.STAR, PRODUCT, '*'],
  [T.SLASH, PRODUCT, '/'],
  [T.PERCENT, PRODUCT, '%'],
  [T.CONCAT, CONCATENATION, '||'],
  [T.ARROW, CONCATENATION, '->'],
  [T.ARROW_TEXT, CONCATENATION, '->>'],
];
for (const [kind, power, operator] of BINARY) {
  POWER[kind] = power;
  OPERATOR[kind] = operator;
}
const EQUALITY_WORDS = [T.IS, T.NOT, T.IN, T.BETWEEN, T.LIKE, T.GLOB, T.REGEXP, T.MATCH, T.ISNULL, T.NOTNULL];
for (const kind of EQUALITY_WORDS) POWER[kind] = EQUALITY;
POWER[T.COLLATE] = COLLATE;

const LIKES = new Map<number, 'LIKE' | 'GLOB' | 'REGEXP' | 'MATCH'>([
  [T.LIKE, 'LIKE'],
  [T.GLOB, 'GLOB'],
  [T.REGEXP, 'REGEXP'],
  [T.MATCH, 'MATCH'],
]);

/** Any expression: https://www.sqlite.org/lang_expr.html */
export function parseExpression(cursor: Cursor): Expression {
  const expression = parseOperators(cursor, OR);
  cursor.measured();
  return expression;
}

/**
 * Operator precedence parsing: reads operators that bind at least as tightly as `minimum`. A node starts where its
 * left operand's text starts, parentheses included, which is why `start` is the token's and not `left.start`.
 */
function parseOperators(cursor: Cursor, minimum: number): Expression {
  const { start } = cursor;
  let left = parseOperand(cursor);
  for (;;) {
    const { kind } = cursor;
    const power = POWER[kind] as number;
    if (power === 0 || power < minimum) return left;
    const operator = OPERATOR[kind];
    const leftHeight = cursor.height;
    if (operator === undefined) {
      left = parseWordOperator(cursor, left, start);
    } else {
      cursor.advance();
      const right = parseOperators(cursor, power + 1);
      left = { kind: 'binary', start, end: cursor.end, operator, left, right };
    }
    if (leftHeight > cursor.height) cursor.height = leftHeight;
    cursor.grow();
  }
}

/** A primary expression or a prefix operator. NOT binds looser than the others, wherever it stands. */
function parseOperand(cursor: Cursor): Expression {
  switch (cursor.kind) {
    case T.MINUS:
      return parsePrefix(cursor, '-', PREFIX);
    case T.PLUS:
      return parsePrefix(cursor, '+', PREFIX);
    case T.BIT_NOT:
      return parsePrefix(cursor, '~', PREFIX);
    case T.NOT:
      return parsePrefix(cursor, 'NOT', NOT);
    default:
      return parsePrimary(cursor);
  }
}

function parsePrefix(cursor: Cursor, operator: '-' | '+' | '~' | 'NOT', power: number): Expression {
  const { start } = cursor;
  const outer = cursor.open();
  cursor.advance();
  const operand = parseOperators(cursor, power);
  cursor.measured();
  cursor.close(outer);
  return { kind: 'unary', start, end: cursor.end, operator, operand };
}

/** IS, IN, LIKE, BETWEEN, ISNULL, COLLATE and their negations. */
function parseWordOperator(cursor: Cursor, left: Expression, start: number): Expression {
  if (cursor.kind === T.COLLATE) {
    cursor.advance();
    if (!isBareName(cursor.kind)) cursor.fail('a collation');
    const collation = takeIdentifier(cursor);
    return { kind: 'collate', start, end: cursor.end, operand: left, collation };
  }
  if (cursor.kind === T.IS) return parseIs(cursor, left, start);
  const negated = cursor.take(T.NOT);
  const like = LIKES.get(cursor.kind);
  if (like !== undefined) return parseLike(cursor, left, start, negated, like);
  switch (cursor.kind) {
    case T.IN:
      return parseIn(cursor, left, start, negated);
    case T.BETWEEN:
      return parseBetween(cursor, left, start, negated);
    case T.NULL:
      cursor.advance();
      return { kind: 'null-test', start, end: cursor.end, negated: true, operand: left };
    default: {
      // `x NOT` must have been followed by one of the above; alone, ISNULL and NOTNULL are left.
      if (negated) cursor.fail('NULL', 'IN', 'LIKE', 'BETWEEN');
      const notNull = cursor.kind === T.NOTNULL;
      cursor.advance();
      return { kind: 'null-test', start, end: cursor.end, negated: notNull, operand: left };
    }
  }
}

function parseIs(cursor: Cursor, left: Expression, start: number): Expression {
  cursor.advance();
  let negated = cursor.take(T.NOT);
  if (cursor.take(T.DISTINCT)) {
    cursor.expect(T.FROM);
    negated = !negated;
  }
  const right = parseOperators(cursor, EQUALITY + 1);
  return { kind: 'binary', start, end: cursor.end, operator: negated ? 'IS NOT' : 'IS', left, right };
}

function parseLike(
  cursor: Cursor,
  operand: Expression,
  start: number,
  negated: boolean,
  operator: 'LIKE' | 'GLOB' | 'REGEXP' | 'MATCH',
): Expression {
  cursor.advance();
  const pattern = parseOperators(cursor, EQUALITY + 1);
  const patternHeight = cursor.height;
  const escaped = cursor.take(T.ESCAPE) ? parseOperators(cursor, EQUALITY + 1) : null;
  if (patternHeight > cursor.height) cursor.height = patternHeight;
  return { kind: 'like', start, end: cursor.end, operator, negated, operand, pattern, escape: escaped };
}

function parseBetween(cursor: Cursor, operand: Expression, start: number, negated: boolean): Expression {
  cursor.advance();
  // The only place where an operand is read at a weaker power than its operator: a level of its own.
  const outer = cursor.open();
  const low = parseOperators(cursor, NOT);
  cursor.measured();
  cursor.expect(T.AND);
  const high = parseOperators(cursor, EQUALITY + 1);
  cursor.measured();
  cursor.close(outer);
  return { kind: 'between', start, end: cursor.end, negated, operand, low, high };
}

function parseIn(cursor: Cursor, operand: Expression, start: number, negated: boolean): Expression {
  cursor.advance();
  const outer = cursor.open();
  const source = parseInSource(cursor);
  cursor.close(outer);
  return { kind: 'in', start, end: cursor.end, negated, operand, source };
}

function parseInSource(cursor: Cursor): In['source'] {
  const { start } = cursor;
  if (cursor.kind !== T.OPEN) return parseInTable(cursor);
  if (startsSelect(cursor.peek(1))) {
    cursor.advance();
    const select = cursor.grammar.select(cursor);
    cursor.measured();
    cursor.expect(T.CLOSE);
    return select;
  }
  const items = parseArguments(cursor);
  return { kind: 'in-list', start, end: cursor.end, items } satisfies InList;
}

function parseInTable(cursor: Cursor): TableName | TableFunction {
  const { start } = cursor;
  let schema = null;
  let name = parseName(cursor);
  if (cursor.take(T.DOT)) {
    schema = name;
    name = parseName(cursor);
  }
  if (cursor.kind === T.OPEN) {
    const list = parseArguments(cursor);
    return { kind: 'table-function', start, end: cursor.end, schema, name, arguments: list, alias: null };
  }
  const { end } = cursor;
  return { kind: 'table', start, end, schema, name, alias: null, indexedBy: null, notIndexed: false };
}
