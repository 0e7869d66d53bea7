import type { TableId } from '../../base/brand.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import type { Affinity, Collation } from '../schema/table.ts';
import type { RefusalCode } from '../sql/analysis/refusal-code.ts';

/**
 * What the router does with a statement: plain data, independent of argument values, so that it can be cached by SQL
 * text and schema version. `bind.ts` turns a plan and arguments into partitions; `merge/` turns their rows into the
 * answer. The order, route before scatter before refusal, is that of Citus's planner
 * (https://docs.citusdata.com/en/stable/develop/reference_sql.html).
 */
export type Plan =
  | RoutePlan
  | ScatterPlan
  | ScatterWritePlan
  | ReferenceWritePlan
  | SystemReadPlan
  | SchemaPlan
  | PragmaPlan
  | ExplainPlan
  | TransactionControlPlan
  | RefusedPlan;

export type { RefusalCode };

// --- Keys ----------------------------------------------------------------------------------------------------------

/** Where a key column's value comes from. `index` is the parameter's, from 1. */
export type KeySource =
  | { readonly kind: 'literal'; readonly value: SqlValue }
  | { readonly kind: 'parameter'; readonly index: number };

/** One source for each column of the partition key, in its declared order. */
export type KeyTuple = readonly KeySource[];

/** What decides the token of a key value; all partitioned tables of one statement agree on it. */
export interface KeyClass {
  readonly affinity: Affinity;
  readonly collation: Collation;
}

export interface Tables {
  /** Names as in the schema, views expanded, each once. */
  readonly partitioned: readonly string[];
  readonly reference: readonly string[];
}

// --- Plans ---------------------------------------------------------------------------------------------------------

/** The statement runs, as it was written, in one partition. */
export interface RoutePlan {
  readonly kind: 'route';
  readonly access: 'read' | 'write';
  readonly pin: Pin;
  readonly tables: Tables;
  /** Other tables that triggers and foreign-key actions of this write may write; the partition checks ownership. */
  readonly reaches: readonly string[];
  /** Tables whose rows it may move to other partitions (`move.ts`): then it is a transaction over partitions. */
  readonly moves?: readonly string[];
  /** Indexes over partitions that it may concern (`unique.ts`, `references.ts`): likewise. */
  readonly indexes?: readonly string[];
  /** Tables that foreign keys over partitions may change, once the statements have run. */
  readonly acts?: readonly string[];
  readonly staged?: Staged;
  /** If its arguments give some, it is a transaction over all partitions. */
  readonly ids?: GivenIds;
  readonly reason: string;
}

/** Ids that an INSERT gives its rows itself, where they do not say which partition has a row (`given-ids.ts`). */
export interface GivenIds {
  readonly table: string;
  /** Of each row; null: it is generated. */
  readonly values: readonly (KeySource | null)[];
}

/** An INSERT that says what to do with rows in its way, which may be in other partitions: they are looked for first (`staged.ts`). */
export interface Staged {
  readonly table: string;
  readonly constraints: readonly StagedConstraint[];
  /** Two rows may have equal values of a constraint. */
  readonly rowsMayMeet: boolean;
  /** Rows that are there, or come, keep their values of all constraints: so may others of the same transaction. */
  readonly keeps: boolean;
  /** The rows may belong to several partitions. */
  readonly apart: boolean;
  /** Only since it gives ids: if its arguments give none, it is like any other. */
  readonly byIds: boolean;
  /** Why it cannot be done, if its arguments give ids. */
  readonly refusal?: { readonly code: string; readonly message: string };
}

export interface StagedConstraint {
  /** Id of the hidden table that keeps it over partitions; null: partitions keep it. */
  readonly index: TableId | null;
  /** Nobody knows where a row with the value is: every partition is asked. */
  readonly everywhere: boolean;
  /** NULL is stored as it is, and in nobody's way. */
  readonly takesNull: boolean;
  readonly columns: readonly string[];
  readonly classes: readonly KeyClass[];
  /** Of each row; null: nothing can be in its way. */
  readonly values: readonly (KeyTuple | null)[];
}

export type Pin =
  /**
   * The partition of these key values. Several tuples (INSERT of several rows) must all belong to the same
   * partition, or the statement is refused as `multi-partition-write` at bind time; a plan with one tuple never
   * is.
   */
  | {
      readonly kind: 'key';
      readonly columns: readonly KeyClass[];
      readonly tuples: readonly KeyTuple[];
      /** The key is the generated id: where its value turns out NULL, any partition generates one. */
      readonly generatesNull: boolean;
    }
  /** Any partition has the answer: no tables, or reference tables only. */
  | { readonly kind: 'any' }
  /** INSERT into a table whose key is the generated id: any partition, which issues ids that it owns. */
  | { readonly kind: 'generated' };

