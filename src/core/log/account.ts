import { assert } from '../../base/assert.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import type { Change, Image } from './commit.ts';
import { encodeValues, latin1 } from './encoding.ts';
import { keyText, type Layout, type Layouts } from './layout.ts';
import { readRow } from './rows.ts';

/** A row that changes touched: what it was before the first of them and what it is now; null for absent. */
export interface Touched {
  readonly layout: Layout;
  /** Carries the key. */
  readonly image: Image;
  readonly initial: Image | null;
  readonly final: Image | null;
}

/** By {@link keyText}, in the order of first appearance. */
export type Account = ReadonlyMap<string, Touched>;

interface Entry {
  readonly layout: Layout;
  readonly image: Image;
  readonly befores: Image[];
  readonly afters: Image[];
  changes: number;
}

/**
 * What each row was and is, whatever order the changes are in. It rests on a balance: every image that comes
 * to be either is some later before-image of its row, or is there at the end; so, as bags,
 * `initial + afters = befores + final`. `final` is read; so call this while the last of `changes` is the
 * newest in the database.
 */
export function accountOf(port: SqlitePort, layouts: Layouts, changes: readonly Change[]): Account {
  const entries = new Map<string, Entry>();
  for (const change of changes) {
    const layout = layouts.get(change.layout);
    assert(layout !== undefined, () => `no layout ${change.layout}`);
    const from = change.before && entryOf(entries, layout, change.before);
    const to = change.after && entryOf(entries, layout, change.after);
    if (from && change.before) from.befores.push(change.before);
    if (to && change.after) to.afters.push(change.after);
    if (from) from.changes++;
    if (to && to !== from) to.changes++;
  }
  const account = new Map<string, Touched>();
  for (const [key, entry] of entries) account.set(key, balanced(port, entry));
  return account;
}

function entryOf(entries: Map<string, Entry>, layout: Layout, image: Image): Entry {
  const key = keyText(layout, image);
  let entry = entries.get(key);
  if (entry === undefined) {
    entry = { layout, image, befores: [], afters: [], changes: 0 };
    entries.set(key, entry);
  }
  return entry;
}

function balanced(port: SqlitePort, { layout, image, befores, afters, changes }: Entry): Touched {
  if (changes === 1) return { layout, image, initial: befores[0] ?? null, final: afters[0] ?? null };
  const final = readRow(port, layout, image);
  const initialCount = befores.length - afters.length + (final === null ? 0 : 1);
  assert(initialCount === 0 || initialCount === 1, () => `${layout.table}: images of a row do not add up`);
  if (initialCount === 0) return { layout, image, initial: null, final };
  const candidates = final === null ? befores : [...befores, final];
  const counts = new Map<string, number>();
  for (const each of candidates) counts.set(imageText(each), (counts.get(imageText(each)) ?? 0) + 1);
  for (const each of afters) counts.set(imageText(each), (counts.get(imageText(each)) ?? 0) - 1);
  // A stale before-image stands beside the true one; the true one was captured first.
  const initial = candidates.find((each) => (counts.get(imageText(each)) ?? 0) > 0);
  assert(initial !== undefined, () => `${layout.table}: a row without a first image`);
  return { layout, image, initial, final };
}

/** Equal exactly for equal images. */
export function imageText(image: Image): string {
  return latin1(encodeValues(image));
}
