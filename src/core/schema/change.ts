import { asciiLower } from '../../base/ascii.ts';
import { assert } from '../../base/assert.ts';
import type { SchemaVersion, TableId } from '../../base/brand.ts';
import { AtollError } from '../../protocol/error.ts';
import { createLog, dropLog, refreshLog } from '../log/capture.ts';
import { guardTrigger, unguardTrigger } from '../log/guard.ts';
import type { AtollClause, Statement } from '../sql/ast.ts';
import { SqlSyntaxError } from '../sql/error.ts';
import { parseStatement } from '../sql/parse.ts';
import { splice } from '../sql/splice.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { quoteName } from '../sqlite/quote.ts';
import { type Catalogue, Schema } from './catalogue.ts';
import { checkDefinition, checkTriggerBody } from './definition-rules.ts';
import { introspect, type PlainTable } from './introspect.ts';
import { type DeclaredPlacement, resolvePlacement } from './placement.ts';
import type { Placement, Table } from './table.ts';
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
  readonly #statements: string[] = [];
  readonly #mustBeEmpty: string[] = [];
  /** By lower-case name, as the statements run so far have left them. */
  readonly #ids = new Map<string, TableId>();
  readonly #placements = new Map<string, Placement>();
  readonly #declared = new Map<string, DeclaredPlacement>();

  constructor(port: SqlitePort, before: Catalogue) {
    this.#port = port;
    this.#before = before;
    for (const table of before.tables) {
      this.#ids.set(asciiLower(table.name), table.id);
      this.#placements.set(asciiLower(table.name), table.placement);
    }
  }

  run({ source, statement }: Definition): void {
    switch (statement.kind) {
      case 'create-table':
        if (statement.temporary) throw unsupported('TEMP tables', 'create an ordinary one');
        if (statement.select !== null)
          throw unsupported('CREATE TABLE … AS SELECT', 'CREATE TABLE, then INSERT');
        this.#createTable(source, statement.name.name.name, statement.clauses, statement.ifNotExists);
        return;
      case 'alter-table':
        this.#alterTable(source, statement);
        return;
      case 'drop':
        if (statement.object === 'TABLE') this.#forget(statement.name.name.name);
        this.#execute(source);
        return;
      case 'create-view':
      case 'create-trigger':
        if (statement.temporary) throw unsupported('TEMP views and triggers', 'create an ordinary one');
        this.#execute(source);
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

  #createTable(source: string, name: string, clauses: readonly AtollClause[], ifNotExists: boolean): void {
    for (const clause of clauses) this.#declare(name, clause);
    if (ifNotExists && this.#ids.has(asciiLower(name))) this.#declared.delete(asciiLower(name));
    this.#execute(
      splice(
        source,
        clauses.map(({ start, end }) => ({ start, end, text: '' })),
      ),
    );
  }

  #declare(name: string, clause: AtollClause): void {
    if (clause.kind === 'append-only') throw unsupported('APPEND ONLY', 'leave the clause out');
    this.#declared.set(
      asciiLower(name),
      clause.kind === 'reference'
        ? { kind: 'reference' }
        : { kind: 'partition-by', columns: clause.columns.map((column) => column.name) },
    );
  }

  #alterTable(source: string, statement: Extract<Statement, { kind: 'alter-table' }>): void {
    const name = statement.table.name.name;
    const key = asciiLower(name);
    const { action } = statement;
    if (action.kind === 'partition-by' || action.kind === 'reference') {
      if (!this.#ids.has(key)) throw new AtollError('no-such-table', `no such table: ${name}`);
      this.#declare(name, action);
      this.#placements.delete(key);
      this.#mustBeEmpty.push(name);
      return;
    }
    const id = this.#ids.get(key);
    if (id !== undefined) dropLog(this.#port, id);
    this.#execute(source);
    if (id === undefined) return;
    const placement = this.#placements.get(key);
    if (action.kind === 'rename-table') {
      const to = asciiLower(action.to.name);
      this.#ids.delete(key);
      this.#ids.set(to, id);
      if (placement !== undefined) this.#placements.set(to, placement);
      if (to !== key) this.#placements.delete(key);
    }
    if (action.kind === 'rename-column' && placement?.kind === 'partitioned') {
      const renamed = placement.key.map((column) =>
        asciiLower(column) === asciiLower(action.from.name) ? action.to.name : column,
      );
      this.#placements.set(key, { kind: 'partitioned', key: renamed });
    }
    if (action.kind === 'drop-column' && placement?.kind === 'partitioned') {
      if (placement.key.some((column) => asciiLower(column) === asciiLower(action.name.name))) {
        throw unsupported(
          `dropping ${name}.${action.name.name}, a partition-key column`,
          'create a new table',
        );
      }
    }
  }

  #forget(name: string): void {
    const key = asciiLower(name);
    const id = this.#ids.get(key);
    if (id === undefined) return;
    dropLog(this.#port, id);
    this.#ids.delete(key);
    this.#placements.delete(key);
    this.#declared.delete(key);
  }

  #execute(source: string): void {
    this.#port.query(source);
    this.#statements.push(source);
  }

  finish(): SchemaChange | null {
    const plain = introspect(this.#port);
    let nextTableId: number = this.#before.nextTableId;
    const tables: Table[] = [];
    const pending = [...plain.tables];
    const placed = (name: string) => tables.find((table) => asciiLower(table.name) === asciiLower(name));
    for (const table of inOrderOfParents(pending)) {
      const key = asciiLower(table.name);
      const placement = this.#placements.get(key) ?? resolvePlacement(table, this.#declared.get(key), placed);
      const id = this.#ids.get(key) ?? (nextTableId++ as TableId);
      tables.push({ ...table, id, placement });
    }
    const catalogue: Catalogue = {
      version: (this.#before.version + 1) as SchemaVersion,
      nextTableId: nextTableId as TableId,
      tables: tables.sort((a, b) => a.id - b.id),
      views: plain.views,
      triggers: plain.triggers.map((trigger) => ({ ...trigger, sql: unguardTrigger(trigger.sql) })),
    };
    if (isSameSchema(this.#before, catalogue)) return null;
    validateCatalogue(catalogue);
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
  const shape = ({ tables, views, triggers }: Catalogue) => JSON.stringify([tables, views, triggers]);
  return shape(a) === shape(b);
}

function unsupported(what: string, instead: string): AtollError {
  return new AtollError('unsupported', `${what}: not supported yet; ${instead}`);
}

/**
 * Makes the change in a partition, in the transaction that is open: log triggers out of the way, the
 * statements, then the log for tables in their new shape.
 *
 * @throws AtollError or SqliteError when this partition's rows do not allow it
 */
export function applySchemaChange(port: SqlitePort, before: Catalogue, change: SchemaChange): void {
  const after = new Map(change.catalogue.tables.map((table) => [table.id, table]));
  const reshaped = before.tables.filter((table) => !hasSameShape(table, after.get(table.id)));
  for (const table of change.mustBeEmpty) {
    if (port.query(`SELECT 1 FROM ${quoteName(table)} LIMIT 1`).rows.length > 0) {
      throw new AtollError(
        'unsupported',
        `${table} has rows: its partition key can change only while it is empty`,
      );
    }
  }
  for (const table of reshaped) dropLog(port, table.id);
  for (const statement of change.statements) port.query(guardTrigger(statement));
  const known = new Set(before.tables.map((table) => table.id));
  for (const table of reshaped) {
    const now = after.get(table.id);
    if (now !== undefined) createLog(port, now);
  }
  for (const table of change.catalogue.tables) {
    if (!known.has(table.id)) createLog(port, table);
    else if (!reshaped.some((each) => each.id === table.id)) refreshLog(port, table.id);
  }
  const violation = port.query('PRAGMA foreign_key_check').rows[0];
  if (violation !== undefined) {
    throw new AtollError(
      'constraint',
      `FOREIGN KEY of ${violation[0]}: rows without a parent in ${violation[2]}`,
    );
  }
}

function hasSameShape(a: Table, b: Table | undefined): boolean {
  const shape = (table: Table) =>
    JSON.stringify([table.name, table.columns.map((column) => [column.name, column.generated])]);
  return b !== undefined && shape(a) === shape(b);
}
