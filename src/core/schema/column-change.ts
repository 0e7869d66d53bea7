import type { TableId } from '../../base/brand.ts';
import type { AlterTable } from '../sql/ast.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import type { ChangingTables } from './changing-tables.ts';
import { includesName } from './name-list.ts';
import type { KeyOver } from './reference-index.ts';
import { unsupported } from './refused-change.ts';

/**
 * Refuses what ALTER TABLE may not do to columns that say where rows live, or what they refer to, of which SQLite knows nothing.
 * `keys`: foreign keys over partitions.
 *
 * @throws AtollError
 */
export function refuseColumnChange(
  port: SqlitePort,
  tables: ChangingTables,
  keys: readonly KeyOver[],
  { id, name }: { readonly id: TableId; readonly name: string },
  action: AlterTable['action'],
): void {
  if (action.kind === 'add-column') refuseHiddenKey(port, tables, { id, name }, action.column.name.name);
  if (action.kind === 'rename-column') refuseHiddenKey(port, tables, { id, name }, action.to.name);
  if (action.kind !== 'drop-column') return;
  const column = action.name.name;
  if (includesName(tables.keyOf(id), column))
    throw unsupported(`dropping ${name}.${column}, a partition-key column`, 'create a new table');
  // As SQLite refuses it for the foreign keys that it knows.
  const joined = keys.flatMap(({ of, columns, parent, parentColumns }) => [
    ...(of === id ? columns : []),
    ...(parent === id ? parentColumns : []),
  ]);
  if (includesName(joined, column))
    throw unsupported(`dropping ${name}.${column}, which a foreign key joins`, 'create a new table');
}

/** A table without a key of its own is partitioned by its rowid, whose name a new column would take. */
function refuseHiddenKey(
  port: SqlitePort,
  tables: ChangingTables,
  { id, name }: { readonly id: TableId; readonly name: string },
  column: string,
): void {
  if (tables.placementOf(id) === undefined || !includesName(tables.keyOf(id), column)) return;
  // SQLite has its own answer to a name that a column has.
  const columns = port
    .query('SELECT name FROM pragma_table_info(?)', name)
    .rows.map(([each]) => String(each));
  if (includesName(columns, column)) return;
  throw unsupported(`a column ${column} in ${name}, whose rowid it would hide`, 'take another name');
}
