import { type Catalogue, EMPTY_CATALOGUE } from '../schema/catalogue.ts';
import type { SchemaChange } from '../schema/change.ts';
import type { SqlitePort } from '../sqlite/port.ts';

/** Schema versions that this replica has applied, by `schema` entries of its log. */
export const SCHEMA_DDL = `CREATE TABLE _atoll_schema (
  version INTEGER PRIMARY KEY,
  statements TEXT NOT NULL, -- JSON array of the SQL that led here
  catalogue TEXT NOT NULL -- JSON, core/schema/catalogue.ts
)`;

export function readCatalogue(port: SqlitePort): Catalogue {
  const row = port.query('SELECT catalogue FROM _atoll_schema ORDER BY version DESC LIMIT 1').rows[0];
  return row === undefined ? EMPTY_CATALOGUE : JSON.parse(String(row[0]));
}

export function recordSchema(port: SqlitePort, change: SchemaChange): void {
  port.query(
    'INSERT INTO _atoll_schema VALUES (?, ?, ?)',
    change.version,
    JSON.stringify(change.statements),
    JSON.stringify(change.catalogue),
  );
}
