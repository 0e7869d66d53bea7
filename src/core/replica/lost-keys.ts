import { asciiLower } from '../../base/ascii.ts';
import type { Change, Image } from '../log/commit.ts';
import { keyText, type Layout, type Layouts, layoutOf } from '../log/layout.ts';

/** A row had values in some columns before changes, and has them no more. */
export interface LostKey {
  /** The row as it was before them. */
  readonly row: Image;
  readonly layout: Layout;
  readonly from: Image;
  /** Null: the row is deleted. */
  readonly to: Image | null;
}

interface Journey {
  /** What the row began with; null: it was not there. */
  readonly first: Omit<LostKey, 'to'> | null;
  readonly last: Image;
}

/**
 * What changes of one table's rows take away of the keys in `columns`, with each row followed through all of its changes. A row that is
 * replaced is deleted, whatever comes in its place; a key with a NULL is none.
 */
export function lostKeys(
  columns: readonly string[],
  isSame: (a: Image, b: Image) => boolean,
  changes: readonly Change[],
  layouts: Layouts,
): LostKey[] {
  const lost: LostKey[] = [];
  /** By where a row is now. */
  const rows = new Map<string, Journey>();
  for (const change of changes) {
    const layout = layoutOf(layouts, change);
    const { before, after } = change;
    let first: Journey['first'] = null;
    if (before !== null) {
      const key = keyText(layout, before);
      const known = rows.get(key);
      rows.delete(key);
      first =
        known === undefined ? { row: before, layout, from: valuesOf(columns, layout, before) } : known.first;
    }
    if (after !== null) rows.set(keyText(layout, after), { first, last: valuesOf(columns, layout, after) });
    else if (first !== null) lost.push({ ...first, to: null });
  }
  for (const { first, last } of rows.values())
    if (first !== null && !isSame(first.from, last)) lost.push({ ...first, to: last });
  return lost.filter(({ from }) => !from.includes(null));
}

function valuesOf(columns: readonly string[], layout: Layout, image: Image): Image {
  const names = layout.columns.map(asciiLower);
  return columns.map((name) => image[names.indexOf(asciiLower(name))] ?? null);
}
