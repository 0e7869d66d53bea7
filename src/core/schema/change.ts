import { asciiLower } from '../../base/ascii.ts';
import { assert, present } from '../../base/assert.ts';
import type { SchemaVersion, TableId } from '../../base/brand.ts';
import { AtollError } from '../../protocol/error.ts';
import { dropLog } from '../log/capture.ts';
import { unguardTrigger } from '../log/guard.ts';
import type { AlterTable, AtollClause, CreateTable, Statement } from '../sql/ast.ts';
import { SqlSyntaxError } from '../sql/error.ts';
import { parseStatement } from '../sql/parse.ts';
import { type Edit, splice } from '../sql/splice.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { type Catalogue, Schema } from './catalogue.ts';
import { compileTriggers } from './compile-triggers.ts';
import { checkDefinition, checkTriggerBody } from './definition-rules.ts';
import { HiddenTables } from './hidden-tables.ts';
import {
  type DescribedTables,
  describedTables,
  foreignTables,
  introspect,
  isInternalName,
} from './introspect.ts';
import { type DeclaredPlacement, inOrderOfParents, parentColumnsOf, resolvePlacement } from './placement.ts';
import { BOUND_START, boundRecursion, withoutBounds } from './recursion-bound.ts';
import type { KeyOver } from './reference-index.ts';
import type { Placement, Table } from './table.ts';
import { validateCatalogue } from './validate.ts';
import {
  keysOfColumn,
  keysOfTable,
  keysOver,
  type WrittenKey,
  withColumnOf,
  withTableRenamed,
} from './written-key.ts';

/** One step from a schema version to the next: plain data, the same for every partition. */
export interface SchemaChange {
  readonly version: SchemaVersion;
  /** What SQLite runs, Atoll's clauses cut out, in order. */
  readonly statements: readonly string[];
  /** Tables that must hold no row anywhere, since their partition key changes. */
  readonly mustBeEmpty: readonly string[];
  /** The schema afterwards. */
  readonly catalogue: Catalogue;
}

interface Definition {
  readonly source: string;
  readonly statement: Statement;
}

/**
 * Finds out what DDL does by running it. Call it in a transaction that is then rolled back, on a port whose
 * schema is `before`. Null when it changes nothing (IF NOT EXISTS).
 *
 * @throws AtollError for what is refused, SqliteError for what SQLite refuses
 */
export function planSchemaChange(
  port: SqlitePort,
  before: Catalogue,
  sources: readonly string[],
): SchemaChange | null {
  const definitions = sources.map((source) => ({ source, statement: parseDefinition(source) }));
  const plan = (apart: Apart | null): SchemaChange | null => {
    const planner = new ChangePlanner(port, before, apart);
    for (const [index, definition] of definitions.entries()) planner.run(definition, index);
    return planner.finish();
  };
  try {
    return port.transaction(() => plan(null));
  } catch (error) {
    if (!(error instanceof Apart)) throw error;
    return plan(error);
  }
}

/**
 * Thrown to begin anew: the definitions have foreign keys over partitions, as placements show once all tables are there.
 * SQLite must not know of them.
 */
class Apart extends Error {
  readonly keys: readonly { readonly key: WrittenKey; readonly over: KeyOver }[];
  readonly placements: ReadonlyMap<TableId, Placement>;

  constructor(keys: Apart['keys'], tables: readonly Table[]) {
    super('foreign keys over partitions');
    this.keys = keys;
    this.placements = new Map(tables.map(({ id, placement }) => [id, placement]));
  }
}

function parseDefinition(source: string): Statement {
  try {
    const { statement, parameterCount } = parseStatement(source);
    if (source.includes(BOUND_START)) throw new AtollError('syntax', `${BOUND_START} is Atoll's own mark`);
    if (parameterCount > 0) throw new AtollError('parameter', 'a schema statement takes no parameters');
    checkDefinition(statement);
    return statement;
  } catch (error) {
    if (error instanceof SqlSyntaxError) throw new AtollError('syntax', error.message);
    throw error;
  }
}

