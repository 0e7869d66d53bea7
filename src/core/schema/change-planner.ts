import { asciiLower } from '../../base/ascii.ts';
import { assert, present } from '../../base/assert.ts';
import type { SchemaVersion, TableId } from '../../base/brand.ts';
import { AtollError } from '../../protocol/error.ts';
import { dropLog } from '../log/capture.ts';
import { unguardTrigger } from '../log/guard.ts';
import type { AlterTable, CreateTable, Insert, Pragma, Statement } from '../sql/ast.ts';
import { parseStatement } from '../sql/parse.ts';
import { type Edit, splice } from '../sql/splice.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { Apart } from './apart.ts';
import { type Catalogue, Schema } from './catalogue.ts';
import type { SchemaChange } from './change.ts';
import { ChangingTables } from './changing-tables.ts';
import { refuseColumnChange } from './column-change.ts';
import { compileTriggers } from './compile-triggers.ts';
import { planCopy, readCopy } from './copy.ts';
import { checkTriggerBody } from './definition-rules.ts';
import { dropTable, referringKeys, withoutForeignKeys } from './drop-table.ts';
import { switchOfForeignKeys } from './foreign-keys-switch.ts';
import { HiddenTables } from './hidden-tables.ts';
import {
  type DescribedTables,
  describedTables,
  foreignTables,
  introspect,
  type PlainTable,
} from './introspect.ts';
import { inOrderOfParents, parentColumnsOf, placementOfRebuilt, resolvePlacement } from './placement.ts';
import { Rebuilds } from './rebuilds.ts';
import { boundRecursion, withoutBounds } from './recursion-bound.ts';
import { notReplaced, parentDropped, unsupported } from './refused-change.ts';
import { hasSameShape, isSameSchema, shapeOf } from './same-schema.ts';
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

/** A statement of a change, with its text. */
export interface Definition {
  readonly source: string;
  readonly statement: Statement;
}

/** Runs the statements of a change one by one, and says in the end what they have done. */
export class ChangePlanner {
  readonly #port: SqlitePort;
  readonly #before: Catalogue;
  readonly #shapeBefore: string;
  readonly #foreign: ReadonlySet<string>;
  readonly #described: DescribedTables;
  readonly #statements: string[] = [];
  readonly #mustBeEmpty: string[] = [];
  readonly #tables: ChangingTables;
  readonly #rebuilds: Rebuilds;
  readonly #hidden: HiddenTables;
  readonly #apart: Apart | null;
  readonly #instant: string;
  #written: readonly WrittenKey[] = [];
  #foreignKeysOff = false;
  /** Of which columns were dropped. */
  readonly #dropped = new Set<TableId>();

  /** `instant`: what the clock is when rows are copied, a time value of SQLite's. */
  constructor(port: SqlitePort, before: Catalogue, apart: Apart | null, instant: string) {
    this.#apart = apart;
    this.#instant = instant;
    this.#tables = new ChangingTables(before);
    this.#rebuilds = new Rebuilds(before);
    this.#hidden = new HiddenTables(before);
    this.#port = port;
    this.#before = before;
    this.#shapeBefore = shapeOf(port);
    this.#foreign = foreignTables(port, before.tables);
    this.#described = describedTables(port, before.tables);
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
        if (statement.object === 'TABLE') this.#dropTable(source, statement.name.name.name);
        else this.#execute(source);
        return;
      case 'insert':
        this.#copy(source, statement);
        return;
      case 'pragma':
        this.#pragma(statement);
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
    if (this.#tables.id(name) !== undefined) {
      if (statement.ifNotExists) return;
      throw new AtollError('already-exists', `table ${name} already exists`);
    }
    const id = this.#tables.add(name);
    for (const clause of statement.clauses) {
      if (clause.kind === 'append-only') throw unsupported('APPEND ONLY', 'leave the clause out');
      this.#tables.declare(id, clause);
    }
    this.#written = [...this.#written, ...keysOfTable({ of: id, definition: index }, statement)];
    const clauses = statement.clauses.map(({ start, end }) => ({ start, end, text: '' }));
    this.#execute(splice(source, [...clauses, ...this.#cuts(index)]));
  }

  /** What is cut out of a definition, where it has foreign keys over partitions. */
  #cuts(index: number): Edit[] {
    return (this.#apart?.keys ?? []).flatMap(({ key }) => (key.definition === index ? key.cuts : []));
  }

