import { asciiLower } from '../../base/ascii.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import { AtollError } from '../../protocol/error.ts';
import type { Change, Image } from '../log/commit.ts';
import { encodeValues, latin1 } from '../log/encoding.ts';
import { type Layout, type Layouts, layoutOf } from '../log/layout.ts';
import type { Schema } from '../schema/catalogue.ts';
import { tokenOfKey } from '../schema/partition-key.ts';
import { keyColumns } from '../schema/placement.ts';
import type { UniqueIndex } from '../schema/unique-index.ts';
import { SqliteError } from '../sqlite/port.ts';
import type { Escape } from './escapes.ts';

/**
 * What changes of rows do to the indexes that keep UNIQUE over partitions: entries that go, then entries that come, each with
 * the token of its values. Their layouts are for the receiver to give.
 */
export function entryChanges(changes: readonly Change[], layouts: Layouts, schema: Schema): Escape[] {
  if (schema.catalogue.uniques === undefined) return [];
  /** By the whole entry: one that goes and comes again stays. */
  const counts = new Map<string, { index: UniqueIndex; entry: Image; count: number }>();
  const note = (index: UniqueIndex, layout: Layout, image: Image | null, step: 1 | -1): void => {
    const entry = image === null ? null : entryOf(index, layout, image);
    if (entry === null) return;
    const key = `${index.table.id}:${latin1(encodeValues(entry))}`;
    const known = counts.get(key);
    if (known === undefined) counts.set(key, { index, entry, count: step });
    else known.count += step;
  };
  for (const change of changes) {
    for (const index of schema.uniquesOf({ id: change.tableId })) {
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

/** The entry of a row; null: SQLite takes NULLs for different from each other, so such a row is in nobody's way. */
export function entryOf({ columns, row }: UniqueIndex, layout: Layout, image: Image): Image | null {
  const names = layout.columns.map(asciiLower);
  const valueIn = (name: string): SqlValue => image[names.indexOf(asciiLower(name))] ?? null;
  const values = columns.map(valueIn);
  return values.includes(null) ? null : [...values, ...row.map(valueIn)];
}

export function entryChange(
  { table, columns }: UniqueIndex,
  entry: Image,
  type: 'create' | 'delete',
): Escape {
  const token = tokenOfKey(entry.slice(0, columns.length), keyColumns(table));
  const [before, after] = type === 'create' ? [null, entry] : [entry, null];
  return { token, change: { type, tableId: table.id, layout: 0, before, after } };
}

/** The error of a value that is there already, as SQLite says it of the table that has the constraint. */
export function uniqueViolation(schema: Schema, error: unknown): unknown {
  if (!(error instanceof SqliteError) || error.kind !== 'constraint') return error;
  const index = schema.catalogue.uniques?.find(({ table }) => error.message.includes(`${table.name}.`));
  const owner = schema.catalogue.tables.find(({ id }) => id === index?.of);
  if (index === undefined || owner === undefined) return error;
  const columns = index.columns.map((column) => `${owner.name}.${column}`).join(', ');
  return new AtollError('constraint', `UNIQUE constraint failed: ${columns}`, 'none', {
    sqlite: 'SQLITE_CONSTRAINT_UNIQUE',
  });
}
