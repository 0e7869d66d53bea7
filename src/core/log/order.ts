import { assert } from '../../base/assert.ts';
import type { Change, Image } from './commit.ts';
import { sameValues } from './encoding.ts';
import { keyText, type Layout, type Layouts } from './layout.ts';

/**
 * Triggers tell the truth but in two corners, which this sets right from the changes themselves.
 *
 * - *Stale OLD.* A user's BEFORE trigger that changes the very row under change: SQLite has loaded OLD
 *   before. The nested change is in the log, so the row's last known image is the true before-image.
 * - *Nested first.* A foreign-key action runs between a row's change and its AFTER triggers. If ON UPDATE
 *   CASCADE comes round to the row itself (a row that is its own parent), the inner update is logged before
 *   the outer one, whose after-image is then the inner one's before-image: the outer one is moved before it.
 *
 * A pure function of the images, so that a replica whose log has the same rows reads the same changes.
 */
export function inTrueOrder(layouts: Layouts, changes: Change[]): Change[] {
  if (changes.length < 2) return changes;
  const ordered = changes;
  // Each move puts one change right for good; the bound only stops a defect from looping.
  for (let moves = 0; moves <= changes.length; moves++) {
    const nested = chained(layouts, ordered);
    if (nested === null) return ordered;
    const [outer] = ordered.splice(nested.outer, 1);
    if (outer !== undefined) ordered.splice(nested.inner, 0, outer);
  }
  assert(false, 'the order of a commit does not settle');
}

interface Nested {
  readonly outer: number;
  readonly inner: number;
}

/** Corrects stale before-images in place; stops at the first update that must move, and says where to. */
function chained(layouts: Layouts, changes: Change[]): Nested | null {
  const states = new Map<string, Image | null>();
  for (let i = 0; i < changes.length; i++) {
    const change = changes[i];
    const layout = change && layouts.get(change.layout);
    if (change === undefined || layout === undefined) continue;
    const from = change.before && keyText(layout, change.before);
    const to = change.after && keyText(layout, change.after);
    const known = from === null ? undefined : states.get(from);
    const stale = change.before !== null && known !== undefined && !same(known, change.before);
    if (change.type === 'update' && to !== null && (stale || (to !== from && states.get(to)))) {
      const inner = innerOf(layout, layouts, changes, i, to);
      if (inner !== null) return { outer: i, inner };
    }
    if (stale && known) changes[i] = { ...change, before: known };
    if (from !== null) states.set(from, null);
    if (to !== null) states.set(to, change.after);
  }
  return null;
}

/** The change that ran inside the update at `outer`: the last one on its row that starts where it ends. */
function innerOf(
  layout: Layout,
  layouts: Layouts,
  changes: readonly Change[],
  outer: number,
  key: string,
): number | null {
  const update = changes[outer];
  if (!update?.after || !update.before) return null;
  const from = keyText(layout, update.before);
  for (let i = outer - 1; i >= 0; i--) {
    const inner = changes[i];
    const innerLayout = inner && layouts.get(inner.layout);
    if (!inner?.before || innerLayout === undefined || inner.tableId !== update.tableId) continue;
    if (keyText(innerLayout, inner.before) !== key || !sameValues(inner.before, update.after)) continue;
    const previous = stateBefore(layouts, changes, i, from);
    if (previous === undefined || same(previous, update.before)) return i;
  }
  return null;
}

/** What the changes before `end` leave of the row `key`; undefined if none touches it. */
function stateBefore(
  layouts: Layouts,
  changes: readonly Change[],
  end: number,
  key: string,
): Image | null | undefined {
  for (let i = end - 1; i >= 0; i--) {
    const change = changes[i];
    const layout = change && layouts.get(change.layout);
    if (change === undefined || layout === undefined) continue;
    if (change.after !== null && keyText(layout, change.after) === key) return change.after;
    if (change.before !== null && keyText(layout, change.before) === key) return null;
  }
  return undefined;
}

function same(left: Image | null, right: Image): boolean {
  return left !== null && sameValues(left, right);
}
