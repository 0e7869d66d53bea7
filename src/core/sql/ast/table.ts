import type { Expression } from './expression.ts';
import type { Identifier, QualifiedName, Span, TypeName } from './name.ts';
import type { OrderingTerm, Select } from './select.ts';
import type { ConflictAction } from './write.ts';

// CREATE TABLE, with Atoll's own clauses: https://www.sqlite.org/lang_createtable.html

export interface CreateTable extends Span {
  readonly kind: 'create-table';
  readonly temporary: boolean;
  readonly ifNotExists: boolean;
  readonly name: QualifiedName;
  readonly columns: readonly ColumnDefinition[];
  readonly constraints: readonly TableConstraint[];
  readonly options: readonly TableOption[];
  readonly clauses: readonly AtollClause[];
  /** CREATE TABLE … AS SELECT; then there are no columns and constraints. */
  readonly select: Select | null;
}

export interface TableOption extends Span {
  readonly kind: 'table-option';
  readonly option: 'WITHOUT ROWID' | 'STRICT';
}

/**
 * Atoll's own clauses of a table. SQLite never sees them: cut their span out. Written
 * inside a comment that opens with the word `atoll`, the span is the whole comment: other tools can run the same text.
 */
export type AtollClause = PartitionBy | Reference | AppendOnly;

export interface PartitionBy extends Span {
  readonly kind: 'partition-by';
  readonly columns: readonly Identifier[];
}

export interface Reference extends Span {
  readonly kind: 'reference';
}

export interface AppendOnly extends Span {
  readonly kind: 'append-only';
}

export interface ColumnDefinition extends Span {
  readonly kind: 'column-definition';
  readonly name: Identifier;
  readonly type: TypeName | null;
  readonly constraints: readonly ColumnConstraint[];
}

/** A constraint's CONSTRAINT name, when written; the span then starts at CONSTRAINT. */
interface Named extends Span {
  readonly name: Identifier | null;
}

export interface PrimaryKeyColumn extends Named {
  readonly kind: 'primary-key-column';
  readonly direction: 'ASC' | 'DESC' | null;
  readonly onConflict: ConflictAction | null;
  readonly autoincrement: boolean;
}

/** `NOT NULL` or, with `nullable`, the no-op `NULL`. */
export interface NotNull extends Named {
  readonly kind: 'not-null';
  readonly nullable: boolean;
  readonly onConflict: ConflictAction | null;
}

export interface UniqueColumn extends Named {
  readonly kind: 'unique-column';
  readonly onConflict: ConflictAction | null;
}

/** Of a column or of the table. */
export interface Check extends Named {
  readonly kind: 'check';
  readonly expression: Expression;
  readonly onConflict: ConflictAction | null;
}

/** `DEFAULT 1`, `DEFAULT -1`, `DEFAULT word`, `DEFAULT (expression)`. */
export interface Default extends Named {
  readonly kind: 'default';
  readonly expression: Expression;
  readonly parenthesized: boolean;
}

export interface CollateColumn extends Named {
  readonly kind: 'collate-column';
  readonly collation: Identifier;
}

/** https://www.sqlite.org/gencol.html */
export interface Generated extends Named {
  readonly kind: 'generated';
  readonly expression: Expression;
  readonly stored: boolean;
}

/** A column's own foreign key. */
export interface ReferencesColumn extends Named {
  readonly kind: 'references-column';
  readonly references: References;
}

/** `REFERENCES parent (columns) ON DELETE … MATCH … DEFERRABLE …`: https://www.sqlite.org/foreignkeys.html */
export interface References extends Span {
  readonly kind: 'references';
  readonly table: Identifier;
  readonly columns: readonly Identifier[] | null;
  readonly onDelete: ReferentialAction | null;
  readonly onUpdate: ReferentialAction | null;
  readonly deferrable: Deferrable | null;
}

export type ReferentialAction = 'SET NULL' | 'SET DEFAULT' | 'CASCADE' | 'RESTRICT' | 'NO ACTION';

export interface Deferrable extends Span {
  readonly kind: 'deferrable';
  readonly not: boolean;
  readonly initially: 'DEFERRED' | 'IMMEDIATE' | null;
}

/** A [NOT] DEFERRABLE that does not follow its REFERENCES directly: SQLite applies it to the latest foreign key. */
export interface DeferrableColumn extends Named {
  readonly kind: 'deferrable-column';
  readonly deferrable: Deferrable;
}

/** `CONSTRAINT name` with nothing behind it, which SQLite accepts. */
export interface EmptyConstraint extends Span {
  readonly kind: 'empty-constraint';
  readonly name: Identifier;
}

export type ColumnConstraint =
  | PrimaryKeyColumn
  | NotNull
  | UniqueColumn
  | Check
  | Default
  | CollateColumn
  | Generated
  | ReferencesColumn
  | DeferrableColumn
  | EmptyConstraint;

export interface PrimaryKeyTable extends Named {
  readonly kind: 'primary-key-table';
  readonly columns: readonly OrderingTerm[];
  readonly autoincrement: boolean;
  readonly onConflict: ConflictAction | null;
}

export interface UniqueTable extends Named {
  readonly kind: 'unique-table';
  readonly columns: readonly OrderingTerm[];
  readonly onConflict: ConflictAction | null;
}

export interface ForeignKeyTable extends Named {
  readonly kind: 'foreign-key-table';
  readonly columns: readonly Identifier[];
  readonly references: References;
}

export type TableConstraint = PrimaryKeyTable | UniqueTable | Check | ForeignKeyTable | EmptyConstraint;
