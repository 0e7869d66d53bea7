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
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** How a name was written; `'` is SQLite's leniency for string literals where a name is required. */
export type Quote = '' | '"' | '`' | '[' | "'";

/** A name, unquoted. Compare names without case: SQLite folds ASCII letters only. */
export interface Identifier extends Span {
  readonly kind: 'identifier';
  readonly name: string;
  readonly quote: Quote;
}

/** `name` or `schema.name`, of a table, index, view, trigger, pragma. */
export interface QualifiedName extends Span {
  readonly kind: 'qualified-name';
  readonly schema: Identifier | null;
  readonly name: Identifier;
}

/** A declared type as in `CREATE TABLE` and `CAST`: `text` is the source, such as `VARCHAR ( 20 )`. */
export interface TypeName extends Span {
  readonly kind: 'type-name';
  readonly text: string;
}

// --- Expressions: https://www.sqlite.org/lang_expr.html ------------------------------------------------------------

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

// --- Windows: https://www.sqlite.org/windowfunctions.html ----------------------------------------------------------

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

// --- SELECT: https://www.sqlite.org/lang_select.html ---------------------------------------------------------------

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

// --- FROM ----------------------------------------------------------------------------------------------------------

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

// --- INSERT, UPDATE, DELETE ----------------------------------------------------------------------------------------

/** https://www.sqlite.org/lang_conflict.html */
export type ConflictAction = 'ROLLBACK' | 'ABORT' | 'FAIL' | 'IGNORE' | 'REPLACE';

/** https://www.sqlite.org/lang_insert.html */
export interface Insert extends Span {
  readonly kind: 'insert';
  readonly with: With | null;
  /** `REPLACE INTO` and `INSERT OR REPLACE` are both REPLACE. */
  readonly or: ConflictAction | null;
  readonly table: TableName;
  readonly columns: readonly Identifier[] | null;
  /** Null for DEFAULT VALUES. */
  readonly source: Select | null;
  readonly upserts: readonly Upsert[];
  readonly returning: Returning | null;
}

/** `ON CONFLICT (target) WHERE … DO NOTHING | DO UPDATE SET … WHERE …`: https://www.sqlite.org/lang_upsert.html */
export interface Upsert extends Span {
  readonly kind: 'upsert';
  readonly target: readonly OrderingTerm[] | null;
  readonly targetWhere: Expression | null;
  /** Null for DO NOTHING. */
  readonly set: readonly Assignment[] | null;
  readonly where: Expression | null;
}

/** `a = 1`, or `(a, b) = (1, 2)` when `row` is true. */
export interface Assignment extends Span {
  readonly kind: 'assignment';
  readonly columns: readonly Identifier[];
  readonly row: boolean;
  readonly value: Expression;
}

export interface Returning extends Span {
  readonly kind: 'returning';
  readonly columns: readonly ResultColumn[];
}

/** https://www.sqlite.org/lang_update.html; in source order RETURNING comes before ORDER BY. */
export interface Update extends Span {
  readonly kind: 'update';
  readonly with: With | null;
  readonly or: ConflictAction | null;
  readonly table: TableName;
  readonly set: readonly Assignment[];
  readonly from: From | null;
  readonly where: Expression | null;
  readonly returning: Returning | null;
  readonly orderBy: readonly OrderingTerm[] | null;
  readonly limit: Limit | null;
}

/** https://www.sqlite.org/lang_delete.html */
export interface Delete extends Span {
  readonly kind: 'delete';
  readonly with: With | null;
  readonly table: TableName;
  readonly where: Expression | null;
  readonly returning: Returning | null;
  readonly orderBy: readonly OrderingTerm[] | null;
  readonly limit: Limit | null;
}

// --- CREATE TABLE: https://www.sqlite.org/lang_createtable.html ----------------------------------------------------

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

// --- Other definitions ---------------------------------------------------------------------------------------------

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

// --- Everything else -----------------------------------------------------------------------------------------------

/** https://www.sqlite.org/pragma.html */
export interface Pragma extends Span {
  readonly kind: 'pragma';
  readonly name: QualifiedName;
  readonly value: PragmaValue | null;
}

/** `text` is unquoted and keeps a sign: `wal`, `-2000`, `on`. */
export interface PragmaValue extends Span {
  readonly kind: 'pragma-value';
  readonly text: string;
  /** `PRAGMA f(x)` rather than `PRAGMA f = x`. */
  readonly call: boolean;
}

export interface Analyze extends Span {
  readonly kind: 'analyze';
  readonly name: QualifiedName | null;
}

export interface Reindex extends Span {
  readonly kind: 'reindex';
  readonly name: QualifiedName | null;
}

export interface Vacuum extends Span {
  readonly kind: 'vacuum';
  readonly schema: Identifier | null;
  readonly into: Expression | null;
}

export interface Attach extends Span {
  readonly kind: 'attach';
  readonly file: Expression;
  readonly schema: Expression;
  readonly key: Expression | null;
}

export interface Detach extends Span {
  readonly kind: 'detach';
  readonly schema: Expression;
}

export interface Explain extends Span {
  readonly kind: 'explain';
  readonly queryPlan: boolean;
  readonly statement: Exclude<Statement, Explain>;
}

export interface Begin extends Span {
  readonly kind: 'begin';
  readonly mode: 'DEFERRED' | 'IMMEDIATE' | 'EXCLUSIVE' | null;
}

/** COMMIT or END. */
export interface Commit extends Span {
  readonly kind: 'commit';
}

/** `savepoint`: ROLLBACK TO it, or null for the whole transaction. */
export interface Rollback extends Span {
  readonly kind: 'rollback';
  readonly savepoint: Identifier | null;
}

export interface Savepoint extends Span {
  readonly kind: 'savepoint';
  readonly name: Identifier;
}

export interface Release extends Span {
  readonly kind: 'release';
  readonly name: Identifier;
}

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
