/**
 * Why a text is not one of SQLite's statements. `too-deep`: nested beyond what Atoll reads; `no-statement` and
 * `several-statements`: the text is well-formed, but holds not exactly one.
 */
export type SqlErrorKind =
  | 'syntax'
  | 'unrecognized-token'
  | 'incomplete'
  | 'too-deep'
  | 'no-statement'
  | 'several-statements';

export interface SqlErrorPlace {
  /** UTF-16 offset into the text. */
  readonly offset: number;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** The token that was not understood; '' at the end of the text. */
  readonly near: string;
}

/** The only error that reading SQL throws. The message starts as SQLite's own would. */
export class SqlSyntaxError extends Error implements SqlErrorPlace {
  override name = 'SqlSyntaxError';
  readonly kind: SqlErrorKind;
  readonly offset: number;
  readonly line: number;
  readonly column: number;
  readonly near: string;
  /** What could have stood there, where that is known. */
  readonly expected: readonly string[];

  constructor(
    kind: SqlErrorKind,
    what: string,
    sql: string,
    start: number,
    end: number,
    expected: readonly string[] = [],
  ) {
    const before = sql.slice(0, start);
    const line = before.split('\n').length;
    const column = start - before.lastIndexOf('\n');
    const wanted = expected.length > 0 ? `, expected ${expected.join(' or ')}` : '';
    super(`${what} (line ${line}, column ${column}${wanted})`);
    this.kind = kind;
    this.offset = start;
    this.line = line;
    this.column = column;
    this.near = sql.slice(start, end);
    this.expected = expected;
  }
}