  #alterTable(source: string, { table, action }: AlterTable, index: number): void {
    const { name } = table.name;
    const id = this.#tables.id(name);
    if (action.kind === 'partition-by' || action.kind === 'reference') {
      if (id === undefined) throw new AtollError('no-such-table', `no such table: ${name}`);
      this.#tables.declare(id, action);
      const existing = this.#before.tables.find((each) => each.id === id);
      if (existing !== undefined) this.#mustBeEmpty.push(existing.name);
      return;
    }
    if (action.kind === 'add-check' || action.kind === 'set-not-null') {
      // SQLite runs its own sqlite_fail() for these, which workerd forbids.
      throw unsupported(`adding a constraint to ${name}`, 'create a new table with it');
    }
    if (id !== undefined) {
      if (action.kind !== 'rename-table' && this.#rebuilds.isUnderWay(id)) {
        throw unsupported(
          `changing ${name} between its copy and the DROP TABLE`,
          'do it before or afterwards',
        );
      }
      dropLog(this.#port, id);
      refuseColumnChange(this.#port, this.#tables, this.#hidden.keys, { id, name }, action);
    }
    this.#execute(splice(source, this.#cuts(index)));
    if (id === undefined) return;
    if (action.kind === 'add-column') {
      const keys = keysOfColumn({ of: id, definition: index }, action.column);
      this.#written = [...this.#written, ...keys];
    }
    if (action.kind === 'rename-table') {
      this.#written = this.#written.map((key) => withTableRenamed(key, name, action.to.name));
      this.#tables.rename(name, action.to.name);
      this.#rebuilds.renameTable(id, name, action.to.name);
    }
    if (action.kind === 'drop-column') this.#dropColumn(id, asciiLower(action.name.name));
    if (action.kind === 'rename-column') this.#renameColumn(id, name, action.from.name, action.to.name);
  }

  #renameColumn(id: TableId, table: string, from: string, to: string): void {
    this.#tables.renameColumn(id, from, to);
    this.#rebuilds.renameColumn(id, from, to);
    this.#hidden.renameColumn(id, from, to);
    this.#written = this.#written.map((key) => withColumnOf(key, { id, name: table }, from, to));
  }

