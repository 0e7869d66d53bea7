import { asciiLower } from '../../base/ascii.ts';
import type { TableId } from '../../base/brand.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { quoteName } from '../sqlite/quote.ts';
import { type Layout, readLayouts } from './layout.ts';

/**
 * Triggers that mark a commit whose images may be out of order or stale (straighten.ts): on an update of a
 * parent key that has an action, on a delete of a parent where user triggers exist, and on any update or
 * delete of a table with a user's BEFORE trigger. Tables without these have none and pay nothing.
 */
export function refreshSuspects(port: SqlitePort): void {
  const layouts = [...readLayouts(port).values()].filter((layout) => layout.current);
  const userTriggers = port
    .query(
      `SELECT tbl_name, sql FROM sqlite_schema WHERE type = 'trigger' AND name NOT LIKE '\\_atoll\\_%' ESCAPE '\\'`,
    )
    .rows.map(([table, sql]) => ({ table: asciiLower(String(table)), sql: String(sql) }));
  const references = layouts.flatMap((layout) => referencesOf(port, layout));
  for (const layout of layouts) {
    dropSuspects(port, layout.tableId);
    const name = asciiLower(layout.table);
    const before = userTriggers.some(({ table, sql }) => table === name && /\bBEFORE\b/i.test(sql));
    const children = references.filter(({ parent }) => parent === name);
    const keys = children.filter(({ onUpdate }) => ACTION.test(onUpdate)).flatMap(({ key }) => key);
    if (before) mark(port, layout, 'UPDATE', '1');
    else if (keys.length > 0) mark(port, layout, 'UPDATE', changedSql(keys));
    const cascades = children.some(({ onDelete }) => ACTION.test(onDelete));
    if (before || (cascades && userTriggers.length > 0)) mark(port, layout, 'DELETE', '1');
  }
}

export function dropSuspects(port: SqlitePort, tableId: TableId): void {
  for (const event of ['update', 'delete'])
    port.query(`DROP TRIGGER IF EXISTS _atoll_suspect_${tableId}_${event}`);
}

const ACTION = /^(CASCADE|SET NULL|SET DEFAULT)$/i;

function mark(port: SqlitePort, layout: Layout, event: 'UPDATE' | 'DELETE', condition: string): void {
  port.query(
    `CREATE TRIGGER _atoll_suspect_${layout.tableId}_${event.toLowerCase()} AFTER ${event} ` +
      `ON ${quoteName(layout.table)} WHEN ${condition} ` +
      'BEGIN UPDATE _atoll_head SET suspect = 1 WHERE suspect = 0; END',
  );
}

function changedSql(keys: readonly string[]): string {
  return [...new Set(keys)].map((key) => `OLD.${quoteName(key)} IS NOT NEW.${quoteName(key)}`).join(' OR ');
}

interface Reference {
  readonly parent: string;
  readonly key: readonly string[];
  readonly onUpdate: string;
  readonly onDelete: string;
}

function referencesOf(port: SqlitePort, layout: Layout): Reference[] {
  const { rows } = port.query(
    'SELECT "table", "to", on_update, on_delete FROM pragma_foreign_key_list(?)',
    layout.table,
  );
  return rows.map(([parent, to, onUpdate, onDelete]) => ({
    parent: asciiLower(String(parent)),
    key: to === null ? primaryKeyOf(port, String(parent)) : [String(to)],
    onUpdate: String(onUpdate),
    onDelete: String(onDelete),
  }));
}

function primaryKeyOf(port: SqlitePort, table: string): string[] {
  return port
    .query('SELECT name FROM pragma_table_info(?) WHERE pk > 0', table)
    .rows.map((row) => String(row[0]));
}
