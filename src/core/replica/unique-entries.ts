import { asciiLower } from '../../base/ascii.ts';
import type { Token } from '../../base/brand.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import { AtollError } from '../../protocol/error.ts';
import { encodeRow } from '../../protocol/json-value.ts';
import type { Change, Image } from '../log/commit.ts';
import { encodeValues, latin1 } from '../log/encoding.ts';
import { type Layout, type Layouts, layoutOf } from '../log/layout.ts';
import { inColumn } from '../schema/affinity.ts';
import type { Schema } from '../schema/catalogue.ts';
import { tokenOfKey } from '../schema/partition-key.ts';
import { keyColumns } from '../schema/placement.ts';
import type { ReferenceIndex } from '../schema/reference-index.ts';
import type { UniqueIndex } from '../schema/unique-index.ts';
import { bindExact } from '../sqlite/exact.ts';
import { SqliteError, type SqlitePort } from '../sqlite/port.ts';
import type { Escape } from './escapes.ts';
import type { Replica } from './replica.ts';

/** A table's index over partitions: for UNIQUE, or for a foreign key. */
type KeptIndex = UniqueIndex | ReferenceIndex;

/**
 * What changes of rows do to indexes over partitions: entries that go, then entries that come, each with the token of its
 * values. Their layouts are for the receiver to give.
 */
export function entryChanges(changes: readonly Change[], layouts: Layouts, schema: Schema): Escape[] {
  if (!schema.hasIndexes) return [];
  /** By the whole entry: one that goes and comes again stays. */
  const counts = new Map<string, { index: KeptIndex; entry: Image; count: number }>();
  const note = (index: KeptIndex, layout: Layout, image: Image | null, step: 1 | -1): void => {
    const entry = image === null ? null : entryOf(index, layout, image);
    if (entry === null) return;
    const key = `${index.table.id}:${latin1(encodeValues(entry))}`;
    const known = counts.get(key);
    if (known === undefined) counts.set(key, { index, entry, count: step });
    else known.count += step;
  };
  for (const change of changes) {
    const owner = { id: change.tableId };
    for (const index of [...schema.uniquesOf(owner), ...schema.referencesOf(owner)]) {
      const layout = layoutOf(layouts, change);
      note(index, layout, change.before, -1);
      note(index, layout, change.after, 1);
    }
  }
  const noted = [...counts.values()];
  return [
    ...noted.filter(({ count }) => count < 0).map(({ index, entry }) => entryChange(index, entry, 'delete')),
    ...noted.filter(({ count }) => count > 0).map(({ index, entry }) => entryChange(index, entry, 'create')),
  ];
}

/**
 * The entry of a row; null: SQLite takes NULLs for different from each other, so such a row is in nobody's way, and refers to
 * nobody.
 */
export function entryOf(index: KeptIndex, layout: Layout, image: Image): Image | null {
  const names = layout.columns.map(asciiLower);
  const valueIn = (name: string): SqlValue => image[names.indexOf(asciiLower(name))] ?? null;
  const own = index.columns.map(valueIn);
  if (own.includes(null)) return null;
  // A reference is compared as its parent's columns have it.
  const values = 'parent' in index ? keyOf(index, own) : own;
  return [...values, ...index.row.map(valueIn)];
}

/** A key as the columns of the parent's would store it, and the index's entries have it. */
export function keyOf({ table }: ReferenceIndex, values: Image): Image {
  return values.map((value, i) => inColumn(value, table.columns[i]?.affinity ?? 'BLOB'));
}

export function entryChange(index: KeptIndex, entry: Image, type: 'create' | 'delete'): Escape {
  const [before, after] = type === 'create' ? [null, entry] : [entry, null];
  return {
    token: tokenOfEntry(index, entry),
    change: { type, tableId: index.table.id, layout: 0, before, after },
  };
}

/** Of an entry, or of its values alone. */
export function tokenOfEntry({ table }: KeptIndex, entry: Image): Token {
  const { placement, columns } = table;
  const key = placement.kind === 'partitioned' ? placement.key : [];
  const values = key.map((name) => entry[columns.findIndex((column) => column.name === name)] ?? null);
  return tokenOfKey(values, keyColumns(table));
}

/**
 * The error of a value that is there already, as SQLite says it of the table that has the constraint. Its detail names table,
 * columns and values, where they can be told from `creates`, one of which was refused.
 */
export function uniqueViolation(
  { port, schema }: Pick<Replica, 'port' | 'schema'>,
  error: unknown,
  creates: readonly Change[] = [],
): unknown {
  if (!(error instanceof SqliteError) || error.kind !== 'constraint') return error;
  const index = schema.catalogue.uniques?.find(({ table }) => error.message.includes(`${table.name}.`));
  const owner = schema.catalogue.tables.find(({ id }) => id === index?.of);
  if (index === undefined || owner === undefined) return error;
  const columns = index.columns.map((column) => `${owner.name}.${column}`).join(', ');
  const clash = creates.find(
    ({ tableId, after }) => tableId === index.table.id && isTaken(port, index, after),
  );
  const entry = clash?.after ?? null;
  const values = entry === null ? null : valuesOf(index, entry);
  return new AtollError('constraint', `UNIQUE constraint failed: ${columns}`, 'none', {
    sqlite: 'SQLITE_CONSTRAINT_UNIQUE',
    table: owner.name,
    columns: index.columns,
    ...(values !== null && JSON.stringify(values).length <= SHOWN_MAX && { values }),
  });
}

/** Characters of values that an error shows (chosen). */
const SHOWN_MAX = 1_000;

/** An entry's indexed values, as the public API writes them. */
export function valuesOf({ columns }: UniqueIndex, entry: Image): unknown {
  return JSON.parse(encodeRow(entry.slice(0, columns.length)));
}

/** Whether another row has the entry's values. */
function isTaken(port: SqlitePort, { table, columns }: UniqueIndex, entry: Image | null): boolean {
  if (entry === null) return false;
  const bound = entry.map(bindExact);
  const terms = bound.map(
    ({ sql }, i) => `${table.columns[i]?.name} ${i < columns.length ? '=' : 'IS'} ${sql}`,
  );
  const values = terms.slice(0, columns.length).join(' AND ');
  const row = terms.slice(columns.length).join(' AND ') || '1';
  const { rows } = port.query(
    `SELECT 1 FROM ${table.name} WHERE ${values} AND NOT (${row})`,
    ...[...bound].map(({ binding }) => binding),
  );
  return rows.length > 0;
}
