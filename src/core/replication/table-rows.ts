import { present } from '../../base/assert.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import { bindExact, selectExact, selectExactBounded } from '../sqlite/exact.ts';
import type { PortValue, SqlitePort } from '../sqlite/port.ts';
import { quoteName } from '../sqlite/quote.ts';
import { decodeKey, encodeKey, type SnapshotTable } from './snapshot-format.ts';

/** Rows of a table in the order of its key, with exact values. */
export interface RowsPage {
  readonly rows: readonly (readonly SqlValue[])[];
  /** Whether there are more. */
  readonly more: boolean;
  /** Key of the last row so far, encoded; null if there was none. */
  readonly after: string | null;
}

/**
 * The rows whose keys follow `after`, of about `bytesMax`: none at all if the first one is larger, or with `one` that
 * one alone.
 */
export function readRows(
  port: SqlitePort,
  table: SnapshotTable,
  after: string | null,
  bytesMax: number,
  one: boolean,
): RowsPage {
  const columns = table.columns.map((_, index) => valueSql(table, index));
  const keys = keysOf(port, table);
  const { where, bindings } = following(keys, after);
  const tail = `FROM ${quoteName(table.table)} ${where} ORDER BY ${keys.join(', ')}`;
  let { rows, truncated } = selectExactBounded(port, columns, tail, bindings, bytesMax);
  if (truncated && rows.length === 0 && one) rows = selectExact(port, columns, `${tail} LIMIT 1`, bindings);
  const last = rows.at(-1);
  if (last === undefined) return { rows, more: truncated, after };
  return { rows, more: truncated, after: encodeKey(table.key.map((index) => last[index] ?? null)) };
}

/** What lies in a column, and in a target may be read as it is. */
function valueSql(table: SnapshotTable, index: number): string {
  const name = nameSql(table, index);
  // No image in the target's log has a layout that is not current: it may be forgotten at any time.
  return name === '"retired_seq"' && table.table === '_atoll_layouts' ? `min(${name}, 0)` : name;
}

/** A hidden rowid stays bare: quoted it might be taken for text. */
function nameSql({ columns, hiddenRowid }: SnapshotTable, index: number): string {
  const name = columns[index] ?? '';
  return hiddenRowid && index === 0 ? name : quoteName(name);
}

/** The key's columns as they are compared in its index, which need not be as the columns are elsewhere. */
function keysOf(port: SqlitePort, table: SnapshotTable): string[] {
  const names = table.key.map((index) => nameSql(table, index));
  const primary = port
    .query('SELECT name FROM pragma_index_list(?) WHERE origin = ?', table.table, 'pk')
    .rows.map(([name]) => String(name))[0];
  // An alias of the rowid has no index of its own, and its values are numbers.
  if (table.hiddenRowid || primary === undefined) return names;
  const { rows } = port.query('SELECT name, coll FROM pragma_index_xinfo(?) WHERE key = 1', primary);
  const collations = new Map(rows.map(([name, collation]) => [String(name), String(collation)]));
  return table.key.map((index, i) => {
    const collation = collations.get(table.columns[index] ?? '');
    return collation === undefined ? present(names[i], 'a key column') : `${names[i]} COLLATE ${collation}`;
  });
}

function following(
  keys: readonly string[],
  after: string | null,
): { where: string; bindings: readonly PortValue[] } {
  if (after === null) return { where: '', bindings: [] };
  const bound = decodeKey(after).map(bindExact);
  return {
    where: `WHERE (${keys.join(', ')}) > (${bound.map(({ sql }) => sql).join(', ')})`,
    bindings: bound.map(({ binding }) => binding),
  };
}

/** Whether a key follows `after` in the table's order. */
export function isPast(
  port: SqlitePort,
  table: SnapshotTable,
  key: readonly SqlValue[],
  after: string,
): boolean {
  const names = table.key.map((index) => nameSql(table, index));
  const collations = keysOf(port, table).map((sql, i) => sql.slice((names[i] ?? '').length));
  const left = key.map(bindExact);
  const right = decodeKey(after).map(bindExact);
  // Stored values: no affinity changes them any more.
  const { rows } = port.query(
    `SELECT (${left.map(({ sql }, i) => `${sql}${collations[i]}`).join(', ')}) > (${right.map(({ sql }) => sql).join(', ')})`,
    ...left.map(({ binding }) => binding),
    ...right.map(({ binding }) => binding),
  );
  return rows[0]?.[0] === 1;
}
