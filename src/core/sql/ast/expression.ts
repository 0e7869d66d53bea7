import type { Identifier, Span, TypeName } from './name.ts';
import type { OrderingTerm, Select, TableFunction, TableName } from './select.ts';

// Expressions and windows: https://www.sqlite.org/lang_expr.html, https://www.sqlite.org/windowfunctions.html

export type LiteralType = 'null' | 'integer' | 'real' | 'text' | 'blob';

/**
 * `value`: digits without `_` separators (hexadecimal with its `0x`), unescaped text, the hex digits of a blob, or ''
 * for NULL. An integer literal too large for 64 bits is still of type `integer`; SQLite reads it as REAL.
 */
export interface Literal extends Span {
  readonly kind: 'literal';
  readonly type: LiteralType;
  readonly value: string;
}

/** CURRENT_DATE, CURRENT_TIME, CURRENT_TIMESTAMP: calls without parentheses, and volatile. */
export interface CurrentTime extends Span {
  readonly kind: 'current-time';
  readonly name: 'current_date' | 'current_time' | 'current_timestamp';
}

/** `?`, `?7`, `:a`, `@a`, `$a::b(c)`. `name` is as SQLite reports it, with its prefix; null for a bare `?`. */
export interface Parameter extends Span {
  readonly kind: 'parameter';
  readonly name: string | null;
  /** 1-based, by SQLite's numbering: https://www.sqlite.org/lang_expr.html#parameters */
  readonly index: number;
}

/**
 * A column, possibly not: an unquoted TRUE or FALSE that no column matches is a constant, and so is a
 * double-quoted name that no column matches (a string). See `truthValue` in names.ts.
 */
export interface ColumnReference extends Span {
  readonly kind: 'column';
  readonly schema: Identifier | null;
  readonly table: Identifier | null;
  readonly name: Identifier;
}

export interface Unary extends Span {
  readonly kind: 'unary';
  readonly operator: '-' | '+' | '~' | 'NOT';
  readonly operand: Expression;
}

/** Synonyms are one operator: `==` is `=`, `<>` is `!=`, `IS DISTINCT FROM` is `IS NOT`. */
export type BinaryOperator =
  | 'OR'
  | 'AND'
  | '='
  | '!='
  | 'IS'
  | 'IS NOT'
  | '<'
  | '<='
  | '>'
  | '>='
  | '&'
  | '|'
  | '<<'
  | '>>'
  | '+'
  | '-'
  | '*'
  | '/'
  | '%'
  | '||'
  | '->'
  | '->>';

export interface Binary extends Span {
  readonly kind: 'binary';
  readonly operator: BinaryOperator;
  readonly left: Expression;
  readonly right: Expression;
}

export interface Like extends Span {
  readonly kind: 'like';
  readonly operator: 'LIKE' | 'GLOB' | 'REGEXP' | 'MATCH';
  readonly negated: boolean;
  readonly operand: Expression;
  readonly pattern: Expression;
  readonly escape: Expression | null;
}

/** `x ISNULL`, `x NOTNULL`, `x NOT NULL`. (`x IS NULL` is a `binary` IS with a NULL literal.) */
export interface NullTest extends Span {
  readonly kind: 'null-test';
  readonly negated: boolean;
  readonly operand: Expression;
}

export interface Between extends Span {
  readonly kind: 'between';
  readonly negated: boolean;
  readonly operand: Expression;
  readonly low: Expression;
  readonly high: Expression;
}

/** The right side of `IN (a, b)`, with its parentheses. */
export interface InList extends Span {
  readonly kind: 'in-list';
  readonly items: readonly Expression[];
}

/** `source` is a list, a select (its span is inside the parentheses), a table, or a table-valued function. */
export interface In extends Span {
  readonly kind: 'in';
  readonly negated: boolean;
  readonly operand: Expression;
  readonly source: InList | Select | TableName | TableFunction;
}

/** `EXISTS (select)`; `NOT EXISTS` is a `unary` NOT over it. */
export interface Exists extends Span {
  readonly kind: 'exists';
  readonly select: Select;
}

/** `(select)` as an expression; the span includes the parentheses. */
export interface Subquery extends Span {
  readonly kind: 'subquery';
  readonly select: Select;
}

/** `(a, b)`: two or more; the span includes the parentheses. */
export interface RowValue extends Span {
  readonly kind: 'row';
  readonly items: readonly Expression[];
}

/** `f(a)`, `count(*)`, `sum(DISTINCT x ORDER BY y) FILTER (WHERE z) OVER w`. `LIKE` as an operator is `Like`. */
export interface FunctionCall extends Span {
  readonly kind: 'function';
  readonly name: Identifier;
  /** `name` in lower case. */
  readonly function: string;
  readonly distinct: boolean;
  readonly star: boolean;
  readonly arguments: readonly Expression[];
  readonly orderBy: readonly OrderingTerm[] | null;
  readonly filter: Expression | null;
  /** A window's name, or its definition in parentheses. */
  readonly over: Identifier | WindowDefinition | null;
}

export interface Cast extends Span {
  readonly kind: 'cast';
  readonly operand: Expression;
  /** Null for `CAST(x AS)`, which SQLite takes as no affinity. */
  readonly type: TypeName | null;
}

export interface Collate extends Span {
  readonly kind: 'collate';
  readonly operand: Expression;
  readonly collation: Identifier;
}

export interface CaseBranch extends Span {
  readonly kind: 'case-branch';
  readonly when: Expression;
  readonly result: Expression;
}

export interface Case extends Span {
  readonly kind: 'case';
  readonly operand: Expression | null;
  readonly branches: readonly CaseBranch[];
  readonly otherwise: Expression | null;
}

/** `RAISE(IGNORE)`, `RAISE(ABORT, message)`: in trigger bodies. */
export interface Raise extends Span {
  readonly kind: 'raise';
  readonly action: 'IGNORE' | 'ROLLBACK' | 'ABORT' | 'FAIL';
  readonly message: Expression | null;
}

export type Expression =
  | Literal
  | CurrentTime
  | Parameter
  | ColumnReference
  | Unary
  | Binary
  | Like
  | NullTest
  | Between
  | In
  | Exists
  | Subquery
  | RowValue
  | FunctionCall
  | Cast
  | Collate
  | Case
  | Raise;

/** `(base PARTITION BY … ORDER BY … frame)`; the span includes the parentheses. */
export interface WindowDefinition extends Span {
  readonly kind: 'window';
  readonly base: Identifier | null;
  readonly partitionBy: readonly Expression[] | null;
  readonly orderBy: readonly OrderingTerm[] | null;
  readonly frame: Frame | null;
}

/** One of a WINDOW clause: `name AS (…)`. */
export interface NamedWindow extends Span {
  readonly kind: 'named-window';
  readonly name: Identifier;
  readonly definition: WindowDefinition;
}

export interface Frame extends Span {
  readonly kind: 'frame';
  readonly unit: 'RANGE' | 'ROWS' | 'GROUPS';
  readonly from: FrameBound;
  /** Null when not BETWEEN: then it is CURRENT ROW. */
  readonly to: FrameBound | null;
  readonly exclude: 'NO OTHERS' | 'CURRENT ROW' | 'GROUP' | 'TIES' | null;
}

export interface FrameBound extends Span {
  readonly kind: 'frame-bound';
  readonly type: 'UNBOUNDED PRECEDING' | 'PRECEDING' | 'CURRENT ROW' | 'FOLLOWING' | 'UNBOUNDED FOLLOWING';
  readonly offset: Expression | null;
}
