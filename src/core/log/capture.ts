import { assert } from '../../base/assert.ts';
import type { TableId } from '../../base/brand.ts';
import type { Table } from '../schema/table.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { quoteName } from '../sqlite/quote.ts';
import { dropCompanions, refreshCompanions } from './companions.ts';
import { CREATE_AFTER, DELETE_BEFORE, UPDATE_AFTER, UPDATE_BEFORE } from './image.ts';
import { addLayout, type Layout, readLayouts, retireLayout } from './layout.ts';

/**
 * Starts to log a table: its layout and its triggers. Call it when the table exists, in the transaction
 * that creates it and before its first row. `number`: of the layout of an internal table (INTERNAL_LAYOUTS_START).
 */
export function createLog(port: SqlitePort, table: Table, number?: number): Layout {
  const layout = addLayout(port, table, number);
  createTriggers(port, layout);
  return layout;
}

/**
 * Runs an ALTER TABLE, and whatever else changes the shape of a logged table, in `alter`, with the log out
 * of its way (SQLite refuses to drop a column that a trigger names), then logs the table in its new shape.
 */
export function alterLog(port: SqlitePort, before: Table, after: Table, alter: () => void): Layout {
  assert(before.id === after.id, 'ALTER TABLE does not change the table id');
  dropTriggers(port, before.id);
  alter();
  return createLog(port, after);
}

/** Ends the log of a table, before or after DROP TABLE. Images already logged stay readable. */
export function dropLog(port: SqlitePort, tableId: TableId): void {
  dropTriggers(port, tableId);
  retireLayout(port, tableId);
}

/**
 * Creates the log's triggers anew. Of several triggers SQLite fires the one created last first, and the
 * log must see a row before a user's AFTER trigger changes it again: so call this whenever a user trigger
 * was created on the table.
 */
export function refreshLog(port: SqlitePort, tableId: TableId): void {
  const layout = [...readLayouts(port).values()].find((each) => each.tableId === tableId && each.current);
  assert(layout !== undefined, () => `table ${tableId} is not logged`);
  dropTriggers(port, tableId);
  createTriggers(port, layout);
}

const EVENTS = ['insert', 'delete', 'update'] as const;
type Event = (typeof EVENTS)[number];

function triggerName(tableId: TableId, event: Event): string {
  return `_atoll_log_${tableId}_${event}`;
}

function dropTriggers(port: SqlitePort, tableId: TableId): void {
  for (const event of EVENTS) port.query(`DROP TRIGGER IF EXISTS ${triggerName(tableId, event)}`);
  dropCompanions(port, tableId);
}

function createTriggers(port: SqlitePort, layout: Layout): void {
  for (const event of EVENTS) port.query(triggerSql(layout, event));
  refreshCompanions(port);
}

function triggerSql(layout: Layout, event: Event): string {
  const images =
    event === 'insert'
      ? [imageSql(layout, CREATE_AFTER, 'NEW')]
      : event === 'delete'
        ? [imageSql(layout, DELETE_BEFORE, 'OLD')]
        : [imageSql(layout, UPDATE_BEFORE, 'OLD'), imageSql(layout, UPDATE_AFTER, 'NEW')];
  return (
    `CREATE TRIGGER ${triggerName(layout.tableId, event)} AFTER ${event.toUpperCase()} ` +
    `ON ${quoteName(layout.table)} BEGIN ${images.join(' ')} END`
  );
}

function imageSql(layout: Layout, kind: number, row: 'NEW' | 'OLD'): string {
  const slots = layout.columns.map((_, slot) => `c${slot}`);
  const values = layout.columns.map((column) => `${row}.${quoteName(column)}`);
  return (
    `INSERT INTO _atoll_log(commit_id, image, ${slots.join(', ')}) VALUES ` +
    `((SELECT last_commit_id + 1 FROM _atoll_head), ${layout.layout * 4 + kind}, ${values.join(', ')});`
  );
}
