import type { SqlValue } from '../../base/sql-value.ts';
import type { Table } from '../schema/table.ts';
import { selectExact } from '../sqlite/exact.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { quoteName } from '../sqlite/quote.ts';
import { ByteWriter } from './bytes.ts';
import { writeValues } from './encoding.ts';
import { fingerprint } from './fingerprint.ts';
import { definitionOf } from './layout.ts';
import { columnSql } from './rows.ts';

/** All rows of a table, exact, in the order of its key; a hidden rowid is the first column. */
export interface TableDump {
  readonly table: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly SqlValue[])[];
}

/** Everything that the tables hold, the same for equal contents, whole in memory: for comparisons and tests. */
export function dump(port: SqlitePort, tables: readonly Table[]): TableDump[] {
  return [...tables]
    .sort((a, b) => a.id - b.id)
    .map((table) => {
      const layout = { ...definitionOf(table), layout: 0, tableId: table.id, current: true };
      const columns = layout.columns.map((_, index) => columnSql(layout, index));
      const order = layout.key.map((index) => columns[index] ?? '').join(', ');
      const rows = selectExact(port, columns, `FROM ${quoteName(table.name)} ORDER BY ${order}`);
      return { table: table.name, columns: layout.columns, rows };
    });
}

/** A hash over {@link dump}: equal replicas have equal ones. */
export function dumpFingerprint(dumps: readonly TableDump[]): string {
  const writer = new ByteWriter();
  for (const { table, columns, rows } of dumps) {
    writer.text(table);
    writer.varint(columns.length);
    for (const column of columns) writer.text(column);
    writer.varint(rows.length);
    for (const row of rows) writeValues(writer, row);
  }
  return fingerprint(writer.finish());
}
