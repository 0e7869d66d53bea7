import type {
  Analyze,
  Attach,
  Begin,
  Commit,
  Detach,
  Explain,
  Pragma,
  PragmaValue,
  Reindex,
  Release,
  Rollback,
  Savepoint,
  Vacuum,
} from './ast/command.ts';
import type {
  AlterAction,
  AlterTable,
  CreateIndex,
  CreateTrigger,
  CreateView,
  CreateVirtualTable,
  Drop,
  ModuleArgument,
} from './ast/definition.ts';
import type {
  CaseBranch,
  Expression,
  Frame,
  FrameBound,
  InList,
  NamedWindow,
  Parameter,
  WindowDefinition,
} from './ast/expression.ts';
import type { Identifier, QualifiedName, Span, TypeName } from './ast/name.ts';
import type {
  AsOf,
  CommonTable,
  CompoundTerm,
  From,
  Join,
  Limit,
  OrderingTerm,
  ResultColumn,
  Select,
  SelectCore,
  TableSource,
  Values,
  ValuesRow,
  With,
} from './ast/select.ts';
import type {
  AtollClause,
  ColumnConstraint,
  ColumnDefinition,
  CreateTable,
  Deferrable,
  References,
  TableConstraint,
  TableOption,
} from './ast/table.ts';
import type { Assignment, Delete, Insert, Returning, Update, Upsert } from './ast/write.ts';

export type * from './ast/command.ts';
export type * from './ast/definition.ts';
export type * from './ast/expression.ts';
export type * from './ast/name.ts';
export type * from './ast/select.ts';
export type * from './ast/table.ts';
export type * from './ast/write.ts';

/**
 * The syntax tree of one SQL statement: SQLite's grammar (https://www.sqlite.org/lang.html, parse.y) plus Atoll's
 * own clauses.
 *
 * Every node carries `start` and `end`, UTF-16 offsets into the text that was parsed, `end` exclusive. Statements are
 * rewritten by splicing source text, so spans are a contract: an expression's span never includes parentheses
 * around it, and always covers whole operands with theirs. Putting `(` and `)` around any expression's span therefore
 * keeps the statement's meaning (row values excepted, and the DEFAULT of a column that has no parentheses).
 *
 * Fields that are lists of children hold them in source order. `null` means "not written".
 */
export type Statement =
  | Select
  | Insert
  | Update
  | Delete
  | CreateTable
  | CreateIndex
  | CreateView
  | CreateTrigger
  | CreateVirtualTable
  | AlterTable
  | Drop
  | Pragma
  | Analyze
  | Reindex
  | Vacuum
  | Attach
  | Detach
  | Explain
  | Begin
  | Commit
  | Rollback
  | Savepoint
  | Release;

/** Every node there is. */
export type Node =
  | Statement
  | Expression
  | Identifier
  | QualifiedName
  | TypeName
  | InList
  | CaseBranch
  | WindowDefinition
  | NamedWindow
  | Frame
  | FrameBound
  | AsOf
  | CompoundTerm
  | SelectCore
  | Values
  | ValuesRow
  | ResultColumn
  | OrderingTerm
  | Limit
  | With
  | CommonTable
  | From
  | Join
  | TableSource
  | Upsert
  | Assignment
  | Returning
  | TableOption
  | AtollClause
  | ColumnDefinition
  | ColumnConstraint
  | TableConstraint
  | References
  | Deferrable
  | ModuleArgument
  | AlterAction
  | PragmaValue;

export type Kind = Node['kind'];
export type NodeOf<K extends Kind> = Extract<Node, { readonly kind: K }>;

/** One statement with what was counted while it was read. Its span has no `;` and no surrounding space. */
export interface ParsedStatement extends Span {
  readonly statement: Statement;
  /** Every parameter in source order, repeated ones too. */
  readonly parameters: readonly Parameter[];
  /** How many values to bind: the largest index. */
  readonly parameterCount: number;
}
