import { asciiLower } from '../../base/ascii.ts';
import { assert, present } from '../../base/assert.ts';
import type { CreateTable } from '../sql/ast.ts';
import { parseStatement } from '../sql/parse.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { quoteName } from '../sqlite/quote.ts';
import type { View } from './catalogue.ts';
import { affinityOf } from './declared-type.ts';
import type { Collation, Column, ForeignKey, Index, Table, Trigger } from './table.ts';

/** A table as SQLite describes it: all but what only Atoll knows. */
export type PlainTable = Omit<Table, 'id' | 'placement'>;

export interface PlainSchema {
  readonly tables: readonly PlainTable[];
  readonly views: readonly View[];
  readonly triggers: readonly Trigger[];
}

/** Names that users neither see nor touch: Atoll's, SQLite's, workerd's. */
export function isInternalName(name: string): boolean {
  return /^(_?atoll_|sqlite_|_cf_)/i.test(name);
}

/**
 * Tables that are neither users' nor internal by their name: a host may keep its own in the file, as `wrangler dev` does with
 * an object's name. `known` are the users' tables.
 */
export function foreignTables(
  port: SqlitePort,
  known: readonly { readonly name: string }[],
): ReadonlySet<string> {
  const users = new Set(known.map((table) => asciiLower(table.name)));
  const { rows } = port.query(`SELECT name FROM sqlite_schema WHERE type = 'table'`);
  return new Set(
    rows
      .map(([name]) => asciiLower(String(name)))
      .filter((name) => !isInternalName(name) && !users.has(name)),
  );
}

/** Tables whose descriptions are known, by the text of all that SQLite keeps of them: see {@link definitionsOf}. */
export type DescribedTables = ReadonlyMap<string, PlainTable>;

/** The catalogue's tables, to be looked up after a change: what was not touched need not be described again. */
export function describedTables(port: SqlitePort, tables: readonly PlainTable[]): DescribedTables {
  const definitions = definitionsOf(port);
  const described = new Map<string, PlainTable>();
  for (const table of tables) {
    const definition = definitions.get(asciiLower(table.name));
    if (definition !== undefined) described.set(definition, table);
  }
  return described;
}

/** For every table, by lower-case name: its own text and that of its indexes, on which its description depends. */
function definitionsOf(port: SqlitePort): ReadonlyMap<string, string> {
  const { rows } = port.query(
    `SELECT tbl_name, name, sql FROM sqlite_schema WHERE type IN ('table', 'index') ORDER BY rowid`,
  );
  const definitions = new Map<string, string>();
  for (const [table, name, sql] of rows) {
    const key = asciiLower(String(table));
    definitions.set(key, `${definitions.get(key) ?? ''}${JSON.stringify([table, name, sql])}`);
  }
  return definitions;
}

/** The users' part of the schema, from SQLite itself, without `foreign` tables. */
export function introspect(
  port: SqlitePort,
  foreign: ReadonlySet<string> = new Set(),
  described: DescribedTables = new Map(),
): PlainSchema {
  const definitions = definitionsOf(port);
  const rows = port
    .query(
      `SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE type IN ('table', 'view', 'trigger') ORDER BY rowid`,
    )
    .rows.map(([type, name, table, sql]) => ({
      type,
      name: String(name),
      table: String(table),
      sql: String(sql),
    }))
    .filter((row) => !isInternalName(row.name) && !isInternalName(row.table))
    .filter((row) => !foreign.has(asciiLower(row.table)));
  return {
    tables: rows
      .filter((row) => row.type === 'table')
      .map(
        (row) =>
          described.get(definitions.get(asciiLower(row.name)) ?? '') ??
          describeTable(port, row.name, row.sql, flagsOf(port, row.name)),
      ),
    views: rows
      .filter((row) => row.type === 'view')
      .map(({ name, sql }) => ({ name, sql, columns: columnNames(port, name) })),
    triggers: rows
      .filter((row) => row.type === 'trigger')
      .map(({ name, table, sql }) => ({ name, table, sql })),
  };
}

function columnNames(port: SqlitePort, name: string): string[] {
  return port.query(`PRAGMA table_info(${quoteName(name)})`).rows.map((row) => String(row[1]));
}

interface Flags {
  readonly withoutRowid: boolean;
  readonly strict: boolean;
}

