import type { Expression, Identifier, QualifiedName, Quote, TypeName } from './ast.ts';
import { type Cursor, isBareName, isName } from './cursor.ts';
import * as T from './token.ts';

/** A name: a word, a keyword that may be one, or anything quoted (`nm` in parse.y). */
export function parseName(cursor: Cursor): Identifier {
  if (!isName(cursor.kind)) cursor.fail('a name');
  return takeIdentifier(cursor);
}

/** The current token, whatever it is, as a name. */
export function takeIdentifier(cursor: Cursor): Identifier {
  const { start, tokenEnd: end, text } = cursor;
  const quote = quoteOf(text);
  const name = quote === '' ? text : unquote(text, quote);
  cursor.advance();
  return { kind: 'identifier', start, end, name, quote };
}

function quoteOf(text: string): Quote {
  const first = text.charAt(0);
  return first === '"' || first === "'" || first === '`' || first === '[' ? first : '';
}

/** What stands between the quotes; a doubled quote is one. */
export function unquote(text: string, quote: string): string {
  const inner = text.slice(1, -1);
  return quote !== '[' && inner.includes(quote) ? inner.replaceAll(quote + quote, quote) : inner;
}

/** `name` or `schema.name`. */
export function parseQualifiedName(cursor: Cursor): QualifiedName {
  const { start } = cursor;
  const first = parseName(cursor);
  if (!cursor.take(T.DOT))
    return { kind: 'qualified-name', start, end: cursor.end, schema: null, name: first };
  const name = parseName(cursor);
  return { kind: 'qualified-name', start, end: cursor.end, schema: first, name };
}

/** `(a, b)`. */
export function parseNames(cursor: Cursor): Identifier[] {
  cursor.expect(T.OPEN);
  const names = parseNameList(cursor);
  cursor.expect(T.CLOSE);
  return names;
}

/** `a, b`. */
export function parseNameList(cursor: Cursor): Identifier[] {
  const names = [parseName(cursor)];
  while (cursor.take(T.COMMA)) names.push(parseName(cursor));
  return names;
}

/** `(a, b)` if there is one. */
export function parseOptionalNames(cursor: Cursor): Identifier[] | null {
  return cursor.kind === T.OPEN ? parseNames(cursor) : null;
}

/** `AS name`, or a bare name, if there is one. */
export function parseAlias(cursor: Cursor): Identifier | null {
  if (cursor.kind === T.AS) {
    if (startsAsOf(cursor)) return null;
    cursor.advance();
    return parseName(cursor);
  }
  return isBareName(cursor.kind) && !cursor.isWindow && !cursor.isOver && !cursor.isFilter
    ? takeIdentifier(cursor)
    : null;
}

/**
 * Does `AS OF moment` begin here? `OF` is also a valid alias in SQLite (`SELECT a AS of FROM t`). The two differ in
 * what follows: nothing that can follow an alias is taken as the start of a moment.
 */
export function startsAsOf(cursor: Cursor): boolean {
  if (cursor.kind !== T.AS || cursor.peek(1) !== T.OF) return false;
  const next = cursor.peek(2);
  if (next === T.WINDOW) return !(isName(cursor.peek(3)) && cursor.peek(4) === T.AS);
  if (next >= T.ID && next <= T.LAST_FALLBACK) return true;
  return MOMENT_STARTS.has(next);
}

const MOMENT_STARTS: ReadonlySet<number> = new Set([
  T.STRING,
  T.INTEGER,
  T.REAL,
  T.SEPARATED,
  T.BLOB,
  T.VARIABLE,
  T.OPEN,
  T.MINUS,
  T.PLUS,
  T.BIT_NOT,
  T.CASE,
  T.NULL,
]);

/**
 * Words and up to two signed numbers in parentheses; null if there is none. To SQLite's grammar GENERATED ALWAYS are
 * two more words of the type (sqlite3AddColumn cuts them off again); here they begin the constraint that follows.
 */
export function parseTypeName(cursor: Cursor): TypeName | null {
  if (!continuesType(cursor)) return null;
  const { start } = cursor;
  do cursor.advance();
  while (continuesType(cursor));
  if (cursor.take(T.OPEN)) {
    parseSignedNumber(cursor);
    if (cursor.take(T.COMMA)) parseSignedNumber(cursor);
    cursor.expect(T.CLOSE);
  }
  const { end } = cursor;
  return { kind: 'type-name', start, end, text: cursor.sql.slice(start, end) };
}

function continuesType(cursor: Cursor): boolean {
  if (cursor.kind === T.GENERATED && cursor.peek(1) === T.ALWAYS && cursor.peek(2) === T.AS) return false;
  return isBareName(cursor.kind);
}

/** `+1`, `-1.5`, `2`. */
export function parseSignedNumber(cursor: Cursor): void {
  if (cursor.kind === T.PLUS || cursor.kind === T.MINUS) cursor.advance();
  if (cursor.kind !== T.INTEGER && cursor.kind !== T.REAL) cursor.fail('a number');
  cursor.advance();
}

/**
 * TRUE and FALSE are names in SQLite's grammar, and constants where no column has that name. The constant that this
 * expression would be then, or null. https://www.sqlite.org/lang_expr.html#boolean_expressions
 */
export function truthValue(expression: Expression): boolean | null {
  if (expression.kind !== 'column' || expression.table !== null || expression.name.quote !== '') return null;
  const word = expression.name.name.toLowerCase();
  return word === 'true' ? true : word === 'false' ? false : null;
}
