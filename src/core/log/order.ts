import { assert } from '../../base/assert.ts';
import type { Change, Image } from './commit.ts';
import { sameValue, sameValues } from './encoding.ts';
import { keyText, type Layouts } from './layout.ts';

/**
 * Triggers tell the truth but in two corners, which this sets right from the changes themselves.
 *
 * - *Nested first.* A foreign-key action runs between a row's change and its AFTER triggers. If ON UPDATE
 *   comes round to the row itself (a row that is its own parent), the inner update is logged before the outer
 *   one, whose after-image is then the inner one's before-image. Read in that order it would be two rows with
 *   one parent key, which is UNIQUE; so the outer one is moved before it.
 * - *Stale OLD.* A user's BEFORE trigger that changes the very row under change: SQLite has loaded OLD
 *   before. The nested change is in the log, so the row's last known image is the true before-image.
 *
 * A pure function of the images, so that a replica whose log has the same rows reads the same changes.
 */
export function inTrueOrder(layouts: Layouts, changes: Change[]): Change[] {
  if (changes.length < 2) return changes;
  outerFirst(layouts, changes);
  freshBefore(layouts, changes);
  return changes;
}

function outerFirst(layouts: Layouts, changes: Change[]): void {
  for (let outer = 1; outer < changes.length; outer++) {
    const change = changes[outer];
    if (change?.type !== 'update') continue;
    const parentKeys = layouts.get(change.layout)?.ownParentKeys ?? [];
    if (parentKeys.length === 0) continue;
    const inner = innerOf(parentKeys, changes, outer);
    if (inner === null) continue;
    changes.splice(outer, 1);
    changes.splice(inner, 0, change);
  }
}

/** Index of the first change that ran inside the update at `outer`, on its own row. */
function innerOf(
  parentKeys: readonly (readonly number[])[],
  changes: readonly Change[],
  outer: number,
): number | null {
  const update = changes[outer];
  if (!update?.before || !update.after) return null;
  const { before, after, tableId } = update;
  const changed = parentKeys.filter((key) => !sameAt(key, before, after));
  if (changed.length === 0) return null;
  for (let i = outer - 1; i >= 0; i--) {
    const inner = changes[i];
    if (!inner?.before || !inner.after || inner.tableId !== tableId) continue;
    const { before: start, after: end } = inner;
    if (sameValues(start, after) && changed.some((key) => sameAt(key, start, end))) return i;
  }
  return null;
}

function sameAt(indexes: readonly number[], left: Image, right: Image): boolean {
  return indexes.every((index) => sameValue(left[index] ?? null, right[index] ?? null));
}

function freshBefore(layouts: Layouts, changes: Change[]): void {
  const states = new Map<string, Image | null>();
  changes.forEach((change, i) => {
    const layout = layouts.get(change.layout);
    assert(layout !== undefined, () => `no layout ${change.layout}`);
    if (change.before !== null) {
      const key = keyText(layout, change.before);
      const known = states.get(key);
      if (known && !sameValues(known, change.before)) changes[i] = { ...change, before: known };
      states.set(key, null);
    }
    if (change.after !== null) states.set(keyText(layout, change.after), change.after);
  });
}
