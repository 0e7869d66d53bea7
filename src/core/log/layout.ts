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
  /** Columns of foreign keys, as indexes into `columns`: see settle.ts. */
  readonly childColumns: readonly number[];
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
    childColumns: indexesOf(
      columns,
      table.foreignKeys.flatMap((each) => each.columns),
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

export function readLayouts(port: SqlitePort): Layouts {
  const { rows } = port.query('SELECT layout, table_id, current, definition FROM _atoll_layouts');
  const layouts = new Map<number, Layout>();
  for (const [layout, tableId, current, definition] of rows)
    layouts.set(Number(layout), {
      ...parsed(String(definition)),
      layout: Number(layout),
      tableId: Number(tableId) as TableId,
      current: current === 1,
    });
  return layouts;
}

/** Adds a layout and makes it its table's current one; widens the log where it is too narrow. */
export function addLayout(port: SqlitePort, table: Table): Layout {
  const definition = definitionOf(table);
  retireLayout(port, table.id);
  const { rows } = port.query(
    'INSERT INTO _atoll_layouts(table_id, current, definition) VALUES (?, 1, ?) RETURNING layout',
    table.id,
    JSON.stringify(definition),
  );
  widenLog(port, definition.columns.length);
  return { ...definition, layout: Number(rows[0]?.[0]), tableId: table.id, current: true };
}

/** The table has no current layout any more; its old images keep theirs. */
export function retireLayout(port: SqlitePort, tableId: TableId): void {
  port.query('UPDATE _atoll_layouts SET current = 0 WHERE table_id = ? AND current = 1', tableId);
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

/** Definitions by their text: parsing is pure, and the same few texts return at every commit read. */
const definitions = new Map<string, Definition>();
const DEFINITIONS_MAX = 1000;

function parsed(text: string): Definition {
  let definition = definitions.get(text);
  if (definition === undefined) {
    definition = JSON.parse(text) as Definition;
    if (definitions.size >= DEFINITIONS_MAX) definitions.clear();
    definitions.set(text, definition);
  }
  return definition;
}
