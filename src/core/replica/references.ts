import { asciiLower } from '../../base/ascii.ts';
import { present } from '../../base/assert.ts';
import type { Token } from '../../base/brand.ts';
import { AtollError } from '../../protocol/error.ts';
import type { Change, Image } from '../log/commit.ts';
import { encodeValues, latin1 } from '../log/encoding.ts';
import { type Layouts, layoutOf } from '../log/layout.ts';
import type { Schema } from '../schema/catalogue.ts';
import { tokenOfKey } from '../schema/partition-key.ts';
import { keyColumns } from '../schema/placement.ts';
import type { ReferenceIndex } from '../schema/reference-index.ts';
import type { Table } from '../schema/table.ts';
import { bindExact, selectExact } from '../sqlite/exact.ts';
import type { PortValue, SqlitePort } from '../sqlite/port.ts';
import { quoteName } from '../sqlite/quote.ts';
import { actionOf, changesRows } from './acting-key.ts';
import type { Escape } from './escapes.ts';
import {
  actionEscape,
  type KeyChange,
  keyChangeEscape,
  keyChangesOf,
  storedKey,
  valuesText,
} from './key-changes.ts';
import { entryChanges } from './unique-entries.ts';

/** What follows for other partitions, and later waves, from what a statement has changed here. */
export interface Consequences {
  readonly escaped: readonly Escape[];
  /** A foreign key over partitions that does not hold as far as is known here. */
  readonly violated: boolean;
}

export interface Changed {
  /** What statements have changed since the last wave, rows that do not belong here included. */
  readonly fresh: readonly Change[];
  /** All that the transaction has changed here. */
  readonly all: readonly Change[];
  /** Keys whose rows were changed elsewhere. */
  readonly keys: readonly KeyChange[];
}

export function consequencesOf(
  { port, schema }: { readonly port: SqlitePort; readonly schema: Schema },
  { fresh, all, keys }: Changed,
  layouts: Layouts,
): Consequences {
  const entries = entryChanges(fresh, layouts, schema);
  if (schema.catalogue.references === undefined) return { escaped: entries, violated: false };
  const changed = keyChangesOf(fresh, layouts, schema);
  // What an index knows is told to it even if it is here, where its entry is locked before anybody looks who refers to it.
  const isHere = ({ index }: KeyChange) => index.unique === null;
  const here = [...keys, ...changed.filter(isHere)];
  const created = createdEntries(all, schema);
  return {
    escaped: [
      ...entries,
      ...changed.filter((each) => !isHere(each)).map(keyChangeEscape),
      ...here.flatMap((change) => actionsOf(port, schema, change, created)),
    ],
    violated: isViolated(port, schema, all, layouts) || isRestricted(port, schema, all, layouts, created),
  };
}

/** Entries that the transaction has made, by {@link entryText}. */
function createdEntries(all: readonly Change[], schema: Schema): ReadonlySet<string> {
  const made = new Set<string>();
  const tables = new Set(schema.catalogue.references?.map(({ table }) => table.id));
  for (const { tableId, before, after } of all) {
    if (!tables.has(tableId)) continue;
    if (before !== null) made.delete(entryText(tableId, before));
    if (after !== null) made.add(entryText(tableId, after));
  }
  return made;
}

function entryText(tableId: number, entry: Image): string {
  return `${tableId}:${latin1(encodeValues(entry))}`;
}

/** What is to be done with the rows that refer to a key. Those that came to do so in this transaction must find another parent. */
function actionsOf(
  port: SqlitePort,
  schema: Schema,
  change: KeyChange,
  created: ReadonlySet<string>,
): Escape[] {
  const { index, to } = change;
  if (!changesRows(actionOf(index, to))) return [];
  return entriesOf(port, change, created).map((entry) =>
    actionEscape({ index, entry, to }, tokenOfRow(index, childOf(schema, index), entry)),
  );
}

/** Entries of a key that the transaction has not made. */
function entriesOf(port: SqlitePort, change: KeyChange, created: ReadonlySet<string>): Image[] {
  const { table } = change.index;
  const { where, bindings } = whereKey(change.index, storedKey(change));
  const names = table.columns.map(({ name }) => name);
  const tail = `FROM ${table.name} WHERE ${where} ORDER BY ${names.join(', ')}`;
  return selectExact(port, names, tail, bindings).filter((entry) => !created.has(entryText(table.id, entry)));
}

/** Whether a parent with RESTRICT has gone, if another one has come in its place, and rows still refer to it. */
function isRestricted(
  port: SqlitePort,
  schema: Schema,
  all: readonly Change[],
  layouts: Layouts,
  created: ReadonlySet<string>,
): boolean {
  return keyChangesOf(all, layouts, schema).some(
    (change) =>
      change.index.unique === null &&
      actionOf(change.index, change.to) === 'RESTRICT' &&
      entriesOf(port, change, created).length > 0,
  );
}

