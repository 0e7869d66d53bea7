import { asciiLower } from '../../../base/ascii.ts';
import type { Affinity, Collation, Table } from '../../schema/table.ts';
import type { Expression, FunctionCall, OrderingTerm, Select, SelectCore, Values } from '../ast.ts';
import type { ColumnNode, ValueClass } from './graph.ts';

/** A column that a source shows. `name` as declared. */
export interface SourceColumn {
  readonly name: string;
  readonly affinity: Affinity | null;
  readonly collation: Collation;
}

/** One use of a table, view, common table expression, subquery or table-valued function. */
export interface Source {
  readonly id: number;
  /** The name that qualifies its columns, in lower case; null: an anonymous subquery. */
  readonly name: string | null;
  readonly columns: readonly SourceColumn[];
  /** A table of the schema, not a view. */
  readonly table: Table | null;
  readonly select: SelectModel | null;
  /** Columns of a JOIN USING or NATURAL that `*` and bare names leave out: they stand further left. */
  readonly merged: Set<string>;
  /** Whether an outer join may fill it with NULLs. */
  nullable: boolean;
}

/** A use of a partitioned table with the nodes of its key columns. */
export interface PartitionedUse {
  readonly source: Source;
  readonly table: Table;
  readonly key: readonly ColumnNode[];
  readonly classes: readonly ValueClass[];
}

export interface Scope {
  readonly sources: readonly Source[];
  readonly parent: Scope | null;
  /** Result columns with an alias, which WHERE, GROUP BY, HAVING and ORDER BY may use. */
  readonly aliases: ReadonlyMap<string, Expression>;
  /** A RIGHT or FULL JOIN makes the columns of USING a coalesce() of both. */
  readonly coalesced: ReadonlySet<string>;
}

const NO_ALIASES: ReadonlyMap<string, Expression> = new Map();

export function withoutAliases(scope: Scope): Scope {
  return scope.aliases.size === 0 ? scope : { ...scope, aliases: NO_ALIASES };
}

/** What a name means. */
export type Resolved =
  | {
      readonly kind: 'column';
      readonly source: Source;
      /** As declared; the rowid's own name for it. */
      readonly name: string;
      readonly affinity: Affinity | null;
      readonly collation: Collation;
      /** 0: of this scope; 1 and up: of an enclosing one, so that the subquery is correlated. */
      readonly depth: number;
    }
  | { readonly kind: 'alias'; readonly expression: Expression; readonly depth: number }
  | { readonly kind: 'coalesced'; readonly depth: number }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'truth'; readonly value: boolean };

/** A result column, stars expanded. */
export interface Output {
  readonly name: string;
  /** Null for a column out of a star. */
  readonly expression: Expression | null;
  readonly alias: string | null;
  readonly affinity: Affinity | null;
  readonly collation: Collation | null;
  /** The column that it plainly is. */
  readonly node: ColumnNode | null;
  readonly nullable: boolean;
}

export interface CoreModel {
  readonly ast: SelectCore | Values;
  readonly scope: Scope;
  readonly outputs: readonly Output[];
  readonly aggregates: readonly FunctionCall[];
  readonly windows: readonly FunctionCall[];
  readonly anchor: Anchor;
  /** Every partitioned table used here and below. */
  readonly uses: readonly PartitionedUse[];
}

export interface SelectModel {
  readonly ast: Select;
  readonly cores: readonly CoreModel[];
  readonly outputs: readonly Output[];
  readonly orderBy: readonly OrderingTerm[];
  readonly recursive: boolean;
  readonly uses: readonly PartitionedUse[];
  readonly anchor: Anchor;
}

/**
 * The key by which a select's rows fall apart: it is the disjoint union of what each key value's rows alone would give.
 * `nodes`: columns below it that hold the key. `outputs`: result columns that do (of every arm of a compound).
 * `none`: it is not such a union, or not provably.
 */
export type Anchor =
  | { readonly kind: 'nodes'; readonly nodes: readonly ColumnNode[] }
  | { readonly kind: 'outputs'; readonly outputs: readonly number[] }
  | { readonly kind: 'none'; readonly why: string };

export function nodeOf(source: Source, column: string): ColumnNode {
  return `${source.id}.${asciiLower(column)}`;
}
