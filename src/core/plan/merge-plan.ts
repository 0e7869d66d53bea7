import type { SqlValue } from '../../base/sql-value.ts';
import type { Affinity, Collation } from '../schema/table.ts';

/**
 * The steps over the partitions' rows, in this order: combine (concat or ordered merge; or aggregate), having, project,
 * distinct, sort, limit, cut. A row of a partition is `width` visible values, then hidden ones.
 */
export interface Merge {
  /** Names of the answer's columns; null: the first `width` names that a partition gives. */
  readonly columns: readonly string[] | null;
  /** Visible columns: what is behind them is cut off at the end. */
  readonly width: number;
  /** Whether the partitions' rows come sorted by `order`, so that they are merged and not sorted. */
  readonly sorted: boolean;
  readonly aggregate: Aggregation | null;
  /** Collations of the visible columns, or null: keep duplicates. */
  readonly distinct: readonly Collation[] | null;
  readonly order: readonly SortKey[];
  readonly limit: RowLimit | null;
}

export interface SortKey {
  /** Index into the row, hidden columns included. */
  readonly column: number;
  readonly descending: boolean;
  readonly nulls: 'first' | 'last';
  readonly collation: Collation;
}

export interface RowLimit {
  readonly count: Scalar;
  readonly offset: Scalar | null;
}

/**
 * Partial rows are grouped anew; `project` makes the answer's row (visible, then hidden for sorting) from each
 * group.
 */
export interface Aggregation {
  /** Group columns are the first ones of a partial row; none: one group, also over no rows. */
  readonly group: readonly Collation[];
  readonly folds: readonly Fold[];
  readonly having: Scalar | null;
  /** Expressions over slots: see {@link Scalar}, `slot`. */
  readonly project: readonly Scalar[];
}

/**
 * How one aggregate is folded from partial columns of the partial row. Its result is slot `group.length + i`, after
 * the group columns.
 */
export type Fold =
  | { readonly kind: 'count'; readonly column: number }
  | { readonly kind: 'sum'; readonly column: number }
  | { readonly kind: 'total'; readonly column: number }
  /** Total and count. */
  | { readonly kind: 'average'; readonly total: number; readonly count: number }
  | {
      readonly kind: 'extreme';
      readonly want: 'min' | 'max';
      readonly column: number;
      readonly collation: Collation;
    }
  /** A column of the row that has the extreme `of` (index of a fold), as SQLite's bare columns; null: of any row. */
  | {
      readonly kind: 'carry';
      readonly column: number;
      readonly of: number | null;
      /** Partial rows with 0 in this column are of no rows at all, and only a last resort. */
      readonly rows: number | null;
    }
  /** Partial rows are grouped by `column` too: folded here over its distinct values. */
  | {
      readonly kind: 'distinct';
      readonly of: 'count' | 'sum' | 'total' | 'avg';
      readonly column: number;
      readonly collation: Collation;
    };

/**
 * An expression that the router evaluates by itself, with SQLite's semantics (`evaluate/`). Operators carry the
 * affinity and collation that SQLite's rules give the comparison, resolved when the plan is made.
 */
export type Scalar =
  | { readonly kind: 'constant'; readonly value: SqlValue }
  | { readonly kind: 'argument'; readonly index: number }
  | { readonly kind: 'slot'; readonly index: number }
  | { readonly kind: 'unary'; readonly operator: '-' | '~' | 'NOT'; readonly operand: Scalar }
  | {
      readonly kind: 'arithmetic';
      readonly operator: ArithmeticOperator;
      readonly left: Scalar;
      readonly right: Scalar;
    }
  | { readonly kind: 'logic'; readonly operator: 'AND' | 'OR'; readonly left: Scalar; readonly right: Scalar }
  | {
      readonly kind: 'compare';
      readonly operator: CompareOperator;
      readonly left: Scalar;
      readonly right: Scalar;
      readonly comparison: Comparison;
    }
  | { readonly kind: 'null-test'; readonly negated: boolean; readonly operand: Scalar }
  | {
      readonly kind: 'case';
      readonly branches: readonly { readonly when: Scalar; readonly result: Scalar }[];
      readonly otherwise: Scalar;
    }
  | { readonly kind: 'cast'; readonly operand: Scalar; readonly affinity: Affinity }
  | {
      readonly kind: 'call';
      readonly function: ScalarFunction;
      readonly arguments: readonly Scalar[];
      /** For min and max. */
      readonly collation: Collation;
    };

export type ArithmeticOperator = '+' | '-' | '*' | '/' | '%' | '&' | '|' | '<<' | '>>' | '||';
export type CompareOperator = '=' | '!=' | '<' | '<=' | '>' | '>=' | 'IS' | 'IS NOT';
export type ScalarFunction = 'abs' | 'coalesce' | 'round' | 'typeof' | 'length' | 'min' | 'max';

/** Affinity applied to each side before comparing (null: none), and the collation for texts. */
export interface Comparison {
  readonly left: Affinity | null;
  readonly right: Affinity | null;
  readonly collation: Collation;
}