class ChangePlanner {
  readonly #port: SqlitePort;
  readonly #before: Catalogue;
  readonly #shapeBefore: string;
  readonly #foreign: ReadonlySet<string>;
  readonly #described: DescribedTables;
  readonly #statements: string[] = [];
  readonly #mustBeEmpty: string[] = [];
  /** By lower-case name, as the statements run so far have left them. */
  readonly #ids = new Map<string, TableId>();
  readonly #placements = new Map<TableId, Placement>();
  readonly #hidden: HiddenTables;
  readonly #apart: Apart | null;
  #written: readonly WrittenKey[] = [];
  /** Of tables whose placement is resolved at the end, when all of their parents are there. */
  readonly #declared = new Map<TableId, DeclaredPlacement>();
  #nextTableId: number;

  constructor(port: SqlitePort, before: Catalogue, apart: Apart | null) {
    this.#apart = apart;
    this.#hidden = new HiddenTables(before);
    this.#port = port;
    this.#before = before;
    this.#shapeBefore = shapeOf(port);
    this.#foreign = foreignTables(port, before.tables);
    this.#described = describedTables(port, before.tables);
    this.#nextTableId = before.nextTableId;
    for (const table of before.tables) {
      this.#ids.set(asciiLower(table.name), table.id);
      this.#placements.set(table.id, table.placement);
    }
  }

  /** `index`: which of the definitions. */
  run({ source, statement }: Definition, index: number): void {
    switch (statement.kind) {
      case 'create-table':
        this.#createTable(source, statement, index);
        return;
      case 'alter-table':
        this.#alterTable(source, statement, index);
        return;
      case 'drop':
        if (statement.object === 'TABLE') this.#dropTable(statement.name.name.name);
        this.#execute(source);
        return;
      case 'create-view':
      case 'create-trigger':
        if (statement.temporary) throw unsupported('TEMP views and triggers', 'create an ordinary one');
        this.#execute(source, boundRecursion(source, statement));
        return;
      case 'create-index':
        this.#execute(source);
        return;
      case 'create-virtual-table':
        throw unsupported('CREATE VIRTUAL TABLE', 'keep the text in an ordinary table');
      default:
        throw new AtollError('forbidden-statement', `${statement.kind} is no schema change`);
    }
  }

