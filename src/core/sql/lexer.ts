import { keywordKind } from './keyword.ts';
import * as T from './token.ts';

/** Parallel arrays, one entry a token; the last is EOF (or ILLEGAL at a NUL). */
export interface Tokens {
  readonly kinds: number[];
  readonly starts: number[];
  readonly ends: number[];
}

const SPACE = 1;
const WORD = 2;
const DIGIT = 4;
const HEX = 8;

/** Classes of the ASCII characters; everything beyond is a letter, as SQLite has it (byte order marks aside). */
const CLASS = new Uint8Array(128);
for (const char of ' \t\n\v\f\r') CLASS[char.charCodeAt(0)] = SPACE;
for (const char of 'abcdefghijklmnopqrstuvwxyz') {
  const hex = char <= 'f' ? HEX : 0;
  CLASS[char.charCodeAt(0)] = WORD | hex;
  CLASS[char.toUpperCase().charCodeAt(0)] = WORD | hex;
}
for (const char of '0123456789') CLASS[char.charCodeAt(0)] = WORD | DIGIT | HEX;
CLASS[95] = WORD; // _
CLASS[36] = WORD; // $ goes on an identifier, but starts a parameter

const BYTE_ORDER_MARK = 0xfeff;

const SINGLE = new Uint8Array(128);
const SINGLES: readonly (readonly [string, number])[] = [
  [';', T.SEMICOLON],
  ['(', T.OPEN],
  [')', T.CLOSE],
  [',', T.COMMA],
  ['*', T.STAR],
  ['+', T.PLUS],
  ['%', T.PERCENT],
  ['&', T.BIT_AND],
  ['~', T.BIT_NOT],
];
for (const [char, kind] of SINGLES) SINGLE[char.charCodeAt(0)] = kind;

function isClass(code: number, mask: number): boolean {
  return code < 128 ? ((CLASS[code] as number) & mask) !== 0 : code >= 128 && mask === WORD;
}

/**
 * Splits a whole text into tokens, following SQLite's tokenize.c. Never throws: what is no token is one of kind
 * ILLEGAL, which the parser reports when it gets there. SQLite stops reading at a NUL character; here a NUL is
 * ILLEGAL, since it would hide the rest of the text from everyone who looks at it.
 */
export function tokenize(sql: string): Tokens {
  return new Lexer(sql).run();
}

class Lexer {
  readonly #sql: string;
  readonly #end: number;
  readonly #kinds: number[] = [];
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  /** Inside a comment that opened with the word `atoll`, whose text is tokens too. */
  #inAtoll = false;

  constructor(sql: string) {
    this.#sql = sql;
    const nul = sql.indexOf('\0');
    this.#end = nul < 0 ? sql.length : nul;
  }

  run(): Tokens {
    let at = 0;
    while (at < this.#end) at = this.#next(at);
    this.#push(this.#end < this.#sql.length ? T.ILLEGAL : T.EOF, this.#end, this.#end);
    return { kinds: this.#kinds, starts: this.#starts, ends: this.#ends };
  }

  #push(kind: number, start: number, end: number): number {
    this.#kinds.push(kind);
    this.#starts.push(start);
    this.#ends.push(end);
    return end;
  }

  /** NaN beyond the end: it compares false with everything. */
  #code(at: number): number {
    return at < this.#end ? this.#sql.charCodeAt(at) : Number.NaN;
  }

  /** The first position from `at` on whose character is not of the class. */
  #skip(at: number, mask: number): number {
    let position = at;
    while (position < this.#end && isClass(this.#sql.charCodeAt(position), mask)) position++;
    return position;
  }

  /** Reads the token or the space at `at`; returns where it ends. */
  #next(at: number): number {
    const code = this.#sql.charCodeAt(at);
    if (code >= 128) return code === BYTE_ORDER_MARK ? at + 1 : this.#word(at);
    const single = SINGLE[code] as number;
    if (single !== 0 && !(this.#inAtoll && code === 42)) return this.#push(single, at, at + 1);
    const type = CLASS[code] as number;
    // SQLite takes a vertical tab as space only behind other space.
    if (type === SPACE) return code === 11 ? this.#push(T.ILLEGAL, at, at + 1) : this.#skip(at + 1, SPACE);
    if ((type & DIGIT) !== 0) return this.#number(at);
    if ((code === 120 || code === 88) && this.#code(at + 1) === 39) return this.#blob(at);
    if (type !== 0 && code !== 36) return this.#word(at);
    return this.#symbol(at, code);
  }

  #word(at: number): number {
    const sql = this.#sql;
    const limit = this.#end;
    let upper = false;
    let lower = false;
    let plain = true; // only what a keyword may hold: letters and _
    let position = at;
    for (; position < limit; position++) {
      const code = sql.charCodeAt(position);
      if (code >= 97 && code <= 122) lower = true;
      else if (code >= 65 && code <= 90) upper = true;
      else if (code !== 95) {
        if (!isClass(code, WORD)) break;
        plain = false;
      }
    }
    const kind = plain && position > at + 1 ? keywordKind(sql.slice(at, position), upper && lower) : T.ID;
    return this.#push(kind, at, position);
  }

  #symbol(at: number, code: number): number {
    const second = this.#code(at + 1);
    switch (code) {
      case 34: // "
      case 39: // '
      case 96: // `
        return this.#quoted(at, code);
      case 91: // [
        return this.#bracketed(at);
      case 46: // .
        return isClass(second, DIGIT) ? this.#number(at) : this.#push(T.DOT, at, at + 1);
      case 45: // -
        if (second === 45) return this.#lineComment(at);
        if (second !== 62) return this.#push(T.MINUS, at, at + 1);
        return this.#code(at + 2) === 62
          ? this.#push(T.ARROW_TEXT, at, at + 3)
          : this.#push(T.ARROW, at, at + 2);
      case 47: // /
        if (second === 42 && at + 2 < this.#end) return this.#comment(at);
        return this.#push(T.SLASH, at, at + 1);
      case 42: // *, inside /*atoll
        if (second !== 47) return this.#push(T.STAR, at, at + 1);
        this.#inAtoll = false;
        return this.#push(T.ATOLL_CLOSE, at, at + 2);
      case 63: // ?
        return this.#push(T.VARIABLE, at, this.#skip(at + 1, DIGIT));
      case 36: // $
      case 64: // @
      case 35: // #
      case 58: // :
        return this.#variable(at);
      default:
        return this.#comparison(at, code, second);
    }
  }

  #comparison(at: number, code: number, second: number): number {
    const equal = second === 61;
    switch (code) {
      case 61: // =
        return this.#push(T.EQ, at, equal ? at + 2 : at + 1);
      case 33: // !
        return equal ? this.#push(T.NE, at, at + 2) : this.#push(T.ILLEGAL, at, at + 1);
      case 60: // <
        if (equal) return this.#push(T.LE, at, at + 2);
        if (second === 62) return this.#push(T.NE, at, at + 2);
        return second === 60 ? this.#push(T.SHIFT_LEFT, at, at + 2) : this.#push(T.LT, at, at + 1);
      case 62: // >
        if (equal) return this.#push(T.GE, at, at + 2);
        return second === 62 ? this.#push(T.SHIFT_RIGHT, at, at + 2) : this.#push(T.GT, at, at + 1);
      case 124: // |
        return second === 124 ? this.#push(T.CONCAT, at, at + 2) : this.#push(T.BIT_OR, at, at + 1);
      default:
        return this.#push(T.ILLEGAL, at, at + 1);
    }
  }