function flagsOf(port: SqlitePort, name: string): Flags {
  // Of this table only: in a Durable Object some of the others are not to be looked at.
  const [row] = port.query(`PRAGMA table_list(${quoteName(name)})`).rows;
  const [, , , , withoutRowid, strict] = present(row, () => `${name} is not in table_list`);
  return { withoutRowid: withoutRowid === 1, strict: strict === 1 };
}

function describeTable(
  port: SqlitePort,
  name: string,
  sql: string,
  { withoutRowid, strict }: Flags,
): PlainTable {
  const { statement } = parseStatement(sql);
  assert(statement.kind === 'create-table', () => `${name} was not made by CREATE TABLE`);
  const columns = describeColumns(port, name, statement, strict);
  const indexes = describeIndexes(port, name, columns);
  const keys = columns.filter((column) => column.primaryKeyIndex > 0);
  const [key] = keys;
  // A PRIMARY KEY without an index of its own is the rowid (https://www.sqlite.org/lang_createtable.html#rowid).
  const hasKeyIndex = port.query(`PRAGMA index_list(${quoteName(name)})`).rows.some((row) => row[3] === 'pk');
  const rowidColumn =
    !withoutRowid && keys.length === 1 && key !== undefined && !hasKeyIndex ? key.name : null;
  const taken = new Set(columns.map((column) => asciiLower(column.name)));
  const rowidName = withoutRowid
    ? null
    : (['rowid', '_rowid_', 'oid'].find((each) => !taken.has(each)) ?? null);
  return {
    name,
    columns,
    withoutRowid,
    strict,
    rowidColumn,
    rowidName: rowidName ?? rowidColumn,
    sql,
    foreignKeys: describeForeignKeys(port, name),
    indexes,
  };
}

function describeColumns(port: SqlitePort, name: string, statement: CreateTable, strict: boolean): Column[] {
  const collations = new Map<string, Collation>();
  for (const definition of statement.columns) {
    for (const constraint of definition.constraints) {
      if (constraint.kind !== 'collate-column') continue;
      collations.set(asciiLower(definition.name.name), collationOf(constraint.collation.name));
    }
  }
  return port.query(`PRAGMA table_xinfo(${quoteName(name)})`).rows.map((row) => {
    const columnName = String(row[1]);
    const declaredType = String(row[2]);
    return {
      name: columnName,
      declaredType,
      affinity: affinityOf(declaredType, strict),
      collation: collations.get(asciiLower(columnName)) ?? 'BINARY',
      notNull: row[3] === 1,
      defaultSql: row[4] === null ? null : String(row[4]),
      generated: row[6] === 2 ? 'virtual' : row[6] === 3 ? 'stored' : 'no',
      primaryKeyIndex: Number(row[5]),
    };
  });
}

function collationOf(name: string): Collation {
  const upper = name.toUpperCase();
  assert(upper === 'BINARY' || upper === 'NOCASE' || upper === 'RTRIM', () => `collation ${name}`);
  return upper;
}

function describeForeignKeys(port: SqlitePort, name: string): ForeignKey[] {
  const keys = new Map<
    number,
    { columns: string[]; parent: string; parentColumns: string[]; onDelete: string; onUpdate: string }
  >();
  for (const row of port.query(`PRAGMA foreign_key_list(${quoteName(name)})`).rows) {
    const id = Number(row[0]);
    let key = keys.get(id);
    if (key === undefined) {
      key = {
        columns: [],
        parent: String(row[2]),
        parentColumns: [],
        onDelete: String(row[6]),
        onUpdate: String(row[5]),
      };
      keys.set(id, key);
    }
    key.columns.push(String(row[3]));
    if (row[4] !== null && row[4] !== undefined) key.parentColumns.push(String(row[4]));
  }
  // SQLite lists the last one first; "the first foreign key" is the first one written.
  return [...keys.entries()].sort(([a], [b]) => b - a).map(([, key]) => key);
}

function describeIndexes(port: SqlitePort, name: string, columns: readonly Column[]): Index[] {
  return port.query(`PRAGMA index_list(${quoteName(name)})`).rows.map((row) => {
    const indexName = String(row[1]);
    const keys = port.query(`PRAGMA index_xinfo(${quoteName(indexName)})`).rows.filter((key) => key[5] === 1);
    return {
      name: indexName,
      unique: row[2] === 1,
      partial: row[4] === 1,
      // A column indexed under another collation is no help for uniqueness over partitions: as an expression.
      columns: keys.map((key) => {
        const column = columns.find((each) => each.name === key[2]);
        return column !== undefined && String(key[4]).toUpperCase() === column.collation ? column.name : null;
      }),
    };
  });
}
