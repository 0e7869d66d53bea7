import { asciiLower } from '../../base/ascii.ts';
import { assert, present } from '../../base/assert.ts';
import type { SchemaVersion, TableId } from '../../base/brand.ts';
import { AtollError } from '../../protocol/error.ts';
import { dropLog } from '../log/capture.ts';
import { unguardTrigger } from '../log/guard.ts';
import type { AlterTable, AtollClause, CreateTable, Statement } from '../sql/ast.ts';
import { SqlSyntaxError } from '../sql/error.ts';
import { parseStatement } from '../sql/parse.ts';
import { recursionEdits } from '../sql/recursion.ts';
import { splice } from '../sql/splice.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { type Catalogue, Schema } from './catalogue.ts';
import { compileTriggers } from './compile-triggers.ts';
import { checkDefinition, checkTriggerBody } from './definition-rules.ts';
import {
  type DescribedTables,
  describedTables,
  foreignTables,
  introspect,
  isInternalName,
  type PlainTable,
} from './introspect.ts';
import { type DeclaredPlacement, resolvePlacement } from './placement.ts';
import type { Placement, Table } from './table.ts';
import { isSameIndex, type UniqueIndex, uniqueIndex, uniquesNeeded, withRenamed } from './unique-index.ts';
import { validateCatalogue } from './validate.ts';

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
  const planner = new ChangePlanner(port, before);
  for (const definition of definitions) planner.run(definition);
  return planner.finish();
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
  /** Of tables whose placement is resolved at the end, when all of their parents are there. */
  #uniques: readonly UniqueIndex[];
  readonly #declared = new Map<TableId, DeclaredPlacement>();
  #nextTableId: number;

  constructor(port: SqlitePort, before: Catalogue) {
    this.#port = port;
    this.#before = before;
    this.#shapeBefore = shapeOf(port);
    this.#foreign = foreignTables(port, before.tables);
    this.#described = describedTables(port, before.tables);
    this.#nextTableId = before.nextTableId;
    this.#uniques = before.uniques ?? [];
    for (const table of before.tables) {
      this.#ids.set(asciiLower(table.name), table.id);
      this.#placements.set(table.id, table.placement);
    }
  }

  run({ source, statement }: Definition): void {
    switch (statement.kind) {
      case 'create-table':
        this.#createTable(source, statement);
        return;
      case 'alter-table':
        this.#alterTable(source, statement);
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

  #createTable(source: string, statement: CreateTable): void {
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
    this.#execute(
      splice(
        source,
        statement.clauses.map(({ start, end }) => ({ start, end, text: '' })),
      ),
    );
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

  #alterTable(source: string, { table, action }: AlterTable): void {
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
      if (action.kind === 'add-column') this.#refuseHiddenKey(id, name, action.column.name.name);
      if (action.kind === 'rename-column') this.#refuseHiddenKey(id, name, action.to.name);
    }
    this.#execute(source);
    if (id === undefined) return;
    if (action.kind === 'rename-table') {
      this.#ids.delete(asciiLower(name));
      this.#ids.set(asciiLower(action.to.name), id);
    }
    if (action.kind === 'rename-column') this.#renameColumn(id, action.from.name, action.to.name);
  }

  #renameColumn(id: TableId, from: string, to: string): void {
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
    this.#uniques = this.#uniques.map((index) => (index.of === id ? withRenamed(index, from, to) : index));
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
    if (child !== undefined) {
      throw unsupported(
        `dropping ${name}, which ${child[0]} refers to (its rows would be deleted, or left without a parent)`,
        `drop ${child[0]} first`,
      );
    }
    const id = this.#ids.get(asciiLower(name));
    if (id === undefined) return;
    dropLog(this.#port, id);
    this.#ids.delete(asciiLower(name));
  }

  /** Hidden tables for what is to be unique over partitions now: those that are there, or new ones; others go. */
  #keepUniques(tables: readonly Table[]): UniqueIndex[] {
    const kept: UniqueIndex[] = [];
    for (const table of tables) {
      // What cannot be kept so is refused when the whole catalogue is there.
      const plain = uniquesNeeded(table).filter((columns) => columns.length > 0);
      for (const columns of plain) {
        const wanted = uniqueIndex(this.#nextTableId as TableId, table, columns);
        const present = this.#uniques.find((index) => isSameIndex(index, wanted));
        if (present === undefined) {
          this.#nextTableId++;
          this.#execute(wanted.table.sql);
        }
        kept.push(present ?? wanted);
      }
    }
    for (const { table } of this.#uniques) {
      if (kept.some((index) => index.table.id === table.id)) continue;
      dropLog(this.#port, table.id);
      this.#execute(`DROP TABLE ${table.name}`);
    }
    return kept;
  }

  /** `stored`: what partitions run, where it differs from what is tried here. */
  #execute(source: string, stored = source): void {
    this.#port.query(source);
    this.#statements.push(stored);
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
      const placement = this.#placements.get(id) ?? resolvePlacement(table, this.#declared.get(id), placed);
      tables.push({ ...table, id, placement });
    }
    tables.sort((a, b) => a.id - b.id);
    const uniques = this.#keepUniques(tables);
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

const BOUND_START = '/*(atoll*/';
const BOUND_END = '/*)atoll*/';
const BOUND = /\/\*\(atoll\*\/[\s\S]*?\/\*\)atoll\*\//g;

/** A view is run as it is stored, so the bound of a recursion is stored in it, between marks. */
function boundRecursion(source: string, definition: Statement): string {
  const edits = recursionEdits(definition, source);
  return splice(
    source,
    edits.map((edit) => ({ ...edit, text: `${BOUND_START}${edit.text}${BOUND_END}` })),
  );
}

/** The definition as it was written. */
function withoutBounds(sql: string): string {
  return sql.replace(BOUND, '');
}

/** Parents before their children where possible, else as created: colocation looks at the parent's placement. */
function inOrderOfParents(tables: readonly PlainTable[]): PlainTable[] {
  const ordered: PlainTable[] = [];
  const seen = new Set<PlainTable>();
  const visit = (table: PlainTable): void => {
    if (seen.has(table)) return;
    seen.add(table);
    for (const { parent } of table.foreignKeys) {
      const found = tables.find((each) => asciiLower(each.name) === asciiLower(parent));
      if (found !== undefined) visit(found);
    }
    ordered.push(table);
  };
  for (const table of tables) visit(table);
  return ordered;
}

function isSameSchema(a: Catalogue, b: Catalogue): boolean {
  const shape = ({ tables, views, triggers, uniques }: Catalogue) =>
    JSON.stringify([tables, views, triggers, uniques]);
  return shape(a) === shape(b);
}

function unsupported(what: string, instead: string): AtollError {
  return new AtollError('unsupported', `${what}: not supported yet; ${instead}`);
}