  #lineComment(at: number): number {
    const newline = this.#sql.indexOf('\n', at);
    return newline < 0 || newline > this.#end ? this.#end : newline;
  }

  #comment(at: number): number {
    if (this.#sql.startsWith('atoll', at + 2) && !isClass(this.#code(at + 7), WORD)) {
      this.#inAtoll = true;
      return this.#push(T.ATOLL_OPEN, at, at + 7);
    }
    const close = this.#sql.indexOf('*/', at + 2);
    return close < 0 || close + 2 > this.#end ? this.#end : close + 2;
  }

  #quoted(at: number, quote: number): number {
    const mark = this.#sql.charAt(at);
    let close = at;
    do {
      close = this.#sql.indexOf(mark, close + 1);
      if (close < 0 || close >= this.#end) return this.#push(T.ILLEGAL, at, this.#end);
    } while (this.#code(close + 1) === quote && close++ >= 0);
    return this.#push(quote === 39 ? T.STRING : T.ID, at, close + 1);
  }

  #bracketed(at: number): number {
    const close = this.#sql.indexOf(']', at);
    if (close < 0 || close >= this.#end) return this.#push(T.ILLEGAL, at, this.#end);
    return this.#push(T.ID, at, close + 1);
  }

  #blob(at: number): number {
    const end = this.#skip(at + 2, HEX);
    if (this.#code(end) === 39 && (end - at) % 2 === 0) return this.#push(T.BLOB, at, end + 1);
    const close = this.#sql.indexOf("'", end);
    return this.#push(T.ILLEGAL, at, close < 0 || close >= this.#end ? this.#end : close + 1);
  }

  #number(at: number): number {
    let kind = T.INTEGER;
    let end: number;
    if (this.#code(at) === 48 && (this.#code(at + 1) | 32) === 120 && isClass(this.#code(at + 2), HEX)) {
      end = this.#digits(at + 2, HEX);
    } else {
      end = this.#digits(at, DIGIT);
      if (this.#code(end) === 46) {
        kind = T.REAL;
        end = this.#digits(end + 1, DIGIT);
      }
      if ((this.#code(end) | 32) === 101) {
        const sign = this.#code(end + 1) === 43 || this.#code(end + 1) === 45 ? 1 : 0;
        if (isClass(this.#code(end + 1 + sign), DIGIT)) {
          kind = T.REAL;
          end = this.#digits(end + 1 + sign, DIGIT);
        }
      }
    }
    const tail = this.#skip(end, WORD);
    if (tail > end) return this.#push(T.ILLEGAL, at, tail);
    return this.#push(this.#sql.slice(at, end).includes('_') ? T.SEPARATED : kind, at, end);
  }

  /** Digits and `_`; where the latter may stand is checked when the number is used. */
  #digits(at: number, mask: number): number {
    let position = this.#skip(at, mask);
    while (this.#code(position) === 95) position = this.#skip(position + 1, mask);
    return position;
  }

  /** `:a`, `@a`, `#a`, `$a::b(c)`: the last is Tcl's, and SQLite takes it after any of the four. */
  #variable(at: number): number {
    let kind = T.ILLEGAL;
    let position = at + 1;
    for (; position < this.#end; position++) {
      const code = this.#sql.charCodeAt(position);
      if (isClass(code, WORD)) {
        kind = T.VARIABLE;
      } else if (code === 40 && kind === T.VARIABLE) {
        do position++;
        while (position < this.#end && this.#code(position) !== 41 && !isClass(this.#code(position), SPACE));
        if (this.#code(position) !== 41) return this.#push(T.ILLEGAL, at, position);
        return this.#push(T.VARIABLE, at, position + 1);
      } else if (code === 58 && this.#code(position + 1) === 58) {
        position++;
      } else {
        break;
      }
    }
    return this.#push(kind, at, position);
  }
}
