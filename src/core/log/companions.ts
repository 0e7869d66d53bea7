import { asciiLower } from '../../base/ascii.ts';
import type { TableId } from '../../base/brand.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { quoteName } from '../sqlite/quote.ts';
import { hushTriggers } from './hush.ts';
import { type Layout, readLayouts } from './layout.ts';
import { readActingKeys } from './references.ts';
import { type Surroundings, type SuspectTrigger, suspectTriggers } from './suspect.ts';
import { triggerHeader } from './trigger-header.ts';

/**
 * The log's triggers that depend on foreign keys and user triggers of the whole schema, hence on more than
 * their own table: those of suspect.ts and hush.ts. Brought up to date whenever either may have changed.
 */
export function refreshCompanions(port: SqlitePort): void {
  const wanted = wantedTriggers(port);
  const { rows } = port.query(`SELECT name, sql FROM sqlite_schema WHERE ${COMPANION}`);
  for (const [name, sql] of rows) {
    if (wanted.get(String(name)) === sql) wanted.delete(String(name));
    else port.query(`DROP TRIGGER ${String(name)}`);
  }
  for (const sql of wanted.values()) port.query(sql);
}

const COMPANION =
  "type = 'trigger' AND (name LIKE '\\_atoll\\_suspect\\_%' ESCAPE '\\' OR name LIKE '\\_atoll\\_hush\\_%' ESCAPE '\\')";

export function dropCompanions(port: SqlitePort, tableId: TableId): void {
  for (const kind of ['suspect', 'hush'])
    for (const event of ['delete', 'update'])
      port.query(`DROP TRIGGER IF EXISTS _atoll_${kind}_${tableId}_${event}`);
}

/** By name. */
function wantedTriggers(port: SqlitePort): Map<string, string> {
  const surroundings = readSurroundings(port);
  const wanted = new Map<string, string>();
  const add = (kind: string, { table, tableId }: Layout, { event, condition, body }: SuspectTrigger) => {
    const name = `_atoll_${kind}_${tableId}_${event}`;
    wanted.set(
      name,
      `CREATE TRIGGER ${name} BEFORE ${event.toUpperCase()} ON ${quoteName(table)} WHEN ${condition} BEGIN ${body} END`,
    );
  };
  for (const layout of readLayouts(port).values()) {
    if (!layout.current) continue;
    const table = asciiLower(layout.table);
    for (const each of suspectTriggers(table, layout, surroundings)) add('suspect', layout, each);
    for (const each of hushTriggers(table, surroundings.keys)) add('hush', layout, each);
  }
  return wanted;
}

function readSurroundings(port: SqlitePort): Surroundings {
  const { rows } = port.query(
    `SELECT tbl_name, sql FROM sqlite_schema WHERE type = 'trigger' AND name NOT LIKE '\\_atoll\\_%' ESCAPE '\\'`,
  );
  const before = rows
    .filter(([, sql]) => triggerHeader(String(sql))?.time === 'BEFORE')
    .map(([table]) => asciiLower(String(table)));
  return { keys: readActingKeys(port), before: new Set(before), anyTrigger: rows.length > 0 };
}
