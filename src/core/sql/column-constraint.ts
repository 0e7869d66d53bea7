import type {
  Check,
  ColumnConstraint,
  ConflictAction,
  Default,
  Expression,
  Generated,
  Identifier,
  PrimaryKeyColumn,
} from './ast.ts';
import { type Cursor, isBareName } from './cursor.ts';
import { parseConflictAction } from './dml.ts';
import { parseName, takeIdentifier } from './name.ts';
import { parseCurrentTime, parseLiteral, parseSeparated } from './primary.ts';
import { parseDeferrable, parseReferences, startsDeferrable } from './references.ts';
import { parseDirection } from './term.ts';
import * as T from './token.ts';

/** ON CONFLICT action, when it is there. */
export function parseOnConflict(cursor: Cursor): ConflictAction | null {
  if (!cursor.take(T.ON)) return null;
  cursor.expect(T.CONFLICT);
  return parseConflictAction(cursor);
}

/** One constraint with its CONSTRAINT name, or null: https://www.sqlite.org/syntax/column-constraint.html */
export function parseColumnConstraint(cursor: Cursor): ColumnConstraint | null {
  const { start } = cursor;
  const name = cursor.take(T.CONSTRAINT) ? parseName(cursor) : null;
  const { end } = cursor;
  const constraint = parseUnnamed(cursor, start, name);
  if (constraint !== null || name === null) return constraint;
  return { kind: 'empty-constraint', start, end, name };
}

function parseUnnamed(cursor: Cursor, start: number, name: Identifier | null): ColumnConstraint | null {
  if (startsDeferrable(cursor)) {
    const deferrable = parseDeferrable(cursor);
    return { kind: 'deferrable-column', start, end: cursor.end, name, deferrable };
  }
  switch (cursor.kind) {
    case T.PRIMARY:
      return parsePrimaryKey(cursor, start, name);
    case T.NOT:
    case T.NULL: {
      const nullable = !cursor.take(T.NOT);
      cursor.expect(T.NULL);
      const onConflict = parseOnConflict(cursor);
      return { kind: 'not-null', start, end: cursor.end, name, nullable, onConflict };
    }
    case T.UNIQUE: {
      cursor.advance();
      const onConflict = parseOnConflict(cursor);
      return { kind: 'unique-column', start, end: cursor.end, name, onConflict };
    }
    case T.CHECK:
      return parseCheck(cursor, start, name, false);
    case T.DEFAULT:
      return parseDefault(cursor, start, name);
    case T.COLLATE: {
      cursor.advance();
      if (!isBareName(cursor.kind)) cursor.fail('a collation');
      const collation = takeIdentifier(cursor);
      return { kind: 'collate-column', start, end: cursor.end, name, collation };
    }
    case T.REFERENCES: {
      const references = parseReferences(cursor);
      return { kind: 'references-column', start, end: cursor.end, name, references };
    }
    case T.GENERATED:
    case T.AS:
      return parseGenerated(cursor, start, name);
    default:
      return null;
  }
}

function parsePrimaryKey(cursor: Cursor, start: number, name: Identifier | null): PrimaryKeyColumn {
  cursor.expectAll(T.PRIMARY, T.KEY);
  const direction = parseDirection(cursor);
  const onConflict = parseOnConflict(cursor);
  const autoincrement = cursor.take(T.AUTOINCREMENT);
  const { end } = cursor;
  return { kind: 'primary-key-column', start, end, name, direction, onConflict, autoincrement };
}

/** CHECK (…). `withConflict`: ON CONFLICT may follow, which only a table's own checks take (and ignore). */
export function parseCheck(
  cursor: Cursor,
  start: number,
  name: Identifier | null,
  withConflict: boolean,
): Check {
  cursor.expectAll(T.CHECK, T.OPEN);
  const expression = cursor.grammar.expression(cursor);
  cursor.expect(T.CLOSE);
  const onConflict = withConflict ? parseOnConflict(cursor) : null;
  return { kind: 'check', start, end: cursor.end, name, expression, onConflict };
}

function parseDefault(cursor: Cursor, start: number, name: Identifier | null): Default {
  cursor.expect(T.DEFAULT);
  if (cursor.take(T.OPEN)) {
    const expression = cursor.grammar.expression(cursor);
    cursor.expect(T.CLOSE);
    return { kind: 'default', start, end: cursor.end, name, expression, parenthesized: true };
  }
  const expression = parseDefaultTerm(cursor);
  return { kind: 'default', start, end: cursor.end, name, expression, parenthesized: false };
}

/** A literal, a signed literal, or a word, which is a string (or TRUE or FALSE). */
function parseDefaultTerm(cursor: Cursor): Expression {
  const { start, kind } = cursor;
  if (kind === T.PLUS || kind === T.MINUS) {
    cursor.advance();
    const operand = parseTerm(cursor);
    if (operand === null) cursor.fail('a literal');
    return { kind: 'unary', start, end: cursor.end, operator: kind === T.PLUS ? '+' : '-', operand };
  }
  const term = parseTerm(cursor);
  if (term !== null) return term;
  if (cursor.kind < T.ID || cursor.kind > T.INDEXED) cursor.fail('a literal', '"("');
  const name = takeIdentifier(cursor);
  return { kind: 'column', start, end: cursor.end, schema: null, table: null, name };
}

/** `term` of parse.y. */
function parseTerm(cursor: Cursor): Expression | null {
  switch (cursor.kind) {
    case T.NULL:
      return parseLiteral(cursor, 'null');
    case T.INTEGER:
      return parseLiteral(cursor, 'integer');
    case T.REAL:
      return parseLiteral(cursor, 'real');
    case T.SEPARATED:
      return parseSeparated(cursor);
    case T.STRING:
      return parseLiteral(cursor, 'text');
    case T.BLOB:
      return parseLiteral(cursor, 'blob');
    case T.CURRENT_DATE:
      return parseCurrentTime(cursor, 'current_date');
    case T.CURRENT_TIME:
      return parseCurrentTime(cursor, 'current_time');
    case T.CURRENT_TIMESTAMP:
      return parseCurrentTime(cursor, 'current_timestamp');
    default:
      return null;
  }
}

function parseGenerated(cursor: Cursor, start: number, name: Identifier | null): Generated {
  if (cursor.take(T.GENERATED)) cursor.expect(T.ALWAYS);
  cursor.expectAll(T.AS, T.OPEN);
  const expression = cursor.grammar.expression(cursor);
  cursor.expect(T.CLOSE);
  let stored = false;
  if (cursor.kind >= T.ID && cursor.kind <= T.LAST_FALLBACK) {
    const word = cursor.text.toUpperCase();
    if (word !== 'STORED' && word !== 'VIRTUAL') cursor.fail('STORED', 'VIRTUAL');
    stored = word === 'STORED';
    cursor.advance();
  }
  return { kind: 'generated', start, end: cursor.end, name, expression, stored };
}
