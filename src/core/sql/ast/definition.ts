import type { Expression } from './expression.ts';
import type { Identifier, QualifiedName, Span } from './name.ts';
import type { OrderingTerm, Select } from './select.ts';
import type { Check, ColumnDefinition, PartitionBy, Reference } from './table.ts';
import type { ConflictAction, Delete, Insert, Update } from './write.ts';

// Indexes, views, triggers, virtual tables, ALTER and DROP.

/** https://www.sqlite.org/lang_createindex.html */
export interface CreateIndex extends Span {
  readonly kind: 'create-index';
  readonly unique: boolean;
  readonly ifNotExists: boolean;
  readonly name: QualifiedName;
  readonly table: Identifier;
  readonly columns: readonly OrderingTerm[];
  readonly where: Expression | null;
}

/** https://www.sqlite.org/lang_createview.html */
export interface CreateView extends Span {
  readonly kind: 'create-view';
  readonly temporary: boolean;
  readonly ifNotExists: boolean;
  readonly name: QualifiedName;
  readonly columns: readonly Identifier[] | null;
  readonly select: Select;
}

/** https://www.sqlite.org/lang_createtrigger.html */
export interface CreateTrigger extends Span {
  readonly kind: 'create-trigger';
  readonly temporary: boolean;
  readonly ifNotExists: boolean;
  readonly name: QualifiedName;
  readonly time: 'BEFORE' | 'AFTER' | 'INSTEAD OF' | null;
  readonly event: 'DELETE' | 'INSERT' | 'UPDATE';
  /** UPDATE OF columns. */
  readonly columns: readonly Identifier[] | null;
  readonly table: QualifiedName;
  readonly when: Expression | null;
  readonly body: readonly (Insert | Update | Delete | Select)[];
}

/** https://www.sqlite.org/lang_createvtab.html */
export interface CreateVirtualTable extends Span {
  readonly kind: 'create-virtual-table';
  readonly ifNotExists: boolean;
  readonly name: QualifiedName;
  readonly module: Identifier;
  readonly arguments: readonly ModuleArgument[];
}

/** One argument of a virtual table's module, as written: its meaning is the module's own. */
export interface ModuleArgument extends Span {
  readonly kind: 'module-argument';
  readonly text: string;
}

/** https://www.sqlite.org/lang_altertable.html */
export interface AlterTable extends Span {
  readonly kind: 'alter-table';
  readonly table: QualifiedName;
  readonly action: AlterAction;
}

export type AlterAction =
  | RenameTable
  | RenameColumn
  | AddColumn
  | DropColumn
  | AddCheck
  | DropConstraint
  | SetNotNull
  | DropNotNull
  | PartitionBy
  | Reference;

export interface RenameTable extends Span {
  readonly kind: 'rename-table';
  readonly to: Identifier;
}

export interface RenameColumn extends Span {
  readonly kind: 'rename-column';
  readonly from: Identifier;
  readonly to: Identifier;
}

export interface AddColumn extends Span {
  readonly kind: 'add-column';
  readonly column: ColumnDefinition;
}

export interface DropColumn extends Span {
  readonly kind: 'drop-column';
  readonly name: Identifier;
}

/** `ADD [CONSTRAINT name] CHECK (…)`: SQLite 3.53. */
export interface AddCheck extends Span {
  readonly kind: 'add-check';
  readonly check: Check;
}

export interface DropConstraint extends Span {
  readonly kind: 'drop-constraint';
  readonly name: Identifier;
}

/** `ALTER COLUMN c SET NOT NULL`: SQLite 3.53. */
export interface SetNotNull extends Span {
  readonly kind: 'set-not-null';
  readonly column: Identifier;
  readonly onConflict: ConflictAction | null;
}

export interface DropNotNull extends Span {
  readonly kind: 'drop-not-null';
  readonly column: Identifier;
}

export interface Drop extends Span {
  readonly kind: 'drop';
  readonly object: 'TABLE' | 'INDEX' | 'VIEW' | 'TRIGGER';
  readonly ifExists: boolean;
  readonly name: QualifiedName;
}
