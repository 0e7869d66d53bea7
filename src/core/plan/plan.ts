import type { TableId } from '../../base/brand.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import type { Affinity, Collation } from '../schema/table.ts';
import type { RefusalCode } from '../sql/analysis/refusal-code.ts';
import type { Merge } from './merge-plan.ts';

export type * from './merge-plan.ts';

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
  | GatheredInsertPlan
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

/**
 * An INSERT whose rows no partition has, or could make where they belong. They are read first; then `prefix` + rows joined by `, ` +
 * `suffix` is an INSERT of them, whose transaction makes the read once more, and commits if it has the same answer.
 */
export interface GatheredInsertPlan {
  readonly kind: 'gathered-insert';
  readonly read: GatheredRead;
  readonly prefix: string;
  readonly suffix: string;
  /** The largest number of a parameter that these have. */
  readonly parameterCount: number;
  /** Of an INSERT of one such row: where it belongs is another question. */
  readonly insert: RoutePlan | ScatterWritePlan | ReferenceWritePlan;
  /** Names of the answer's columns. */
  readonly returning: readonly string[];
  readonly tables: Tables;
  readonly reaches: readonly string[];
  readonly reason: string;
}

/** Parameters have the numbers that they have in the whole statement. */
export interface GatheredRead {
  readonly sql: string;
  readonly parameterCount: number;
  readonly plan: RoutePlan | ScatterPlan;
  /** Of a read in one partition that asks for the time: to be run instead, with parameters of its own. */
  readonly timed?: { readonly sql: string; readonly parameters: readonly ParameterSource[] };
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
