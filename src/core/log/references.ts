import { asciiLower } from '../../base/ascii.ts';
import type { SqlitePort } from '../sqlite/port.ts';

/** A foreign key that acts: on its parent's delete or update, SQLite changes rows of the child. */
export interface ActingKey {
  /** Names in lower case. */
  readonly child: string;
  readonly parent: string;
  /** Columns of the parent that the key refers to. */
  readonly parentColumns: readonly string[];
  readonly onDelete: boolean;
  readonly onUpdate: boolean;
  /** The action on a delete changes rows instead of deleting them. */
  readonly deleteSets: boolean;
}

const ACTION = /^(CASCADE|SET NULL|SET DEFAULT)$/i;

/** One for each column of every foreign key that has an action. */
export function readActingKeys(port: SqlitePort): ActingKey[] {
  const { rows } = port.query(
    `SELECT s.name, f."table", f."to", f.on_update, f.on_delete
     FROM sqlite_schema AS s, pragma_foreign_key_list(s.name) AS f
     WHERE s.type = 'table' AND s.name NOT GLOB '_cf_*'`, // workerd's own, there once an alarm was set: forbidden
  );
  return rows
    .map(([child, parent, to, onUpdate, onDelete]) => ({
      child: asciiLower(String(child)),
      parent: asciiLower(String(parent)),
      parentColumns: to === null ? primaryKeyOf(port, String(parent)) : [String(to)],
      onDelete: ACTION.test(String(onDelete)),
      onUpdate: ACTION.test(String(onUpdate)),
      deleteSets: /^SET/i.test(String(onDelete)),
    }))
    .filter(({ onDelete, onUpdate }) => onDelete || onUpdate);
}

function primaryKeyOf(port: SqlitePort, table: string): string[] {
  return port
    .query('SELECT name FROM pragma_table_info(?) WHERE pk > 0', table)
    .rows.map((row) => String(row[0]));
}

/** Whether deleting a row of `table` may, action by action, come back to `table` and change rows in it. */
export function returnsTo(keys: readonly ActingKey[], table: string): boolean {
  const reached = new Set<string>();
  const waiting = [table];
  let sets = false;
  for (let parent = waiting.pop(); parent !== undefined; parent = waiting.pop())
    for (const key of keys) {
      if (key.parent !== parent) continue;
      sets ||= key.deleteSets;
      if (!reached.has(key.child)) waiting.push(key.child);
      reached.add(key.child);
    }
  return sets && reached.has(table);
}