  /** Another one of the name has other values. */
  #dropColumn(id: TableId, column: string): void {
    this.#rebuilds.dropColumn(id, column);
    this.#hidden.keepsOnly(id, (name) => asciiLower(name) !== column);
    this.#dropped.add(id);
  }

  /**
   * What children refer to goes only where foreign keys were switched off, as migration tools do it: otherwise SQLite would silently delete
   * the children that cascade (https://www.sqlite.org/foreignkeys.html#fk_schemacommands).
   */
  #dropTable(source: string, name: string): void {
    const id = this.#tables.id(name);
    const child = referringKeys(this.#port, name).find((key) => asciiLower(key.child) !== asciiLower(name));
    const others = [...this.#hidden.keys, ...(this.#apart?.keys ?? []).map((each) => each.over)];
    const other = others.find(({ of, parent }) => parent === id && of !== id && this.#tables.isThere(of));
    const referring = child?.child ?? (other && this.#tables.nameOf(other.of));
    if (referring !== undefined && !this.#foreignKeysOff) throw parentDropped(name, referring);
    if (id !== undefined) {
      dropLog(this.#port, id);
      this.#tables.drop(name);
      this.#written = this.#written.filter(({ of }) => of !== id);
      this.#hidden.dropTable(id);
      this.#inherit(id, name);
    }
    dropTable(this.#port, name, () => this.#execute(source));
  }

  /** What was filled from the dropped table is that table from now on. */
  #inherit(id: TableId, name: string): void {
    const found = this.#rebuilds.heirOf(id);
    if (found === null) {
      this.#rebuilds.drop(id);
      return;
    }
    const { heir, carried } = found;
    this.#tables.takeOver(id, heir);
    this.#written = this.#written.map((key) => (key.of === heir ? { ...key, of: id } : key));
    this.#hidden.keepsOnly(id, (column) => carried.get(asciiLower(column)) === asciiLower(column));
    this.#rebuilds.takeOver(id, heir, name);
  }

  /** Rows of a table that is to be dropped go into one that is new. */
  #copy(source: string, insert: Insert): void {
    const written = readCopy(insert);
    const [into, from] = [insert.table.name.name, written.from.name.name];
    const [heir, id] = [this.#tables.id(into), this.#tables.id(from)];
    if (heir === undefined) throw new AtollError('no-such-table', `no such table: ${into}`);
    if (id === undefined) throw new AtollError('no-such-table', `no such table: ${from}`);
    if (this.#rebuilds.wasThere(heir) || !this.#rebuilds.wasThere(id)) {
      throw unsupported(
        `copying rows of ${from} into ${into} together with schema changes`,
        `copy into a table that the same statements create, of one that was there before`,
      );
    }
    if (this.#rebuilds.isFilled(heir) || this.#rebuilds.heirOf(id) !== null) {
      throw unsupported(`a second copy of ${from}, or into ${into}`, 'one table becomes one table');
    }
    const { tables, triggers } = introspect(this.#port, this.#foreign, this.#described);
    if (triggers.some((trigger) => asciiLower(trigger.table) === asciiLower(into)))
      throw unsupported(`copying rows into ${into}, which has triggers`, 'create them afterwards');
    const copy = planCopy(source, written, described(tables, into), described(tables, from), this.#instant);
    withoutForeignKeys(this.#port, () => this.#execute(copy.sql));
    this.#rebuilds.fill(heir, id, copy.carried);
  }

  /** Foreign keys are looked at when all is done, whatever is said. */
  #pragma(statement: Pragma): void {
    const off = switchOfForeignKeys(statement);
    if (off === null)
      throw new AtollError('forbidden-statement', `PRAGMA ${statement.name.name.name} is no schema change`);
    if (off !== 'checked') this.#foreignKeysOff = off === 'off';
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
      nextId: () => this.#tables.nextId,
      take: () => {
        this.#tables.takeId();
      },
      create: ({ sql }) => this.#execute(sql),
      drop: ({ id, name }) => {
        dropLog(this.#port, id);
        this.#execute(`DROP TABLE ${name}`);
      },
    });
  }

  finish(): SchemaChange | null {
    for (const id of this.#rebuilds.unfinished) {
      const name = this.#tables.nameOf(id);
      throw unsupported(`filling ${name} from a table that stays`, 'drop that one, or fill it afterwards');
    }
    const plain = introspect(this.#port, this.#foreign, this.#described);
    const tables: Table[] = [];
    const placed = (name: string) => tables.find((table) => asciiLower(table.name) === asciiLower(name));
    for (const table of inOrderOfParents(plain.tables)) {
      const id = present(this.#tables.id(table.name), () => `table ${table.name} came from nowhere`);
      const placement = this.#placementOf(id, table, placed);
      tables.push({ ...table, id, placement });
    }
    tables.sort((a, b) => a.id - b.id);
    const rebuilt = tables.filter((table) => this.#rebuilds.has(table.id) || this.#hasColumnsAnew(table));
    for (const table of rebuilt) {
      if (this.#rebuilds.has(table.id) && !this.#rebuilds.keepsRowsInPlace(table))
        this.#mustBeEmpty.push(this.#nameBefore(table.id));
    }
    this.#refuseOtherParents(tables);
    const { uniques, references } = this.#keepHidden(tables);
    const catalogue: Catalogue = {
      version: (this.#before.version + 1) as SchemaVersion,
      nextTableId: this.#tables.nextId,
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
    const same = this.#shapeBefore === shapeOf(this.#port) && isSameSchema(this.#before, catalogue);
    if (same && rebuilt.length === 0) return null;
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
      ...(rebuilt.length > 0 && { rebuilt: rebuilt.map(({ id }) => id) }),
      catalogue,
    };
  }

  #placementOf(id: TableId, table: PlainTable, placed: Parameters<typeof resolvePlacement>[2]): Placement {
    const known = this.#apart?.placements.get(id) ?? this.#tables.placementOf(id);
    if (known === undefined) return resolvePlacement(table, this.#tables.declaredOf(id), placed);
    if (this.#apart !== null || known.kind === 'reference' || !this.#rebuilds.has(id)) return known;
    return placementOfRebuilt(table, this.#rebuilds.namedKeyOf(table, id), placed);
  }

  /** Whether columns were dropped, and those that are there are called as before: the catalogue does not tell. */
  #hasColumnsAnew(table: Table): boolean {
    const before = this.#before.tables.find(({ id }) => id === table.id);
    return before !== undefined && this.#dropped.has(table.id) && hasSameShape(before, table);
  }

  #nameBefore(id: TableId): string {
    return present(
      this.#before.tables.find((table) => table.id === id),
      'a table of before',
    ).name;
  }

  /** Foreign keys over partitions know tables by their ids, SQLite by names. Its own are validated with the catalogue. */
  #refuseOtherParents(tables: readonly Table[]): void {
    const byId = new Map(tables.map((table) => [table.id, table]));
    for (const { of, parent: id, parentColumns } of this.#hidden.keys) {
      const [child, parent] = [byId.get(of), byId.get(id)];
      if (child === undefined) continue;
      if (parent === undefined) throw notReplaced(this.#nameBefore(id), child.name);
      if (!this.#rebuilds.has(id)) continue;
      if (!this.#rebuilds.isStillCalled(parent)) {
        throw unsupported(
          `rebuilding ${this.#nameBefore(id)} as ${parent.name}, while ${child.name} refers to it by its name`,
          'rename it in a change of its own',
        );
      }
      if (this.#rebuilds.mayMeanPrimaryKey(parent, parentColumns)) {
        throw unsupported(
          `another PRIMARY KEY of ${parent.name}, to which ${child.name} refers`,
          `rebuild ${child.name} without the foreign key first`,
        );
      }
    }
  }
}

function described(tables: readonly PlainTable[], name: string): PlainTable {
  return present(
    tables.find((table) => asciiLower(table.name) === asciiLower(name)),
    () => `${name} is a table`,
  );
}
