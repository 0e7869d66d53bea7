import { asciiLower } from '../../base/ascii.ts';
import { assert, present } from '../../base/assert.ts';
import type { TableId } from '../../base/brand.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import type { Table } from '../schema/table.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { encodeValues, latin1 } from './encoding.ts';

/**
 * Which columns a row image has. A layout is numbered within its partition and never changes; DDL adds a
 * new one, and every image names its own. So images stay readable whatever happens to their table later,
 * and slots of the log may be used again.
 */
export interface Layout {
  readonly layout: number;
  readonly tableId: TableId;
  /** False once a later layout, or none, describes the table. */
  readonly current: boolean;
  /** The table's name while the layout was current. */
  readonly table: string;
  /**
   * Stored columns in declared order: column i of an image lies in slot `c<i>` of the log. A hidden rowid comes
   * first, by a name that reaches it.
   */
  readonly columns: readonly string[];
  readonly hiddenRowid: boolean;
  /** Indexes into `columns` of what identifies a row: its rowid or, WITHOUT ROWID, its PRIMARY KEY. */
  readonly key: readonly number[];
  /** Columns of REAL affinity: SQLite stores −0.0 there as 0.0, after the triggers saw it. */
  readonly realColumns: readonly number[];
}

/** Slots of a log row: SQLite's limit of 100 columns in workerd, less seq, commit_id and image (imposed). */
export const SLOTS_MAX = 97;

/** Columns of a user's table: one slot is kept for a hidden rowid (imposed). */
export const TABLE_COLUMNS_MAX = SLOTS_MAX - 1;

/** Stands for the format of a table's images. */
type Definition = Omit<Layout, 'layout' | 'tableId' | 'current'>;

export function definitionOf(table: Table): Definition {
  const stored = table.columns.filter((column) => column.generated === 'no');
  assert(stored.length <= TABLE_COLUMNS_MAX, () => `${table.name}: more than ${TABLE_COLUMNS_MAX} columns`);
  const hiddenRowid = !table.withoutRowid && table.rowidColumn === null;
  const columns = stored.map((column) => column.name);
  if (hiddenRowid)
    columns.unshift(present(table.rowidName, () => `${table.name}: its rowid has no name left`));
  const key = hiddenRowid
    ? [0]
    : stored.flatMap((column, index) =>
        (table.withoutRowid ? column.primaryKeyIndex > 0 : column.name === table.rowidColumn) ? [index] : [],
      );
  assert(key.length > 0, () => `${table.name}: no key`);
  return {
    table: table.name,
    columns,
    hiddenRowid,
    key,
    realColumns: indexesOf(
      columns,
      stored.filter((column) => column.affinity === 'REAL').map((column) => column.name),
    ),
  };
}

/** Generated columns have no index. */
function indexesOf(columns: readonly string[], names: readonly string[]): number[] {
  const lower = columns.map(asciiLower);
  return names.map((name) => lower.indexOf(asciiLower(name))).filter((index) => index >= 0);
}

/** The element id: what identifies the row of `image` among its table's rows. */
export function keyOf(layout: Layout, image: readonly SqlValue[]): SqlValue[] {
  return layout.key.map((index) => image[index] ?? null);
}

/** {@link keyOf} as text, for maps; distinct keys give distinct texts. */
export function keyText(layout: Layout, image: readonly SqlValue[]): string {
  return `${layout.tableId}:${latin1(encodeValues(keyOf(layout, image)))}`;
}

/** All layouts, by number. A commit is read together with them. */
export type Layouts = ReadonlyMap<number, Layout>;

export function layoutOf(layouts: Layouts, { layout }: { readonly layout: number }): Layout {
  return present(layouts.get(layout), () => `no layout ${layout}`);
}

interface Known {
  readonly stamp: number;
  readonly layouts: Layouts;
}

/** What each database's layouts were last seen to be; {@link changeStamp} says why that is safe. */
const known = new WeakMap<SqlitePort, Known>();

