import type { TableId } from '../../../src/base/brand.ts';
import type { Affinity, ForeignKey, Table } from '../../../src/core/schema/table.ts';
import type { SqlitePort } from '../../../src/core/sqlite/port.ts';

/** A table as SQLite describes it, for tests that have no catalogue; keys and indexes beyond that are left out. */
export function describeTable(port: SqlitePort, name: string, id: number): Table {
  const { rows } = port.query('SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?)', name);
  const { rows: list } = port.query('SELECT wr FROM pragma_table_list(?)', name);
  const withoutRowid = list[0]?.[0] === 1;
  const columns = rows.map(([column, type, notNull, pk, hidden]) => ({
    name: String(column),
    declaredType: String(type),
    affinity: (String(type).toUpperCase() === 'REAL' ? 'REAL' : 'BLOB') as Affinity,
    collation: 'BINARY' as const,
    notNull: notNull === 1,
    defaultSql: null,
    generated: hidden === 2 ? ('virtual' as const) : hidden === 3 ? ('stored' as const) : ('no' as const),
    primaryKeyIndex: Number(pk),
  }));
  const keys = columns.filter((column) => column.primaryKeyIndex > 0);
  const alias = !withoutRowid && keys.length === 1 && keys[0]?.declaredType.toUpperCase() === 'INTEGER';
  const taken = new Set(columns.map((column) => column.name.toLowerCase()));
  return {
    id: id as TableId,
    name,
    columns,
    withoutRowid,
    strict: false,
    rowidColumn: alias ? (keys[0]?.name ?? null) : null,
    rowidName: withoutRowid ? null : (['rowid', '_rowid_', 'oid'].find((each) => !taken.has(each)) ?? null),
    placement: { kind: 'reference' },
    sql: '',
    foreignKeys: foreignKeysOf(port, name),
    indexes: [],
  };
}

function foreignKeysOf(port: SqlitePort, name: string): ForeignKey[] {
  const { rows } = port.query(
    'SELECT id, "table", "from", "to", on_update, on_delete FROM pragma_foreign_key_list(?) ORDER BY id, seq',
    name,
  );
  const keys = new Map<unknown, { columns: string[]; parentColumns: string[]; rest: unknown[] }>();
  for (const [id, parent, from, to, onUpdate, onDelete] of rows) {
    const key = keys.get(id) ?? { columns: [], parentColumns: [], rest: [parent, onUpdate, onDelete] };
    key.columns.push(String(from));
    if (to !== null) key.parentColumns.push(String(to));
    keys.set(id, key);
  }
  return [...keys.values()].map(({ columns, parentColumns, rest }) => ({
    columns,
    parentColumns,
    parent: String(rest[0]),
    onUpdate: String(rest[1]),
    onDelete: String(rest[2]),
  }));
}
