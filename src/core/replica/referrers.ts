import { asciiLower } from '../../base/ascii.ts';
import { present } from '../../base/assert.ts';
import type { TableId, Token } from '../../base/brand.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import { AtollError } from '../../protocol/error.ts';
import type { Change, Image } from '../log/commit.ts';
import { encodeValues, latin1, sameValues } from '../log/encoding.ts';
import { type Layout, type Layouts, readLayouts } from '../log/layout.ts';
import { readRow, whereKey } from '../log/rows.ts';
import type { Schema } from '../schema/catalogue.ts';
import { encodeKey, tokenOfKey } from '../schema/partition-key.ts';
import { keyColumns, parentColumnsOf } from '../schema/placement.ts';
import type { Table } from '../schema/table.ts';
import { reachOf } from '../sql/analysis/reach.ts';
import { selectExact } from '../sqlite/exact.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { quoteName } from '../sqlite/quote.ts';
import { writtenLocks } from '../transaction/footprint.ts';
import type { Lock } from '../transaction/lock.ts';
import { type ActingKey, actionOf, changeReferring, changesRows } from './acting-key.ts';
import { type LostKey, lostKeys } from './lost-keys.ts';
import { layoutOfTable } from './reference-actions.ts';
import type { Replica } from './replica.ts';

/**
 * Rows of partitioned tables that refer to rows of reference tables. When these go, or get other keys, each partition does with
 * its own rows what their foreign keys say. SQLite has both sides here, but takes changes of copies as images, during which foreign keys are
 * silent (core/log/hush.ts).
 */

/** A foreign key of a partitioned table to a reference table. */
interface ReferringKey extends ActingKey {
  readonly child: Table;
  readonly parent: Table;
  readonly parentColumns: readonly string[];
}

/** A row here that refers to a key that is lost. */
export interface Referrer {
  readonly key: ReferringKey;
  /** What has become of the key; null: its row is deleted. */
  readonly to: Image | null;
  readonly layout: Layout;
  /** Its own key and what it refers by; the rest is not read. */
  readonly image: Image;
  readonly token: Token;
}

/** Rows that forbid a change and are looked at again when all statements have run (chosen: more must go in requests before). */
const JUDGED_MAX = 10_000;

/** Whether keys go that partitioned tables may refer to, so that every partition has a part. */
export function takesKeys(schema: Schema, changes: readonly Change[], layouts: Layouts): boolean {
  return lostBy(schema, changes, layouts).some(({ lost }) => lost.length > 0);
}

/** Who refers here to what the changes of copies take away: before they are made. */
export function findReferrers({ port, schema }: Replica, changes: readonly Change[]): Referrer[] {
  const layouts = readLayouts(port);
  return lostBy(schema, changes, layouts).flatMap(({ key, lost }) =>
    lost.flatMap((each) => referrersOf(port, key, layoutOfTable(layouts, key.child), each)),
  );
}

function lostBy(
  schema: Schema,
  changes: readonly Change[],
  layouts: Layouts,
): { readonly key: ReferringKey; readonly lost: readonly LostKey[] }[] {
  return [...Map.groupBy(changes, ({ tableId }) => tableId)].flatMap(([table, own]) =>
    keysTo(schema, table).map((key) => {
      const text = (values: Image) => keyText(key, values);
      const isSame = (a: Image, b: Image) => text(a) === text(b);
      return { key, lost: lostKeys(key.parentColumns, isSame, own, layouts) };
    }),
  );
}

function keysTo(schema: Schema, id: TableId): ReferringKey[] {
  const parent = schema.stored.get(id);
  if (parent?.placement.kind !== 'reference') return [];
  return schema.catalogue.tables.flatMap((child) =>
    child.placement.kind === 'reference'
      ? []
      : child.foreignKeys
          .filter((foreignKey) => asciiLower(foreignKey.parent) === asciiLower(parent.name))
          .map((foreignKey) => ({
            ...foreignKey,
            child,
            parent,
            parentColumns: parentColumnsOf(foreignKey, parent),
          })),
  );
}

/** Equal for what the parent's columns call equal. */
function keyText({ parent, parentColumns }: ReferringKey, values: Image): string {
  if (values.includes(null)) return latin1(encodeValues(values));
  const classes = parentColumns.map((name) => present(columnOf(parent, name), () => `a column ${name}`));
  return latin1(encodeKey(values, classes));
}

function columnOf({ columns }: Table, name: string) {
  return columns.find((column) => asciiLower(column.name) === asciiLower(name));
}

