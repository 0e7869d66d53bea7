import type { SqlitePort } from '../../src/core/sqlite/port.ts';
import { quoteName } from '../../src/core/sqlite/quote.ts';

/** Whether a copy has exactly its leader's rows. @throws what differs */
export function checkCopy(name: string, leader: SqlitePort, copy: SqlitePort): void {
  const [there, here] = [rowsOf(leader), rowsOf(copy)];
  if (there.size !== here.size) throw new Error(`${name}: other tables: ${[...here.keys()].join(', ')}`);
  for (const [table, rows] of there)
    if (here.get(table) !== rows)
      throw new Error(`${name}: other rows of ${table}: ${here.get(table)} instead of ${rows}`);
}

/** Users' tables and hidden indexes; bookkeeping is each host's own. */
function rowsOf(port: SqlitePort): Map<string, string> {
  const { rows } = port.query(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND (name NOT LIKE '\\_atoll%' ESCAPE '\\' OR name LIKE '\\_atoll\\_unique%' ESCAPE '\\') AND name NOT LIKE 'sqlite%' ORDER BY name",
  );
  return new Map(
    rows.map(([name]) => {
      const all = port
        .query(`SELECT * FROM ${quoteName(String(name))}`)
        .rows.map((row) => JSON.stringify(row));
      return [String(name), all.sort().join()];
    }),
  );
}
