import type { SqlitePort } from '../sqlite/port.ts';
import type { Catalogue } from './catalogue.ts';
import { isInternalName } from './introspect.ts';
import type { Table } from './table.ts';

/** Everything of the users' in SQLite's own schema. */
export function shapeOf(port: SqlitePort): string {
  const { rows } = port.query('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name');
  return JSON.stringify(
    rows.filter(([, name, table]) => !isInternalName(String(name)) && !isInternalName(String(table))),
  );
}

export function isSameSchema(a: Catalogue, b: Catalogue): boolean {
  const shape = ({ tables, views, triggers, uniques, references }: Catalogue) =>
    JSON.stringify([tables, views, triggers, uniques, references]);
  return shape(a) === shape(b);
}

/** Whether images of both have the same columns. */
export function hasSameShape(a: Table, b: Table | undefined): boolean {
  const shape = (table: Table) =>
    JSON.stringify([table.name, table.columns.map((column) => [column.name, column.generated])]);
  return b !== undefined && shape(a) === shape(b);
}