/** By a join, which compares as the foreign key does. */
function referrersOf(port: SqlitePort, key: ReferringKey, layout: Layout, lost: LostKey): Referrer[] {
  const { child, parent } = key;
  const names = [
    ...new Set([...layout.key.map((i) => layout.columns[i] ?? ''), ...key.columns, ...placing(child)]),
  ];
  const columns = names.map((name) => `c.${nameIn(child, name)}`);
  const { sql, bindings } = whereKey(lost.layout, lost.row, 0, 'p');
  const order = layout.key.map((i) => `c.${nameIn(child, layout.columns[i] ?? '')}`).join(', ');
  const acts = changesRows(actionOf(key, lost.to));
  const rows = selectExact(
    port,
    columns,
    `FROM ${quoteName(parent.name)} AS p CROSS JOIN ${quoteName(child.name)} AS c ON ${joined(key)} ${sql} ORDER BY ${order}` +
      (acts ? '' : ` LIMIT ${JUDGED_MAX + 1}`),
    bindings,
  );
  if (!acts && rows.length > JUDGED_MAX) throw tooMany(key);
  const places = layout.columns.map((name) =>
    names.findIndex((each) => asciiLower(each) === asciiLower(name)),
  );
  const placed = placing(child).map((name) => names.indexOf(name));
  return rows.map((row) => ({
    key,
    to: lost.to,
    layout,
    image: places.map((place): SqlValue => row[place] ?? null),
    token: tokenOfKey(
      placed.map((place) => row[place] ?? null),
      keyColumns(child),
    ),
  }));
}

function placing({ placement }: Table): readonly string[] {
  return placement.kind === 'partitioned' ? placement.key : [];
}

/** A hidden rowid stays bare: quoted it might be taken for text. */
function nameIn(table: Table, name: string): string {
  return columnOf(table, name) === undefined ? name : quoteName(name);
}

/** The parent comes first: its collation and affinity count. */
function joined({ columns, parentColumns, child, parent }: ReferringKey): string {
  return columns
    .map((name, i) => `p.${nameIn(parent, parentColumns[i] ?? '')} = c.${nameIn(child, name)}`)
    .join(' AND ');
}

function tooMany({ child, parent }: ReferringKey): AtollError {
  return new AtollError(
    'constraint',
    `FOREIGN KEY constraint failed: more than ${JUDGED_MAX} rows of "${child.name}" refer to a row of "${parent.name}": delete or change them in requests before`,
    'none',
    { sqlite: 'SQLITE_CONSTRAINT_FOREIGNKEY' },
  );
}

/** What they are changed or judged under. */
export function referrerLocks(referrers: readonly Referrer[], schema: Schema): Lock[] {
  return [...Map.groupBy(referrers, ({ key }) => key)].flatMap(([key, own]) => {
    const { child } = key;
    const tokens = [...new Set(own.map(({ token }) => token))];
    if (!own.some(({ to }) => changesRows(actionOf(key, to))))
      return tokens.map((token): Lock => ({ table: child.id, token, exclusive: false }));
    return writtenLocks(child, reachesOf(key, schema), tokens, schema);
  });
}

function reachesOf(key: ReferringKey, schema: Schema): readonly string[] {
  return reachOf(schema, key.child, ['DELETE', 'UPDATE'], key.columns.map(asciiLower).sort());
}

/** Lower-case names of tables whose rows may move to other partitions. */
export function movedReferrers(referrers: readonly Referrer[], schema: Schema): ReadonlySet<string> {
  const moved = new Set<string>();
  for (const key of new Set(referrers.map((each) => each.key))) {
    const columns = key.columns.map(asciiLower).sort();
    if (!placing(key.child).some((name) => columns.includes(asciiLower(name)))) continue;
    for (const name of [key.child.name, ...reachOf(schema, key.child, ['UPDATE'], columns, 'move')])
      moved.add(asciiLower(name));
  }
  return moved;
}

/**
 * Does what the foreign keys say, as a statement does: triggers fire, and further foreign keys act. The copies are as they will be.
 *
 * @throws SqliteError of a constraint that a row then violates
 */
export function actOnReferrers(port: SqlitePort, referrers: readonly Referrer[]): void {
  for (const referrer of referrers) {
    const { key, to, layout } = referrer;
    if (!changesRows(actionOf(key, to))) continue;
    const row = stillReferring(port, referrer);
    if (row !== null) changeReferring(port, key.child, { layout, row }, key, to);
  }
}

/** Whether one still refers to what is gone, when all statements have run. It may yet come right in a later wave. */
export function isReferred(port: SqlitePort, referrers: readonly Referrer[]): boolean {
  return referrers.some((referrer) => {
    if (stillReferring(port, referrer) === null) return false;
    return actionOf(referrer.key, referrer.to) === 'RESTRICT' || !hasParent(port, referrer);
  });
}

function stillReferring(port: SqlitePort, { key, layout, image }: Referrer): Image | null {
  const row = readRow(port, layout, image);
  if (row === null) return null;
  const names = layout.columns.map(asciiLower);
  const places = key.columns.map((name) => names.indexOf(asciiLower(name))).filter((place) => place >= 0);
  const referring = (of: Image) => places.map((place) => of[place] ?? null);
  return sameValues(referring(row), referring(image)) ? row : null;
}

function hasParent(port: SqlitePort, { key, layout, image }: Referrer): boolean {
  const { sql, bindings } = whereKey(layout, image, 0, 'c');
  const tables = `${quoteName(key.child.name)} AS c CROSS JOIN ${quoteName(key.parent.name)} AS p`;
  return port.query(`SELECT 1 FROM ${tables} ON ${joined(key)} ${sql} LIMIT 1`, ...bindings).rows.length > 0;
}
