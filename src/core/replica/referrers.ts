import { asciiLower } from '../../base/ascii.ts';
import { present } from '../../base/assert.ts';
import type { TableId, Token } from '../../base/brand.ts';
import { RawText, type SqlValue } from '../../base/sql-value.ts';
import type { Change, Image } from '../log/commit.ts';
import { sameValues } from '../log/encoding.ts';
import { keyText, type Layout, type Layouts, layoutOf, readLayouts } from '../log/layout.ts';
import { valuesOf } from '../log/row-values.ts';
import { readRow } from '../log/rows.ts';
import type { Schema } from '../schema/catalogue.ts';
import { type KeyToCopy, keysToCopies } from '../schema/keys-to-copies.ts';
import { tokenOfKey } from '../schema/partition-key.ts';
import { keyColumns } from '../schema/placement.ts';
import type { Column, Table } from '../schema/table.ts';
import { reachOf } from '../sql/analysis/reach.ts';
import { bindExact, selectExact } from '../sqlite/exact.ts';
import type { PortValue, SqlitePort } from '../sqlite/port.ts';
import { quoteName } from '../sqlite/quote.ts';
import { writtenLocks } from '../transaction/footprint.ts';
import type { Lock } from '../transaction/lock.ts';
import { actionOf, changeReferring, changesRows, movedByKeys } from './acting-key.ts';
import { type LostKey, lostKeys } from './lost-keys.ts';
import { layoutOfTable } from './reference-actions.ts';
import type { Replica } from './replica.ts';

/**
 * Rows of partitioned tables that refer to rows of reference tables. When these go, or get other keys, each partition does with
 * its own rows what their foreign keys say. SQLite has both sides here, but takes changes of copies as images, during which foreign keys are
 * silent (core/log/hush.ts).
 */

/** A key that rows here may refer to, and that is taken away. */
interface Loss {
  readonly key: KeyToCopy;
  readonly lost: LostKey;
  /** Whether rows referred to it here before any statement has run; looked at for RESTRICT alone, else true. */
  readonly wasReferred: boolean;
}

/** A row here that its foreign key is to change. */
interface Referrer {
  readonly key: KeyToCopy;
  /** What has become of the key; null: its row is deleted. */
  readonly to: Image | null;
  readonly layout: Layout;
  /** Its own key and what it refers by; the rest is not read. */
  readonly image: Image;
  readonly token: Token;
}

/** What the changes of copies take away. */
export interface Taken {
  readonly losses: readonly Loss[];
  readonly referrers: readonly Referrer[];
}

export const NOTHING_TAKEN: Taken = { losses: [], referrers: [] };

/** Whether keys go that partitioned tables may refer to, so that every partition has a part. */
export function takesKeys(schema: Schema, changes: readonly Change[], layouts: Layouts): boolean {
  return lostBy(schema, changes, layouts).some(({ lost }) => lost.length > 0);
}

/** What the changes of copies take away, and who refers to it here: before they are made. */
export function findTaken({ port, schema }: Replica, changes: readonly Change[]): Taken {
  const layouts = readLayouts(port);
  const losses = lostBy(schema, changes, layouts).flatMap(({ key, lost }) =>
    lost.map((each): Loss => {
      const restricts = actionOf(key, each.to) === 'RESTRICT';
      return { key, lost: each, wasReferred: !restricts || refersTo(port, key, each.from) };
    }),
  );
  const acting = losses.filter(({ key, lost }) => changesRows(actionOf(key, lost.to)));
  const referrers = acting.flatMap(({ key, lost }) =>
    referrersOf(port, key, layoutOfTable(layouts, key.child), lost),
  );
  return { losses, referrers };
}

function lostBy(
  schema: Schema,
  changes: readonly Change[],
  layouts: Layouts,
): { readonly key: KeyToCopy; readonly lost: readonly LostKey[] }[] {
  const byTable = Map.groupBy(changes, ({ tableId }) => tableId);
  return schema.catalogue.tables.flatMap((child) =>
    keysToCopies(schema, child).flatMap((key) => {
      const own = byTable.get(key.parentTable.id);
      if (own === undefined) return [];
      const classes = key.parentColumns.map((name) => theColumn(key.parentTable, name));
      return [{ key, lost: lostKeys(key.parentColumns, classes, own, layouts) }];
    }),
  );
}

