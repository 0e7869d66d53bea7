import type { Expression, Parameter, Select } from './ast.ts';
import { SqlSyntaxError } from './error.ts';
import { tokenName } from './keyword.ts';
import { type Tokens, tokenize } from './lexer.ts';
import { ParameterList } from './parameter.ts';
import * as T from './token.ts';

/** Most levels of parentheses, subqueries, calls and prefix operators; the cap of SQLite's expressions in workerd. */
export const NESTING_MAX = 100;
/** Tallest expression, chains such as `a OR b OR c` included: SQLite's own default (SQLITE_MAX_EXPR_DEPTH). */
export const HEIGHT_MAX = 1000;

/** The rules that others nest: handed in, so that the files of the grammar import in one direction. */
export interface Grammar {
  readonly expression: (cursor: Cursor) => Expression;
  readonly select: (cursor: Cursor) => Select;
}

/**
 * Where the parser is in the tokens, with the few tests and steps that every rule is made of.
 *
 * SQLite's grammar is LALR(1) with fallback: in every state a keyword is taken as the keyword if a rule wants it there,
 * and only otherwise as a name. So rules here test for their keywords first and for names last.
 */
export class Cursor {
  readonly sql: string;
  readonly grammar: Grammar;
  /** Kind of the current token. */
  kind: number;
  /** Height of the expression read last, in nodes. */
  height = 0;
  readonly #tokens: Tokens;
  #at = 0;
  #nesting = 0;
  /** The tallest expression read since the innermost `open`. */
  #tallest = 0;
  #parameters = new ParameterList();

  constructor(sql: string, grammar: Grammar) {
    this.sql = sql;
    this.grammar = grammar;
    this.#tokens = tokenize(sql);
    this.kind = this.peek(0);
  }

  /** Kind of the token `distance` after the current one. */
  peek(distance: number): number {
    return this.#tokens.kinds[this.#at + distance] ?? T.EOF;
  }

  /** Kind of the token before the current one. */
  get previous(): number {
    return this.#tokens.kinds[this.#at - 1] ?? T.EOF;
  }

  /** Where the current token starts. */
  get start(): number {
    return this.#tokens.starts[this.#at] as number;
  }

  /** Where the current token ends. */
  get tokenEnd(): number {
    return this.#tokens.ends[this.#at] as number;
  }

  /** Where the token before the current one ended: the end of a node that was just read. */
  get end(): number {
    return this.#at === 0 ? 0 : (this.#tokens.ends[this.#at - 1] as number);
  }

  /** Source of the current token. */
  get text(): string {
    return this.sql.slice(this.start, this.tokenEnd);
  }

  advance(): void {
    if (this.kind === T.ILLEGAL) this.fail();
    this.#at++;
    this.kind = this.#tokens.kinds[this.#at] as number;
  }

  /** Steps over the token if it is of this kind. */
  take(kind: number): boolean {
    if (this.kind !== kind) return false;
    this.advance();
    return true;
  }

  expect(kind: number): void {
    if (!this.take(kind)) this.fail(tokenName(kind));
  }

  /** Each in turn. */
  expectAll(...kinds: readonly number[]): void {
    for (const kind of kinds) this.expect(kind);
  }

  /** Is the current token an unquoted word equal to `word` (upper case)? For words that SQLite has no keyword for. */
  isWord(word: string): boolean {
    return (
      this.kind === T.ID && this.tokenEnd - this.start === word.length && this.text.toUpperCase() === word
    );
  }

  // --- Keywords that depend on their neighbours: analyze…Keyword in SQLite's tokenize.c

  get isWindow(): boolean {
    return this.kind === T.WINDOW && isName(this.peek(1)) && this.peek(2) === T.AS;
  }

  get isOver(): boolean {
    return (
      this.kind === T.OVER && this.previous === T.CLOSE && (this.peek(1) === T.OPEN || isName(this.peek(1)))
    );
  }

  get isFilter(): boolean {
    return this.kind === T.FILTER && this.previous === T.CLOSE && this.peek(1) === T.OPEN;
  }

  // --- Limits

  /** Enters one level of nesting; give what it returns to `close`. */
  open(): number {
    if (++this.#nesting > NESTING_MAX) this.#tooDeep(`nested deeper than ${NESTING_MAX} levels`);
    const outer = this.#tallest;
    this.#tallest = 0;
    return outer;
  }

  /** Leaves the level; `height` becomes that of one node over everything read since `open`. */
  close(outer: number): void {
    this.#nesting--;
    this.height = this.#tallest;
    this.grow();
    this.#tallest = Math.max(outer, this.height);
  }

  /** One node was put on top of the expression of height `height`. */
  grow(): void {
    if (++this.height > HEIGHT_MAX) this.#tooDeep(`expression is more than ${HEIGHT_MAX} levels tall`);
  }

  /** An expression of height `height` was completed. */
  measured(): void {
    if (this.height > this.#tallest) this.#tallest = this.height;
  }

  #tooDeep(what: string): never {
    throw new SqlSyntaxError('too-deep', what, this.sql, this.start, this.tokenEnd);
  }

  // --- Parameters

  /** The parameter under the cursor. */
  parameter(): Parameter {
    const { start, tokenEnd: end, text } = this;
    const digit = text.charCodeAt(1);
    // `#1` is a register of SQLite's own virtual machine, in SQL that it writes to itself.
    if (text.startsWith('#') && digit >= 48 && digit <= 57) this.fail('an expression');
    const parameter = this.#parameters.add(text, start, end);
    if (parameter === null) this.reject(`variable number must be between ?1 and ?${ParameterList.INDEX_MAX}`);
    this.advance();
    return parameter;
  }

  /** What was counted since the last call: at the end of each statement. */
  takeParameters(): ParameterList {
    const list = this.#parameters;
    this.#parameters = new ParameterList();
    return list;
  }

  // --- Errors

  /** The current token fits no rule. */
  fail(...expected: readonly string[]): never {
    const { start, tokenEnd: end, kind, text } = this;
    if (kind === T.EOF)
      throw new SqlSyntaxError('incomplete', 'incomplete input', this.sql, start, end, expected);
    if (kind === T.ILLEGAL) this.unrecognized();
    throw new SqlSyntaxError('syntax', `near "${text}": syntax error`, this.sql, start, end, expected);
  }

  /** The current token is none of SQL's. */
  unrecognized(): never {
    const { start, tokenEnd: end, text } = this;
    const what = end === start ? 'unexpected NUL character' : `unrecognized token: "${text}"`;
    throw new SqlSyntaxError('unrecognized-token', what, this.sql, start, end);
  }

  /** The grammar's shape fits but SQLite refuses it while parsing. `at`: where, if not at the current token. */
  reject(what: string, at: { readonly start: number; readonly end: number } | null = null): never {
    throw new SqlSyntaxError('syntax', what, this.sql, at?.start ?? this.start, at?.end ?? this.tokenEnd);
  }
}

/** May a token of this kind be a name (`nm` in parse.y)? */
export function isName(kind: number): boolean {
  return (kind >= T.ID && kind <= T.LAST_NAME) || kind === T.STRING;
}

/** May it be a name that no AS announces (`ids` in parse.y)? */
export function isBareName(kind: number): boolean {
  return (kind >= T.ID && kind <= T.LAST_FALLBACK) || kind === T.STRING;
}