export function readLayouts(port: SqlitePort): Layouts {
  const stamp = Number(port.query('SELECT layouts_stamp FROM _atoll_head').rows[0]?.[0]);
  const before = known.get(port);
  if (before?.stamp === stamp) return before.layouts;
  const { rows } = port.query('SELECT layout, table_id, retired_seq IS NULL, definition FROM _atoll_layouts');
  const layouts = new Map<number, Layout>();
  for (const [layout, tableId, current, definition] of rows)
    layouts.set(Number(layout), {
      ...(JSON.parse(String(definition)) as Definition),
      layout: Number(layout),
      tableId: Number(tableId) as TableId,
      current: current === 1,
    });
  stampMax = Math.max(stampMax, stamp);
  known.set(port, { stamp, layouts });
  return layouts;
}

/** The greatest stamp that was read or given in this process. */
let stampMax = 0;

/**
 * Tells everyone that the layouts changed. A stamp is never given twice, not even after a rollback took it
 * back; so layouts that were read under a stamp are those of that stamp.
 */
export function changeStamp(port: SqlitePort): void {
  const { rows } = port.query('SELECT layouts_stamp FROM _atoll_head');
  stampMax = Math.max(stampMax, Number(rows[0]?.[0])) + 1;
  port.query('UPDATE _atoll_head SET layouts_stamp = ?', stampMax);
}

/**
 * From here on, layouts of internal tables that a format step has added: this number plus the table's id. Below, numbers
 * follow from each other by DDL, in log order; a step is no part of that order, and its place differs between replicas.
 */
export const INTERNAL_LAYOUTS_START = 2 ** 28;

/** Adds a layout and makes it its table's current one; widens the log where it is too narrow. */
export function addLayout(port: SqlitePort, table: Table, number?: number): Layout {
  const definition = definitionOf(table);
  retireLayout(port, table.id);
  const { rows } = port.query(
    'INSERT INTO _atoll_layouts(layout, table_id, definition) VALUES ' +
      `(coalesce(?, (SELECT coalesce(max(layout), 0) + 1 FROM _atoll_layouts WHERE layout < ${INTERNAL_LAYOUTS_START})), ` +
      '?, ?) RETURNING layout',
    number ?? null,
    table.id,
    JSON.stringify(definition),
  );
  widenLog(port, definition.columns.length);
  return { ...definition, layout: Number(rows[0]?.[0]), tableId: table.id, current: true };
}

/** The table has no current layout any more; its old images keep theirs. */
export function retireLayout(port: SqlitePort, tableId: TableId): void {
  changeStamp(port);
  port.query(
    'UPDATE _atoll_layouts SET retired_seq = coalesce((SELECT max(seq) FROM _atoll_log), 0) ' +
      'WHERE table_id = ? AND retired_seq IS NULL',
    tableId,
  );
}

/**
 * Forgets retired layouts that no image in the log has any more. The newest one stays in any case: the next
 * number follows from it, and is the same on every replica.
 */
export function forgetLayouts(port: SqlitePort): void {
  const { rows } = port.query(
    'DELETE FROM _atoll_layouts WHERE retired_seq < coalesce((SELECT min(seq) FROM _atoll_log), retired_seq + 1) ' +
      `AND layout < (SELECT max(layout) FROM _atoll_layouts WHERE layout < ${INTERNAL_LAYOUTS_START}) RETURNING layout`,
  );
  if (rows.length > 0) changeStamp(port);
}

/** Slots that the log has; the widest table's number of columns. */
export function logWidth(port: SqlitePort): number {
  const { rows } = port.query(`SELECT count(*) - 3 FROM pragma_table_info('_atoll_log')`);
  return Number(rows[0]?.[0]);
}

function widenLog(port: SqlitePort, width: number): void {
  for (let slot = logWidth(port); slot < width; slot++)
    port.query(`ALTER TABLE _atoll_log ADD COLUMN c${slot}`);
}