function columnOf({ columns }: Table, name: string): Column | undefined {
  return columns.find((column) => asciiLower(column.name) === asciiLower(name));
}

function theColumn(table: Table, name: string): Column {
  return present(columnOf(table, name), () => `a column ${name} of ${table.name}`);
}

/** A hidden rowid stays bare: quoted it might be taken for text. */
function nameIn(table: Table, name: string): string {
  return columnOf(table, name) === undefined ? name : quoteName(name);
}

// --- In the rows -------------------------------------------------------------------------------------------------

/**
 * Rows that an action is to change. SQLite compares what they refer by with the key as it is stored, without its column's affinity (measured:
 * '1' does not go with 1.0, though it refers to it), and then finds that others still refer to the key. Those that are equal and refer to another
 * key are not changed: SQLite finds that they still refer to this one, too.
 */
function referrersOf(port: SqlitePort, key: KeyToCopy, layout: Layout, { from, to }: LostKey): Referrer[] {
  const { child, columns } = key;
  const own = layout.key.map((i) => layout.columns[i] ?? '');
  const placing = child.placement.kind === 'partitioned' ? child.placement.key : [];
  const names = [...new Set([...own, ...columns, ...placing])];
  const { sql, bindings } = whereRefers(key, from, (value) => value, true);
  const order = own.map((name) => `c.${nameIn(child, name)}`).join(', ');
  const selected = names.map((name) => `c.${nameIn(child, name)}`);
  const tail = `FROM ${quoteName(child.name)} AS c WHERE ${sql} ORDER BY ${order}`;
  const placeOf = (name: string) => names.findIndex((each) => asciiLower(each) === asciiLower(name));
  const [places, placed] = [layout.columns.map(placeOf), placing.map(placeOf)];
  return selectExact(port, selected, tail, bindings).map((row) => {
    const at = (place: number): SqlValue => row[place] ?? null;
    return { key, to, layout, image: places.map(at), token: tokenOfKey(placed.map(at), keyColumns(child)) };
  });
}

/** Whether rows here refer to a key, compared as SQLite does to tell whether the foreign key holds: by the parent's affinity. */
function refersTo(port: SqlitePort, key: KeyToCopy, from: Image): boolean {
  const { sql, bindings } = whereRefers(key, from, withAffinity);
  const child = quoteName(key.child.name);
  return port.query(`SELECT 1 FROM ${child} AS c WHERE ${sql} LIMIT 1`, ...bindings).rows.length > 0;
}

/**
 * Rows whose columns are equal to a key, by its columns' collations. `onlyOwn`: that refer to it, and not to another one which is the same
 * number: 1.0 refers to '1.0', and is equal to '1'.
 */
function whereRefers(
  { child, columns, parentTable, parentColumns }: KeyToCopy,
  from: Image,
  typed: (sql: string, value: SqlValue, column: Column) => string,
  onlyOwn = false,
): { readonly sql: string; readonly bindings: readonly PortValue[] } {
  const bound = from.map(bindExact);
  const terms = columns.flatMap((name, i) => {
    const column = theColumn(parentTable, parentColumns[i] ?? '');
    const value = (bound[i]?.sql ?? 'NULL').replace('?', `?${i + 1}`);
    const key = typed(value, from[i] ?? null, column);
    const own = `c.${nameIn(child, name)}`;
    const equal = `(${key}) COLLATE ${column.collation} = ${own}`;
    const isNumeric = !['TEXT', 'BLOB'].includes(columnOf(child, name)?.affinity ?? 'INTEGER');
    if (!onlyOwn || column.affinity !== 'TEXT' || !isNumeric) return [equal];
    return [equal, `(${value}) COLLATE ${column.collation} = CAST(${own} AS TEXT)`];
  });
  return { sql: terms.join(' AND '), bindings: bound.map(({ binding }) => binding) };
}

/** A value with its column's affinity; one that does not fit that has none, or it would be another one. */
function withAffinity(sql: string, value: SqlValue, { affinity }: Column): string {
  const isText = typeof value === 'string' || value instanceof RawText;
  const isNumber = typeof value === 'bigint' || typeof value === 'number';
  if (affinity === 'BLOB' || !(affinity === 'TEXT' ? isText : isNumber)) return sql;
  return `CAST(${sql} AS ${affinity === 'INTEGER' ? 'NUMERIC' : affinity})`;
}

