import { assert, present } from '../../base/assert.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import { selectExact } from '../sqlite/exact.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import type { Change } from './commit.ts';
import type { Layout, Layouts } from './layout.ts';

/** The kind of an image, as `image % 4` in the log; `image / 4` is its layout. Part of the format on disk. */
export const CREATE_AFTER = 0;
export const DELETE_BEFORE = 1;
export const UPDATE_BEFORE = 2;
export const UPDATE_AFTER = 3;

/** Changes of the images `firstSeq … lastSeq`, in the order in which they were captured. */
export function readChangesBetween(
  port: SqlitePort,
  layouts: Layouts,
  firstSeq: number,
  lastSeq: number,
): Change[] {
  let width = 0;
  for (const layout of layouts.values()) width = Math.max(width, layout.columns.length);
  const slots = Array.from({ length: width }, (_, slot) => `c${slot}`);
  const rows = selectExact(
    port,
    ['image', ...slots],
    'FROM _atoll_log WHERE seq BETWEEN ? AND ? ORDER BY seq',
    [firstSeq, lastSeq],
  );
  return changesOf(layouts, rows);
}

/** Joins images to changes: an update is two images, its before-image first. */
function changesOf(layouts: Layouts, rows: readonly SqlValue[][]): Change[] {
  const changes: Change[] = [];
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] ?? [];
    const image = Number(row[0]);
    const kind = image % 4;
    const number = (image - kind) / 4;
    const layout = present(layouts.get(number), () => `no layout ${number}`);
    const { tableId } = layout;
    const values = asStored(layout, row);
    const common = { tableId, layout: number };
    if (kind === CREATE_AFTER) changes.push({ type: 'create', ...common, before: null, after: values });
    else if (kind === DELETE_BEFORE) changes.push({ type: 'delete', ...common, before: values, after: null });
    else {
      assert(kind === UPDATE_BEFORE, 'an after-image without its before-image');
      const next = rows[++i];
      assert(Number(next?.[0]) === image + 1, 'a before-image without its after-image');
      const after = asStored(layout, next ?? []);
      changes.push({ type: 'update', ...common, before: values, after });
    }
  }
  return changes;
}

/** The image in a row of the log, as SQLite stored it in its table. */
function asStored(layout: Layout, row: readonly SqlValue[]): SqlValue[] {
  const values = row.slice(1, 1 + layout.columns.length);
  for (const index of layout.realColumns) if (values[index] === 0) values[index] = 0;
  return values;
}
