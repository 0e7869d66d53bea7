import { asciiLower } from '../../base/ascii.ts';
import { present } from '../../base/assert.ts';
import type { TableId } from '../../base/brand.ts';
import type { Column, Table } from './table.ts';

/** The table behind an index over partitions: WITHOUT ROWID, partitioned by `key`, which are some of its columns. */
export function hiddenTable(
  id: TableId,
  name: string,
  columns: readonly Column[],
  key: readonly string[],
): Table {
  const definitions = columns.map((each) => `${each.name} ${each.declaredType} COLLATE ${each.collation}`);
  const primaryKey = columns.filter(({ primaryKeyIndex }) => primaryKeyIndex > 0).map((each) => each.name);
  return {
    id,
    name,
    columns,
    withoutRowid: true,
    strict: false,
    rowidColumn: null,
    rowidName: null,
    placement: { kind: 'partitioned', key },
    sql: `CREATE TABLE ${name} (${definitions.join(', ')}, PRIMARY KEY (${primaryKey.join(', ')})) WITHOUT ROWID`,
    foreignKeys: [],
    indexes: [],
  };
}

/** A column for the values of another table's column, or of its rowid. */
export function hiddenColumn(owner: Table, name: string, as: string, primaryKeyIndex: number): Column {
  const column = owner.columns.find((each) => asciiLower(each.name) === asciiLower(name));
  const { affinity, collation } = column ?? { affinity: 'INTEGER', collation: 'BINARY' };
  return {
    name: as,
    declaredType: affinity,
    affinity,
    collation,
    notNull: primaryKeyIndex > 0,
    defaultSql: null,
    generated: 'no',
    primaryKeyIndex,
  };
}

/** The columns that tell a table's rows apart: its id, or the PRIMARY KEY of one without. */
export function rowKeyOf(table: Table): string[] {
  if (!table.withoutRowid)
    return [present(table.rowidColumn ?? table.rowidName, 'a table with rowids has a name for them')];
  return table.columns.filter(({ primaryKeyIndex }) => primaryKeyIndex > 0).map(({ name }) => name);
}