/** Whether a reference table has a row with these values, which SQLite looks for as its columns would store them. */
function hasParent(port: SqlitePort, { parentTable, parentColumns }: KeyToCopy, values: Image): boolean {
  const bound = values.map(bindExact);
  const terms = parentColumns.map((name, i) => `${nameIn(parentTable, name)} = ${bound[i]?.sql ?? 'NULL'}`);
  const sql = `SELECT 1 FROM ${quoteName(parentTable.name)} WHERE ${terms.join(' AND ')} LIMIT 1`;
  return port.query(sql, ...bound.map(({ binding }) => binding)).rows.length > 0;
}

// --- What is done ------------------------------------------------------------------------------------------------

/** What they are changed under. */
export function referrerLocks({ referrers }: Taken, schema: Schema): Lock[] {
  return [...Map.groupBy(referrers, ({ key }) => key)].flatMap(([{ child, columns }, own]) => {
    const tokens = [...new Set(own.map(({ token }) => token))];
    const reaches = reachOf(schema, child, ['DELETE', 'UPDATE'], columns.map(asciiLower).sort());
    return writtenLocks(child, reaches, tokens, schema);
  });
}

/** Lower-case names of tables whose rows may move to other partitions. */
export function movedReferrers({ referrers }: Taken, schema: Schema): ReadonlySet<string> {
  return movedByKeys(new Set(referrers.map(({ key }) => key)), schema);
}

/**
 * Does what the foreign keys say, as a statement does: triggers fire, and further foreign keys act. The copies are as they will be.
 *
 * @throws SqliteError of a constraint that a row then violates
 */
export function actOnReferrers(port: SqlitePort, { referrers }: Taken): void {
  for (const { key, to, layout, image } of referrers) {
    const row = readRow(port, layout, image);
    if (row === null || !sameValues(referringIn(key, layout, row), referringIn(key, layout, image))) continue;
    changeReferring(port, key.child, { layout, row }, key, to);
  }
}

/**
 * Whether rows still refer to what is gone, when all statements have run. It may yet come right in a later wave. `changes`: all that was
 * changed here: a statement that meets rows whose parent is gone may make another such row in their place unnoticed, since SQLite counts them.
 */
export function isReferred(
  { port, schema }: Replica,
  { losses }: Taken,
  changes: readonly Change[],
): boolean {
  if (losses.length === 0) return false;
  const left = losses.some(({ key, lost, wasReferred }) => {
    const restricts = actionOf(key, lost.to) === 'RESTRICT';
    return wasReferred && (restricts || !hasParent(port, key, lost.from)) && refersTo(port, key, lost.from);
  });
  return left || isOrphaned(port, schema, changes);
}

/** Whether a row that was changed lacks a parent in a reference table. */
function isOrphaned(port: SqlitePort, schema: Schema, changes: readonly Change[]): boolean {
  const layouts = readLayouts(port);
  const keys = new Map<TableId, readonly KeyToCopy[]>();
  const seen = new Set<string>();
  return changes.some((change) => {
    const { tableId, after } = change;
    const child = schema.stored.get(tableId);
    if (after === null || child === undefined) return false;
    const own = keys.get(tableId) ?? keysToCopies(schema, child);
    keys.set(tableId, own);
    const layout = layoutOf(layouts, change);
    const where = keyText(layout, after);
    if (own.length === 0 || seen.has(where)) return false;
    seen.add(where);
    // As it is now: it may have been changed again, or have left.
    const row = readRow(port, layout, after);
    return row !== null && own.some((key) => lacksParent(port, key, referringIn(key, layout, row)));
  });
}

function lacksParent(port: SqlitePort, key: KeyToCopy, values: Image): boolean {
  return !values.includes(null) && !hasParent(port, key, values);
}

/** What a row refers by. No generated column: those are refused (core/sql/analysis/reach.ts). */
function referringIn({ columns }: KeyToCopy, layout: Layout, row: Image): Image {
  return valuesOf(layout, columns, row);
}
