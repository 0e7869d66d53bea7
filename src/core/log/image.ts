import { assert, present } from '../../base/assert.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import { selectExact, selectExactBounded } from '../sqlite/exact.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import type { Change } from './commit.ts';
import { type Layout, type Layouts, layoutOf } from './layout.ts';

/** The kind of an image, as `image % 4` in the log; `image / 4` is its layout. Part of the format on disk. */
export const CREATE_AFTER = 0;
export const DELETE_BEFORE = 1;
export const UPDATE_BEFORE = 2;
export const UPDATE_AFTER = 3;

/** Images `first … last` of the log; none if `last < first`. */
export interface SeqRange {
  readonly first: number;
  readonly last: number;
}

/** Values of one page; a single change larger than this is a page by itself (chosen: far below 128 MB). */
export const PAGE_BYTES = 1024 * 1024;

/** Changes of a range, whole: only for ranges known to be small. */
export function readChanges(port: SqlitePort, layouts: Layouts, range: SeqRange): Change[] {
  return [...changePages(port, layouts, range)].flat();
}

/**
 * Changes of a range in the order in which they were captured, page by page. Each page is read when it is
 * asked for, by its place in the log: what is done between may use the database and add to the log.
 */
export function* changePages(
  port: SqlitePort,
  layouts: Layouts,
  { first, last }: SeqRange,
  bytesMax = PAGE_BYTES,
): Generator<Change[]> {
  for (let from: number | null = first; from !== null && from <= last; ) {
    const page = changePage(port, layouts, { first: from, last }, bytesMax);
    yield page.changes;
    from = page.next;
  }
}

/** Changes at one end of a range. */
export interface ChangePage {
  readonly changes: Change[];
  /** Where each change is in the log: its first image. */
  readonly seqs: readonly number[];
  /** The image at which the next page starts; null at the range's end. */
  readonly next: number | null;
}

/** The first changes of a range, of about `bytesMax`, but one at least. */
export function changePage(
  port: SqlitePort,
  layouts: Layouts,
  range: SeqRange,
  bytesMax: number,
): ChangePage {
  const { rows, truncated } = readImages(port, layouts, range, 'ASC', bytesMax);
  // The two images of an update stay together.
  if (truncated && kindOf(rows.at(-1)) === UPDATE_BEFORE) rows.pop();
  const next = truncated ? seqOf(rows.at(-1)) + 1 : null;
  return { ...changesOf(layouts, rows), next: next !== null && next <= range.last ? next : null };
}

/** Where the change begins that `ordinal` others of the range come before; null: it has no more than those. */
export function seqOfChange(port: SqlitePort, { first, last }: SeqRange, ordinal: number): number | null {
  const sql = `SELECT seq FROM _atoll_log ${FIRST_IMAGES} ORDER BY seq LIMIT 1 OFFSET ?`;
  const row = port.query(sql, first, last, ordinal).rows[0];
  return row === undefined ? null : Number(row[0]);
}

export function countChanges(port: SqlitePort, { first, last }: SeqRange): number {
  const row = port.query(`SELECT count(*) FROM _atoll_log ${FIRST_IMAGES}`, first, last).rows[0];
  return Number(row?.[0]);
}

/** One image of each change. */
const FIRST_IMAGES = `WHERE seq BETWEEN ? AND ? AND image >= 0 AND image % 4 <> ${UPDATE_AFTER}`;

/** As {@link changePages}, the newest change first; with `only`, those of these layouts. */
export function* changePagesBackwards(
  port: SqlitePort,
  layouts: Layouts,
  { first, last }: SeqRange,
  bytesMax = PAGE_BYTES,
  only: ReadonlySet<number> | null = null,
): Generator<Change[]> {
  for (let to: number | null = last; to !== null && to >= first; ) {
    const page = changePageBackwards(port, layouts, { first, last: to }, bytesMax, only);
    yield page.changes;
    to = page.next;
  }
}

/** The last changes of a range, the newest first; with `only`, those of these layouts. */
export function changePageBackwards(
  port: SqlitePort,
  layouts: Layouts,
  range: SeqRange,
  bytesMax: number,
  only: ReadonlySet<number> | null = null,
): ChangePage {
  const { rows, truncated } = readImages(
    port,
    layouts,
    range,
    'DESC',
    bytesMax,
    only === null ? undefined : imagesOf(only),
  );
  if (truncated && kindOf(rows.at(-1)) === UPDATE_AFTER) rows.pop();
  const next = truncated ? seqOf(rows.at(-1)) - 1 : null;
  const { changes, seqs } = changesOf(layouts, rows.reverse());
  return {
    changes: changes.reverse(),
    seqs: seqs.reverse(),
    next: next !== null && next >= range.first ? next : null,
  };
}

