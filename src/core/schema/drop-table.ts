import type { SqlitePort } from '../sqlite/port.ts';
import { quoteName } from '../sqlite/quote.ts';

/**
 * Foreign keys as they are when all is done: within `body` SQLite counts rows without a parent and says nothing, and then
 * forgets the count (https://www.sqlite.org/pragma.html#pragma_defer_foreign_keys). Whoever calls checks afterwards.
 */
export function withoutForeignKeys(port: SqlitePort, body: () => void): void {
  port.query('PRAGMA defer_foreign_keys = ON');
  try {
    body();
  } finally {
    // In workerd the transaction around may go on after an error.
    port.query('PRAGMA defer_foreign_keys = OFF');
  }
}

/** Tables with a foreign key that SQLite knows to this one, and its columns; the table itself too. */
export function referringKeys(
  port: SqlitePort,
  table: string,
): readonly { readonly child: string; readonly columns: readonly string[] }[] {
  const { rows } = port.query(
    `SELECT child.name, key.id, key."from" FROM sqlite_schema AS child, pragma_foreign_key_list(child.name) AS key
     WHERE child.type = 'table' AND child.name NOT GLOB '_cf_*' AND lower(key."table") = lower(?) ORDER BY child.name, key.id, key.seq`,
    table,
  );
  const keys = Map.groupBy(rows, ([child, id]) => JSON.stringify([child, id]));
  return [...keys.values()].map((columns) => ({
    child: String(columns[0]?.[0]),
    columns: columns.map(([, , column]) => String(column)),
  }));
}

/**
 * DROP TABLE, which leaves the rows of tables that refer to it as they are. SQLite deletes the dropped table's rows first, and does for
 * each what foreign keys say (https://www.sqlite.org/foreignkeys.html#fk_schemacommands); to switch them off, no transaction
 * may be open. So for as long as it takes, children let no action change their rows, and have an index by which SQLite looks for those:
 * without one it would read the child whole for every row that is dropped.
 *
 * Whoever calls checks foreign keys afterwards. `drop`: runs the statement.
 */
export function dropTable(port: SqlitePort, table: string, drop: () => void): void {
  withoutForeignKeys(port, () => dropQuietly(port, table, drop));
}

function dropQuietly(port: SqlitePort, table: string, drop: () => void): void {
  const keys = referringKeys(port, table);
  const children = new Set(keys.map(({ child }) => child));
  for (const [index, { child, columns }] of keys.entries())
    port.query(
      `CREATE INDEX _atoll_drop_${index} ON ${quoteName(child)} (${columns.map(quoteName).join(', ')})`,
    );
  for (const [index, child] of [...children].entries())
    for (const event of EVENTS)
      port.query(
        `CREATE TRIGGER _atoll_drop_${index}_${event} BEFORE ${event} ON ${quoteName(child)} BEGIN SELECT raise(IGNORE); END`,
      );
  drop();
  for (const index of keys.keys()) port.query(`DROP INDEX IF EXISTS _atoll_drop_${index}`);
  for (const index of [...children].keys())
    for (const event of EVENTS) port.query(`DROP TRIGGER IF EXISTS _atoll_drop_${index}_${event}`);
}

const EVENTS = ['DELETE', 'UPDATE'] as const;
