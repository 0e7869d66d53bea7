import type { TableId } from '../../base/brand.ts';

/** Column affinity: https://www.sqlite.org/datatype3.html section 3.1. `BLOB` is "no affinity". */
export type Affinity = 'INTEGER' | 'REAL' | 'TEXT' | 'BLOB' | 'NUMERIC';

/** Built-in collations; workerd lets nobody add one. */
export type Collation = 'BINARY' | 'NOCASE' | 'RTRIM';

export interface Column {
  readonly name: string;
  /** As written, for example `VARCHAR(20)`; empty when the column has none. */
  readonly declaredType: string;
  readonly affinity: Affinity;
  readonly collation: Collation;
  readonly notNull: boolean;
  /** Source text of the DEFAULT expression, or null. */
  readonly defaultSql: string | null;
  readonly generated: 'no' | 'virtual' | 'stored';
  /** 1-based position in the PRIMARY KEY; 0 when not part of it. */
  readonly primaryKeyIndex: number;
}

/**
 * Where rows live. `partitioned`: with the owner of the token of `key`. `key` names columns in declared
 * order, or the rowid's name for a table that has no PRIMARY KEY. `reference`: a copy in every partition.
 */
export type Placement =
  | { readonly kind: 'partitioned'; readonly key: readonly string[] }
  | { readonly kind: 'reference' };

export interface ForeignKey {
  readonly columns: readonly string[];
  readonly parent: string;
  /** Empty when the parent's PRIMARY KEY is meant. */
  readonly parentColumns: readonly string[];
  readonly onDelete: string;
  readonly onUpdate: string;
}

export interface Index {
  readonly name: string;
  readonly unique: boolean;
  /** Column names; null for an expression. */
  readonly columns: readonly (string | null)[];
  readonly partial: boolean;
}

export interface Trigger {
  readonly name: string;
  readonly table: string;
  readonly sql: string;
}

export interface Table {
  readonly id: TableId;
  readonly name: string;
  readonly columns: readonly Column[];
  readonly withoutRowid: boolean;
  readonly strict: boolean;
  /** The INTEGER PRIMARY KEY column that is an alias of the rowid, or null. */
  readonly rowidColumn: string | null;
  /** A name by which the rowid can be reached (`rowid`, `_rowid_` or `oid`, whichever no column takes); null in a WITHOUT ROWID table. */
  readonly rowidName: string | null;
  readonly placement: Placement;
  /** The CREATE TABLE statement as SQLite keeps it, Atoll's clauses cut out. */
  readonly sql: string;
  readonly foreignKeys: readonly ForeignKey[];
  readonly indexes: readonly Index[];
}