  #createTable(source: string, statement: CreateTable, index: number): void {
    if (statement.temporary) throw unsupported('TEMP tables', 'create an ordinary one');
    if (statement.select !== null) throw unsupported('CREATE TABLE … AS SELECT', 'CREATE TABLE, then INSERT');
    const { name } = statement.name.name;
    if (this.#ids.has(asciiLower(name))) {
      if (statement.ifNotExists) return;
      throw new AtollError('already-exists', `table ${name} already exists`);
    }
    const id = this.#nextTableId++ as TableId;
    this.#ids.set(asciiLower(name), id);
    for (const clause of statement.clauses) this.#declare(id, clause);
    this.#written = [...this.#written, ...keysOfTable({ of: id, definition: index }, statement)];
    const clauses = statement.clauses.map(({ start, end }) => ({ start, end, text: '' }));
    this.#execute(splice(source, [...clauses, ...this.#cuts(index)]));
  }

  /** What is cut out of a definition, where it has foreign keys over partitions. */
  #cuts(index: number): Edit[] {
    return (this.#apart?.keys ?? []).flatMap(({ key }) => (key.definition === index ? key.cuts : []));
  }

  #declare(id: TableId, clause: AtollClause): void {
    if (clause.kind === 'append-only') throw unsupported('APPEND ONLY', 'leave the clause out');
    this.#placements.delete(id);
    this.#declared.set(
      id,
      clause.kind === 'reference'
        ? { kind: 'reference' }
        : { kind: 'partition-by', columns: clause.columns.map((column) => column.name) },
    );
  }

  #alterTable(source: string, { table, action }: AlterTable, index: number): void {
    const { name } = table.name;
    const id = this.#ids.get(asciiLower(name));
    if (action.kind === 'partition-by' || action.kind === 'reference') {
      if (id === undefined) throw new AtollError('no-such-table', `no such table: ${name}`);
      this.#declare(id, action);
      const existing = this.#before.tables.find((each) => each.id === id);
      if (existing !== undefined) this.#mustBeEmpty.push(existing.name);
      return;
    }
    if (action.kind === 'add-check' || action.kind === 'set-not-null') {
      // SQLite runs its own sqlite_fail() for these, which workerd forbids.
      throw unsupported(`adding a constraint to ${name}`, 'create a new table with it');
    }
    if (id !== undefined) {
      dropLog(this.#port, id);
      if (action.kind === 'drop-column') this.#refuseKeyDrop(id, name, action.name.name);
      if (action.kind === 'drop-column') this.#refuseReferenceDrop(id, name, action.name.name);
      if (action.kind === 'add-column') this.#refuseHiddenKey(id, name, action.column.name.name);
      if (action.kind === 'rename-column') this.#refuseHiddenKey(id, name, action.to.name);
    }
    this.#execute(splice(source, this.#cuts(index)));
    if (id === undefined) return;
    if (action.kind === 'add-column') {
      const keys = keysOfColumn({ of: id, definition: index }, action.column);
      this.#written = [...this.#written, ...keys];
    }
    if (action.kind === 'rename-table') {
      this.#written = this.#written.map((key) => withTableRenamed(key, name, action.to.name));
      this.#ids.delete(asciiLower(name));
      this.#ids.set(asciiLower(action.to.name), id);
    }
    if (action.kind === 'rename-column') this.#renameColumn(id, name, action.from.name, action.to.name);
  }

  #renameColumn(id: TableId, table: string, from: string, to: string): void {
    const renamed = (columns: readonly string[]) =>
      columns.map((column) => (asciiLower(column) === asciiLower(from) ? to : column));
    const placement = this.#placements.get(id);
    if (placement?.kind === 'partitioned') {
      this.#placements.set(id, { kind: 'partitioned', key: renamed(placement.key) });
    }
    const declared = this.#declared.get(id);
    if (declared?.kind === 'partition-by') {
      this.#declared.set(id, { kind: 'partition-by', columns: renamed(declared.columns) });
    }
    this.#hidden.renameColumn(id, from, to);
    this.#written = this.#written.map((key) => withColumnOf(key, { id, name: table }, from, to));
  }

  /** A table without a key of its own is partitioned by its rowid, whose name a new column would take. */
  #refuseHiddenKey(id: TableId, table: string, column: string): void {
    const placement = this.#placements.get(id);
    if (placement?.kind !== 'partitioned') return;
    if (!placement.key.some((each) => asciiLower(each) === asciiLower(column))) return;
    throw unsupported(`a column ${column} in ${table}, whose rowid it would hide`, 'take another name');
  }

  #refuseKeyDrop(id: TableId, table: string, column: string): void {
    const placement = this.#placements.get(id);
    const declared = this.#declared.get(id);
    const key =
      placement?.kind === 'partitioned'
        ? placement.key
        : declared?.kind === 'partition-by'
          ? declared.columns
          : [];
    if (!key.some((each) => asciiLower(each) === asciiLower(column))) return;
    throw unsupported(`dropping ${table}.${column}, a partition-key column`, 'create a new table');
  }

  /** As SQLite refuses it for the foreign keys that it knows. */
  #refuseReferenceDrop(id: TableId, table: string, column: string): void {
    const names = ({ of, columns, parent, parentColumns }: KeyOver) => [
      ...(of === id ? columns : []),
      ...(parent === id ? parentColumns : []),
    ];
    if (!this.#hidden.references.flatMap(names).some((each) => asciiLower(each) === asciiLower(column)))
      return;
    throw unsupported(`dropping ${table}.${column}, which a foreign key joins`, 'create a new table');
  }

  /**
   * SQLite deletes a table's rows before it drops it, and with them, silently, those of its children that
   * cascade (https://www.sqlite.org/foreignkeys.html#fk_schemacommands): so children go first.
   */
  #dropTable(name: string): void {
    const child = this.#port.query(
      `SELECT child.name FROM sqlite_schema AS child, pragma_foreign_key_list(child.name) AS key
       WHERE child.type = 'table' AND child.name NOT GLOB '_cf_*' AND lower(key."table") = lower(?1) AND lower(child.name) <> lower(?1)`,
      name,
    ).rows[0];
    const id = this.#ids.get(asciiLower(name));
    const over = [...this.#hidden.references, ...(this.#apart?.keys ?? []).map((each) => each.over)];
    const other = over.find(
      ({ of, parent }) => parent === id && of !== id && [...this.#ids.values()].includes(of),
    );
    const referring = child?.[0] ?? (other === undefined ? undefined : this.#nameOf(other.of));
    if (referring !== undefined) {
      throw unsupported(
        `dropping ${name}, which ${referring} refers to (its rows would be deleted, or left without a parent)`,
        `drop ${referring} first`,
      );
    }
    if (id === undefined) return;
    this.#hidden.dropTable(id);
    this.#written = this.#written.filter(({ of }) => of !== id);
    dropLog(this.#port, id);
    this.#ids.delete(asciiLower(name));
  }

  #nameOf(id: TableId): string {
    return [...this.#ids].find(([, each]) => each === id)?.[0] ?? '';
  }

  /** `stored`: what partitions run, where it differs from what is tried here. */
  #execute(source: string, stored = source): void {
    this.#port.query(source);
    this.#statements.push(stored);
  }

  #keepHidden(tables: readonly Table[]): ReturnType<HiddenTables['keep']> {
    const keys = this.#apart?.keys ?? keysOver(this.#written, tables, parentColumnsOf);
    if (this.#apart === null && keys.length > 0) throw new Apart(keys, tables);
    const fresh = keys.map(({ over }) => over);
    return this.#hidden.keep(tables, fresh, {
      nextId: () => this.#nextTableId as TableId,
      take: () => {
        this.#nextTableId++;
      },
      create: ({ sql }) => this.#execute(sql),
      drop: ({ id, name }) => {
        dropLog(this.#port, id);
        this.#execute(`DROP TABLE ${name}`);
      },
    });
  }

  finish(): SchemaChange | null {
    const plain = introspect(this.#port, this.#foreign, this.#described);
    const tables: Table[] = [];
    const placed = (name: string) => tables.find((table) => asciiLower(table.name) === asciiLower(name));
    for (const table of inOrderOfParents(plain.tables)) {
      const id = present(
        this.#ids.get(asciiLower(table.name)),
        () => `table ${table.name} came from nowhere`,
      );
      const known = this.#apart?.placements.get(id) ?? this.#placements.get(id);
      const placement = known ?? resolvePlacement(table, this.#declared.get(id), placed);
      tables.push({ ...table, id, placement });
    }
    tables.sort((a, b) => a.id - b.id);
    const { uniques, references } = this.#keepHidden(tables);
    const catalogue: Catalogue = {
      version: (this.#before.version + 1) as SchemaVersion,
      nextTableId: this.#nextTableId as TableId,
      tables,
      views: plain.views.map((view) => ({ ...view, sql: withoutBounds(view.sql) })),
      triggers: plain.triggers.map((trigger) => ({
        ...trigger,
        sql: withoutBounds(unguardTrigger(trigger.sql)),
      })),
      ...(uniques.length > 0 && { uniques }),
      ...(references.length > 0 && { references }),
    };
    // The catalogue alone does not show all that a statement can change: a CHECK, an indexed expression.
    if (this.#shapeBefore === shapeOf(this.#port) && isSameSchema(this.#before, catalogue)) return null;
    validateCatalogue(catalogue);
    compileTriggers(this.#port, catalogue);
    const schema = new Schema(catalogue);
    for (const trigger of catalogue.triggers) {
      const { statement } = parseStatement(trigger.sql);
      assert(statement.kind === 'create-trigger', 'a trigger was made by CREATE TRIGGER');
      checkTriggerBody(statement, schema);
    }
    return {
      version: catalogue.version,
      statements: this.#statements,
      mustBeEmpty: this.#mustBeEmpty,
      catalogue,
    };
  }
}

/** Everything of the users' in SQLite's own schema. */
function shapeOf(port: SqlitePort): string {
  const { rows } = port.query('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name');
  return JSON.stringify(
    rows.filter(([, name, table]) => !isInternalName(String(name)) && !isInternalName(String(table))),
  );
}

function isSameSchema(a: Catalogue, b: Catalogue): boolean {
  const shape = ({ tables, views, triggers, uniques, references }: Catalogue) =>
    JSON.stringify([tables, views, triggers, uniques, references]);
  return shape(a) === shape(b);
}

function unsupported(what: string, instead: string): AtollError {
  return new AtollError('unsupported', `${what}: not supported yet; ${instead}`);
}