/** Every target runs `sql`; `merge` combines the rows. Only reads. */
export interface ScatterPlan {
  readonly kind: 'scatter';
  readonly targets: Targets;
  /** Parameters are explicit, `?1` to `?n`; `parameters[i]` says what to bind to `?(i + 1)`. */
  readonly sql: string;
  readonly parameters: readonly ParameterSource[];
  readonly merge: Merge;
  /** How the one partition is found that has all of the answer: `lookup.ts`. */
  readonly lookup?: Lookup;
  readonly tables: Tables;
  readonly reason: string;
}

/**
 * All that a statement needs lies with one row, whose values of an index over partitions it names: the index says where.
 */
export interface Lookup {
  /** Id of the index's hidden table. */
  readonly index: TableId;
  /** The table and columns that are unique; a value for each. */
  readonly table: string;
  readonly columns: readonly string[];
  readonly values: KeyTuple;
}

export type Targets =
  | { readonly kind: 'all' }
  /** The partitions that own any of these keys: `key IN (…)`. */
  | { readonly kind: 'keys'; readonly columns: readonly KeyClass[]; readonly tuples: readonly KeyTuple[] };

/** What a partition's parameter is bound to. */
export type ParameterSource =
  /** `time`: the argument stands where SQLite reads a time, so that the text 'now' becomes the router's instant. */
  | { readonly kind: 'argument'; readonly index: number; readonly time: boolean }
  /** The router's instant as `YYYY-MM-DD HH:MM:SS.SSS`, the same for all partitions. */
  | { readonly kind: 'now' }
  /** LIMIT plus OFFSET of the merge, or -1. */
  | { readonly kind: 'row-bound' };

/**
 * A write that may touch several partitions. If `perPartition` is sound, each target runs the statement as it was written
 * (`rows` null), or INSERT VALUES with the rows of its own keys (`rows` given): in one transaction, unless `atomicity` is 'partition'.
 */
export interface ScatterWritePlan {
  readonly kind: 'scatter-write';
  readonly targets: Targets;
  /** For INSERT … VALUES: how to cut the statement by rows. */
  readonly rows: InsertRows | null;
  /** For other statements that ask for the time: to be run instead, with parameters of its own. */
  readonly timed?: { readonly sql: string; readonly parameters: readonly ParameterSource[] };
  readonly perPartition: { readonly sound: true } | { readonly sound: false; readonly message: string };
  readonly tables: Tables;
  readonly reaches: readonly string[];
  /** As of a {@link RoutePlan}. */
  readonly moves?: readonly string[];
  readonly indexes?: readonly string[];
  readonly acts?: readonly string[];
  readonly staged?: Staged;
  readonly ids?: GivenIds;
  /** As of a {@link ScatterPlan}. */
  readonly lookup?: Lookup;
  readonly reason: string;
}

/**
 * `prefix` + chosen rows joined by `, ` + `suffix` is the statement for one partition; parameters keep their
 * numbers, or are bound to `parameters`.
 */
export interface InsertRows {
  readonly prefix: string;
  readonly rows: readonly string[];
  readonly suffix: string;
  /** Given if the statement asks for the time. */
  readonly parameters?: readonly ParameterSource[];
  /** Key of each row; null where the executing partition generates it. */
  readonly keys: readonly (KeyTuple | null)[];
  readonly columns: readonly KeyClass[];
  readonly generatesNull: boolean;
}

/** A write of a reference table: the system partition executes it once. */
export interface ReferenceWritePlan {
  readonly kind: 'reference-write';
  readonly tables: Tables;
  readonly reaches: readonly string[];
  /** Partitioned tables whose rows foreign keys then change, and triggers on them. */
  readonly acts?: readonly string[];
  /** Partitioned tables with rows that may refer to what it takes away: every partition takes part. */
  readonly referring?: readonly string[];
  readonly reason: string;
}

/** A read of Atoll's own tables (`atoll_partitions`, …), which live in the system partition. */
export interface SystemReadPlan {
  readonly kind: 'system';
  readonly tables: readonly string[];
  readonly reason: string;
}

export interface SchemaPlan {
  readonly kind: 'schema';
  readonly reason: string;
}

/** A PRAGMA that reads the schema: any partition answers it, as it was written. */
export interface PragmaPlan {
  readonly kind: 'pragma';
  readonly name: string;
  readonly reason: string;
}

export interface ExplainPlan {
  readonly kind: 'explain';
  readonly of: Plan;
}

/** BEGIN, COMMIT, …: for the router's sessions; a statement alone is refused. */
export interface TransactionControlPlan {
  readonly kind: 'transaction-control';
  readonly action: 'begin' | 'commit' | 'rollback' | 'savepoint' | 'rollback-to' | 'release';
  readonly code: 'unsupported';
  readonly message: string;
}

export interface RefusedPlan {
  readonly kind: 'refused';
  readonly code: RefusalCode;
  /** Says what to change. */
  readonly message: string;
}

// --- Merge ---------------------------------------------------------------------------------------------------------

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
