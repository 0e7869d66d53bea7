import { type Catalogue, EMPTY_CATALOGUE } from '../schema/catalogue.ts';
import type { SchemaChange } from '../schema/change.ts';
import type { SqlitePort } from '../sqlite/port.ts';

/** Schema versions that this replica has applied, by `schema` entries of its log. */
export const SCHEMA_DDL = `CREATE TABLE _atoll_schema (
  version INTEGER PRIMARY KEY,
  statements TEXT NOT NULL, -- JSON array of the SQL that led here
  catalogue TEXT -- JSON, core/schema/catalogue.ts; of the newest version only
)`;

export function readCatalogue(port: SqlitePort): Catalogue {
  const row = port.query('SELECT catalogue FROM _atoll_schema ORDER BY version DESC LIMIT 1').rows[0];
  return row === undefined ? EMPTY_CATALOGUE : JSON.parse(String(row[0]));
}

export function recordSchema(port: SqlitePort, change: SchemaChange): void {
  port.query('UPDATE _atoll_schema SET catalogue = NULL WHERE version = ?', change.version - 1);
  port.query(
    'INSERT INTO _atoll_schema VALUES (?, ?, ?)',
    change.version,
    JSON.stringify(change.statements),
    JSON.stringify(change.catalogue),
  );
}
