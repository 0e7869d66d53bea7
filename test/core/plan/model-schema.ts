import { DatabaseSync } from 'node:sqlite';
import type { SchemaVersion, TableId } from '../../../src/base/brand.ts';
import { type Catalogue, Schema, type View } from '../../../src/core/schema/catalogue.ts';
import type {
  Collation,
  Column,
  ForeignKey,
  Placement,
  Table,
  Trigger,
} from '../../../src/core/schema/table.ts';
import { affinityOfType } from '../../../src/core/sql/analysis/value-class.ts';
import type { CreateTable, Statement } from '../../../src/core/sql/ast.ts';
import { parseScript } from '../../../src/core/sql/parse.ts';

export interface ModelSchema {
  readonly schema: Schema;
  /** DDL as SQLite takes it: Atoll's clauses cut out. */
  readonly ddl: readonly string[];
}

interface PragmaRow {
  readonly [name: string]: string | number | null;
}

/** A small stand-in for core/schema's DDL: enough of a catalogue for planning, made from a script. */
export function modelSchema(script: string): ModelSchema {
  const database = new DatabaseSync(':memory:');
  const tables: Table[] = [];
  const views: View[] = [];
  const triggers: Trigger[] = [];
  const ddl: string[] = [];
  for (const { statement, start, end } of parseScript(script)) {
    const sql =
      statement.kind === 'create-table' ? withoutClauses(script, statement) : script.slice(start, end);
    database.exec(sql);
    ddl.push(sql);
    if (statement.kind === 'create-table') tables.push(tableOf(database, statement, tables.length + 1));
    if (statement.kind === 'create-view') {
      const columns = rows(database, `PRAGMA table_info("${statement.name.name.name}")`);
      views.push({ name: statement.name.name.name, sql, columns: columns.map((c) => String(c.name)) });
    }
    if (statement.kind === 'create-trigger') {
      triggers.push({ name: statement.name.name.name, table: statement.table.name.name, sql });
    }
  }
  database.close();
  const catalogue: Catalogue = {
    version: 1 as SchemaVersion,
    nextTableId: (tables.length + 1) as TableId,
    tables,
    views,
    triggers,
  };
  return { schema: new Schema(catalogue), ddl };
}

function rows(database: DatabaseSync, sql: string): PragmaRow[] {
  return database.prepare(sql).all() as PragmaRow[];
}

function withoutClauses(script: string, { clauses, start, end }: CreateTable): string {
  let text = '';
  let at = start;
  for (const clause of clauses) {
    text += script.slice(at, clause.start);
    at = clause.end;
  }
  return text + script.slice(at, end);
}

function tableOf(database: DatabaseSync, statement: Statement & { kind: 'create-table' }, id: number): Table {
  const name = statement.name.name.name;
  const info = rows(database, `PRAGMA table_xinfo("${name}")`);
  const columns = info.map((c) => columnOf(c, statement));
  const withoutRowid = statement.options.some((option) => option.option === 'WITHOUT ROWID');
  const primary = columns.filter((c) => c.primaryKeyIndex > 0);
  const [only] = primary;
  const rowidColumn =
    !withoutRowid &&
    primary.length === 1 &&
    only !== undefined &&
    only.declaredType.toUpperCase() === 'INTEGER'
      ? only.name
      : null;
  return {
    id: id as TableId,
    name,
    columns,
    withoutRowid,
    strict: statement.options.some((option) => option.option === 'STRICT'),
    rowidColumn,
    rowidName: withoutRowid ? null : 'rowid',
    placement: placementOf(statement, primary),
    sql: '',
    foreignKeys: foreignKeysOf(database, name),
    indexes: [],
  };
}

function columnOf(c: PragmaRow, statement: CreateTable): Column {
  const definition = statement.columns.find((d) => d.name.name === c.name);
  const collate = definition?.constraints.find((constraint) => constraint.kind === 'collate-column');
  const hidden = Number(c.hidden);
  return {
    name: String(c.name),
    declaredType: String(c.type),
    affinity: affinityOfType(String(c.type)),
    collation: (collate?.collation.name.toUpperCase() ?? 'BINARY') as Collation,
    notNull: c.notnull === 1,
    defaultSql: c.dflt_value === null ? null : String(c.dflt_value),
    generated: hidden === 2 ? 'virtual' : hidden === 3 ? 'stored' : 'no',
    primaryKeyIndex: Number(c.pk),
  };
}

function placementOf(statement: CreateTable, primary: readonly Column[]): Placement {
  for (const clause of statement.clauses) {
    if (clause.kind === 'reference') return { kind: 'reference' };
    if (clause.kind === 'partition-by')
      return { kind: 'partitioned', key: clause.columns.map((c) => c.name) };
  }
  const key = [...primary].sort((a, b) => a.primaryKeyIndex - b.primaryKeyIndex).map((c) => c.name);
  return { kind: 'partitioned', key: key.length > 0 ? key : ['rowid'] };
}

function foreignKeysOf(database: DatabaseSync, table: string): ForeignKey[] {
  const byId = new Map<number, ForeignKey & { columns: string[]; parentColumns: string[] }>();
  for (const f of rows(database, `PRAGMA foreign_key_list("${table}")`)) {
    const id = Number(f.id);
    const known = byId.get(id) ?? {
      columns: [],
      parent: String(f.table),
      parentColumns: [],
      onDelete: String(f.on_delete),
      onUpdate: String(f.on_update),
    };
    byId.set(id, known);
    known.columns.push(String(f.from));
    if (f.to !== null) known.parentColumns.push(String(f.to));
  }
  return [...byId.values()];
}
