import type { Change, Image } from '../log/commit.ts';
import { latin1 } from '../log/encoding.ts';
import { keyText, type Layouts, layoutOf } from '../log/layout.ts';
import { valuesOf } from '../log/row-values.ts';
import { encodeKey, type KeyColumn } from '../schema/partition-key.ts';

/** A row had values in some columns before changes, and has them no more. */
export interface LostKey {
  readonly from: Image;
  /** Null: the row is deleted. */
  readonly to: Image | null;
}

/**
 * What changes of one table's rows take away of the keys in `columns`, with each row followed through all of its changes. A row that is
 * replaced is deleted, whatever comes in its place; a key with a NULL is none. `classes`: how the columns compare.
 */
export function lostKeys(
  columns: readonly string[],
  classes: readonly KeyColumn[],
  changes: readonly Change[],
  layouts: Layouts,
): LostKey[] {
  const lost: LostKey[] = [];
  /** By where a row is now: the key that it began with (null: none), and the present one. */
  const rows = new Map<string, { readonly first: Image | null; readonly last: Image }>();
  for (const change of changes) {
    const layout = layoutOf(layouts, change);
    const { before, after } = change;
    let first: Image | null = null;
    if (before !== null) {
      const key = keyText(layout, before);
      const known = rows.get(key);
      rows.delete(key);
      first = known === undefined ? valuesOf(layout, columns, before) : known.first;
    }
    if (after !== null) rows.set(keyText(layout, after), { first, last: valuesOf(layout, columns, after) });
    else if (first !== null) lost.push({ from: first, to: null });
  }
  const text = (key: Image) => latin1(encodeKey(key, classes));
  for (const { first, last } of rows.values())
    if (first !== null && text(first) !== text(last)) lost.push({ from: first, to: last });
  return lost.filter(({ from }) => !from.includes(null));
}
