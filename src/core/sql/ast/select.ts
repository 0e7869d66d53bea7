import type { Expression, NamedWindow } from './expression.ts';
import type { Identifier, Span } from './name.ts';

// SELECT and FROM: https://www.sqlite.org/lang_select.html

/** One or more bodies joined by compound operators (left to right), with what belongs to the whole. */
export interface Select extends Span {
  readonly kind: 'select';
  readonly with: With | null;
  readonly body: SelectCore | Values;
  readonly compounds: readonly CompoundTerm[];
  readonly orderBy: readonly OrderingTerm[] | null;
  readonly limit: Limit | null;
  /** Only on a select that is the whole statement. */
  readonly asOf: AsOf | null;
}

/** Atoll's own: a trailing `AS OF moment`. */
export interface AsOf extends Span {
  readonly kind: 'as-of';
  readonly moment: Expression;
}

export interface CompoundTerm extends Span {
  readonly kind: 'compound';
  readonly operator: 'UNION' | 'UNION ALL' | 'EXCEPT' | 'INTERSECT';
  readonly body: SelectCore | Values;
}

export interface SelectCore extends Span {
  readonly kind: 'select-core';
  readonly distinct: boolean;
  readonly columns: readonly ResultColumn[];
  readonly from: From | null;
  readonly where: Expression | null;
  readonly groupBy: readonly Expression[] | null;
  readonly having: Expression | null;
  readonly windows: readonly NamedWindow[] | null;
}

export interface Values extends Span {
  readonly kind: 'values';
  readonly rows: readonly ValuesRow[];
}

/** `(a, b)` of VALUES, one item or more, with its parentheses. */
export interface ValuesRow extends Span {
  readonly kind: 'values-row';
  readonly items: readonly Expression[];
}

/** `*` or `table.*`. */
export interface ResultStar extends Span {
  readonly kind: 'result-star';
  readonly table: Identifier | null;
}

export interface ResultExpression extends Span {
  readonly kind: 'result-expression';
  readonly expression: Expression;
  readonly alias: Identifier | null;
}

export type ResultColumn = ResultStar | ResultExpression;

export interface OrderingTerm extends Span {
  readonly kind: 'ordering-term';
  readonly expression: Expression;
  readonly direction: 'ASC' | 'DESC' | null;
  readonly nulls: 'FIRST' | 'LAST' | null;
}

/** Both forms, `LIMIT n OFFSET m` and `LIMIT m, n`; the span starts at LIMIT. */
export interface Limit extends Span {
  readonly kind: 'limit';
  readonly count: Expression;
  readonly offset: Expression | null;
}

export interface With extends Span {
  readonly kind: 'with';
  readonly recursive: boolean;
  readonly tables: readonly CommonTable[];
}

export interface CommonTable extends Span {
  readonly kind: 'common-table';
  readonly name: Identifier;
  readonly columns: readonly Identifier[] | null;
  /** `AS MATERIALIZED` true, `AS NOT MATERIALIZED` false. */
  readonly materialized: boolean | null;
  readonly select: Select;
}

/** A flat chain, joined left to right as SQLite does; nesting is only where parentheses are (`NestedJoin`). */
export interface From extends Span {
  readonly kind: 'from';
  readonly first: TableSource;
  readonly joins: readonly Join[];
}

export interface Join extends Span {
  readonly kind: 'join';
  readonly natural: boolean;
  /** `comma` and `cross` join like `inner`; CROSS also keeps SQLite from reordering. */
  readonly type: 'comma' | 'inner' | 'cross' | 'left' | 'right' | 'full';
  readonly table: TableSource;
  readonly on: Expression | null;
  readonly using: readonly Identifier[] | null;
}

export type TableSource = TableName | TableFunction | TableSubquery | NestedJoin;

/** A table, view or common table expression by name; also the target of INSERT, UPDATE, DELETE. */
export interface TableName extends Span {
  readonly kind: 'table';
  readonly schema: Identifier | null;
  readonly name: Identifier;
  readonly alias: Identifier | null;
  readonly indexedBy: Identifier | null;
  readonly notIndexed: boolean;
}

/** `json_each(x) AS j`. */
export interface TableFunction extends Span {
  readonly kind: 'table-function';
  readonly schema: Identifier | null;
  readonly name: Identifier;
  readonly arguments: readonly Expression[];
  readonly alias: Identifier | null;
}

export interface TableSubquery extends Span {
  readonly kind: 'table-subquery';
  readonly select: Select;
  readonly alias: Identifier | null;
}

/** `(a JOIN b) AS c`: a chain in parentheses. */
export interface NestedJoin extends Span {
  readonly kind: 'nested-join';
  readonly from: From;
  readonly alias: Identifier | null;
}