/** Of the row that an entry is about. */
export function tokenOfRow({ row, columns }: ReferenceIndex, child: Table, entry: Image): Token {
  const key = child.placement.kind === 'partitioned' ? child.placement.key : [];
  const names = row.map(asciiLower);
  return tokenOfKey(
    key.map((name) => entry[columns.length + names.indexOf(asciiLower(name))] ?? null),
    keyColumns(child),
  );
}

export function childOf(schema: Schema, { of, table }: ReferenceIndex): Table {
  return present(schema.stored.get(of), () => `${table.name} is of a table`);
}

/**
 * Whether an entry here lacks its parent: one that the transaction has made, or one of a key that it has taken away. It may
 * yet come right in a later wave, which then changes something here.
 */
export function isViolated(
  port: SqlitePort,
  schema: Schema,
  all: readonly Change[],
  layouts: Layouts,
): boolean {
  const suspects = new Map<string, { index: ReferenceIndex; key: Image }>();
  const suspect = (index: ReferenceIndex, key: Image): void => {
    if (!key.includes(null)) suspects.set(`${index.table.id}:${valuesText(index, key)}`, { index, key });
  };
  const { references = [] } = schema.catalogue;
  for (const change of all) {
    const { tableId, before, after } = change;
    for (const index of references) {
      const width = index.columns.length;
      if (index.table.id === tableId && after !== null) suspect(index, after.slice(0, width));
      if (before === null || (index.unique ?? index.parent) !== tableId) continue;
      const names = layoutOf(layouts, change).columns.map(asciiLower);
      const places = authorityColumns(schema, index).map((name) => names.indexOf(asciiLower(name)));
      const keyIn = (image: Image): Image => places.map((place) => image[place] ?? null);
      if (after !== null && valuesText(index, keyIn(before)) === valuesText(index, keyIn(after))) continue;
      suspect(index, keyIn(before));
    }
  }
  return [...suspects.values()].some(({ index, key }) => lacksParent(port, schema, index, key));
}

function lacksParent(port: SqlitePort, schema: Schema, index: ReferenceIndex, key: Image): boolean {
  const { where, bindings } = whereKey(index, key);
  const { rows } = port.query(
    `SELECT 1 FROM ${index.table.name} AS e WHERE ${where} AND NOT ${hasParent(schema, index)} LIMIT 1`,
    ...bindings,
  );
  return rows.length > 0;
}

/** The columns that hold each part of the key, in the table that knows whether there is a parent. */
function authorityColumns(schema: Schema, { unique, parentColumns }: ReferenceIndex): readonly string[] {
  if (unique === null) return parentColumns;
  const index = present(
    schema.catalogue.uniques?.find(({ table }) => table.id === unique),
    () => `table ${unique} is an index`,
  );
  const names = index.columns.map(asciiLower);
  return parentColumns.map((name) => `v${names.indexOf(asciiLower(name))}`);
}

/** Of the entry `e`. The parent's columns decide how it is compared. */
function hasParent(schema: Schema, index: ReferenceIndex): string {
  const table = present(
    schema.stored.get(index.unique ?? index.parent),
    () => `${index.table.name} is of a parent`,
  );
  const columns = authorityColumns(schema, index);
  const equal = columns.map((name, i) => `p.${quoteName(name)} = e.v${i}`).join(' AND ');
  return `EXISTS (SELECT 1 FROM ${quoteName(table.name)} AS p WHERE ${equal})`;
}

function whereKey(index: ReferenceIndex, key: Image): { where: string; bindings: PortValue[] } {
  const bound = index.columns.map((_, i) => bindExact(key[i] ?? null));
  return {
    where: bound.map(({ sql }, i) => `v${i} = ${sql}`).join(' AND '),
    bindings: bound.map(({ binding }) => binding),
  };
}

/**
 * Whether all entries that are here have their parents, which are here too.
 *
 * @throws AtollError `constraint`
 */
export function checkReferences(port: SqlitePort, schema: Schema): void {
  for (const index of schema.catalogue.references ?? []) {
    const { rows } = port.query(
      `SELECT 1 FROM ${index.table.name} AS e WHERE NOT ${hasParent(schema, index)} LIMIT 1`,
    );
    if (rows.length === 0) continue;
    const child = childOf(schema, index).name;
    const parent = schema.stored.get(index.parent)?.name ?? '';
    throw new AtollError('constraint', `FOREIGN KEY of ${child}: a row has no parent in ${parent}`, 'none', {
      table: child,
      parent,
    });
  }
}