/** SQL's condition for images of these layouts, witnesses left out. */
export function imagesOf(layouts: ReadonlySet<number>): string {
  return `AND image >= 0 AND image / 4 IN (${[...layouts].join(', ')})`;
}

/** Rows of the log: seq, image, slots. At least two if there are as many, whatever their size. */
function readImages(
  port: SqlitePort,
  layouts: Layouts,
  { first, last }: SeqRange,
  order: 'ASC' | 'DESC',
  bytesMax: number,
  filter = 'AND image >= 0',
): { rows: SqlValue[][]; truncated: boolean } {
  const columns = ['seq', 'image', ...slotsOf(layouts)];
  const tail = `FROM _atoll_log WHERE seq BETWEEN ? AND ? ${filter} ORDER BY seq ${order}`;
  const page = selectExactBounded(port, columns, tail, [first, last], bytesMax);
  if (!page.truncated || page.rows.length > 1) return page;
  const rows = selectExact(port, columns, `${tail} LIMIT 2`, [first, last]);
  return { rows, truncated: rows.length === 2 };
}

function slotsOf(layouts: Layouts): string[] {
  let width = 0;
  for (const layout of layouts.values()) width = Math.max(width, layout.columns.length);
  return Array.from({ length: width }, (_, slot) => `c${slot}`);
}

/** An image of a commit being made, or what a witness saw (suspect.ts). */
export interface RawImage {
  readonly seq: number;
  readonly layout: Layout;
  readonly kind:
    | typeof CREATE_AFTER
    | typeof DELETE_BEFORE
    | typeof UPDATE_BEFORE
    | typeof UPDATE_AFTER
    | typeof WITNESS;
  readonly values: readonly SqlValue[];
}

/** Not part of the format on disk: never in a finished commit. */
export const WITNESS = -1;

/** `image` of a witness. */
export function witnessImage(layout: number): number {
  return -layout;
}

/** Images one by one, witnesses among them. */
export function* rawImages(
  port: SqlitePort,
  layouts: Layouts,
  { first, last }: SeqRange,
): Generator<RawImage> {
  for (let from = first; from <= last; ) {
    const { rows, truncated } = readImages(port, layouts, { first: from, last }, 'ASC', PAGE_BYTES, '');
    for (const row of rows) {
      const image = Number(row[1]);
      const number = image < 0 ? -image : image >> 2;
      const layout = layoutOf(layouts, { layout: number });
      const kind = image < 0 ? WITNESS : ((image % 4) as 0 | 1 | 2 | 3);
      yield { seq: seqOf(row), layout, kind, values: asStored(layout, row) };
    }
    if (!truncated) return;
    from = seqOf(rows.at(-1)) + 1;
  }
}

/** The values of the image at `seq`. */
export function readImage(port: SqlitePort, layout: Layout, seq: number): SqlValue[] {
  const slots = layout.columns.map((_, slot) => `c${slot}`);
  const rows = selectExact(port, ['seq', 'image', ...slots], 'FROM _atoll_log WHERE seq = ?', [seq]);
  return asStored(
    layout,
    present(rows[0], () => `no image ${seq}`),
  );
}

function seqOf(row: readonly SqlValue[] | undefined): number {
  return Number(row?.[0]);
}

function kindOf(row: readonly SqlValue[] | undefined): number {
  return Number(row?.[1]) % 4;
}

/** Joins images to changes: an update is two images, its before-image first. */
function changesOf(layouts: Layouts, rows: readonly SqlValue[][]): { changes: Change[]; seqs: number[] } {
  const changes: Change[] = [];
  const seqs: number[] = [];
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] ?? [];
    seqs.push(seqOf(row));
    const image = Number(row[1]);
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
      assert(Number(next?.[1]) === image + 1, 'a before-image without its after-image');
      const after = asStored(layout, next ?? []);
      changes.push({ type: 'update', ...common, before: values, after });
    }
  }
  return { changes, seqs };
}

/** The image in a row of the log, as SQLite stored it in its table. */
function asStored(layout: Layout, row: readonly SqlValue[]): SqlValue[] {
  const values = row.slice(2, 2 + layout.columns.length);
  for (const index of layout.realColumns) if (values[index] === 0) values[index] = 0;
  return values;
}
