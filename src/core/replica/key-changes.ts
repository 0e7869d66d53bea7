import { asciiLower } from '../../base/ascii.ts';
import { present } from '../../base/assert.ts';
import type { TableId } from '../../base/brand.ts';
import type { Change, Image } from '../log/commit.ts';
import { latin1 } from '../log/encoding.ts';
import { keyText, type Layout, type Layouts, layoutOf } from '../log/layout.ts';
import type { Schema } from '../schema/catalogue.ts';
import { encodeKey } from '../schema/partition-key.ts';
import type { ReferenceIndex } from '../schema/reference-index.ts';
import type { Escape } from './escapes.ts';
import { keyOf, tokenOfEntry } from './unique-entries.ts';

/** A row has a key no more that foreign keys over partitions may refer to. */
export interface KeyChange {
  readonly index: ReferenceIndex;
  readonly from: Image;
  /** Null: the row is deleted. */
  readonly to: Image | null;
}

/** A row that referred to such a key, by its entry: what the foreign key says of such rows is to be done with it. */
export interface ReferenceAction extends KeyChange {
  readonly entry: Image;
}

/**
 * What changes of rows mean for those that refer to them, with each row followed through all of its changes: a key that it
 * had before them, and has no more. A row that is replaced is deleted, whatever comes in its place.
 */
export function keyChangesOf(changes: readonly Change[], layouts: Layouts, schema: Schema): KeyChange[] {
  if (schema.catalogue.references === undefined) return [];
  const found: KeyChange[] = [];
  for (const [table, own] of Map.groupBy(changes, ({ tableId }) => tableId))
    for (const index of schema.referencesTo({ id: table })) found.push(...changesOf(index, own, layouts));
  return found;
}

function changesOf(index: ReferenceIndex, changes: readonly Change[], layouts: Layouts): KeyChange[] {
  const found: KeyChange[] = [];
  /** By where a row is now: the key that it began with (null: none), and the present one. */
  const rows = new Map<string, { first: Image | null; last: Image | null }>();
  for (const change of changes) {
    const layout = layoutOf(layouts, change);
    const { before, after } = change;
    let first = before === null ? null : parentKey(index, layout, before);
    if (before !== null) {
      const known = rows.get(keyText(layout, before));
      rows.delete(keyText(layout, before));
      if (known !== undefined) first = known.first;
    }
    if (after !== null) rows.set(keyText(layout, after), { first, last: parentKey(index, layout, after) });
    else if (first !== null) found.push({ index, from: first, to: null });
  }
  for (const { first, last } of rows.values())
    if (first !== null && last !== null && !isSameKey(index, first, last))
      found.push({ index, from: first, to: last });
  return found.filter(({ from }) => !from.includes(null));
}

/** The values that a row of the parent's can be referred to by. */
function parentKey({ parentColumns }: ReferenceIndex, layout: Layout, image: Image): Image {
  const names = layout.columns.map(asciiLower);
  return parentColumns.map((name) => image[names.indexOf(asciiLower(name))] ?? null);
}

/** As the parent's columns compare them. */
export function isSameKey(index: ReferenceIndex, a: Image, b: Image): boolean {
  return valuesText(index, a) === valuesText(index, b);
}

/** A key as text: equal for what the parent's columns call equal. */
export function valuesText({ table, parentColumns }: ReferenceIndex, values: Image): string {
  const length = parentColumns.length;
  return latin1(encodeKey(values.slice(0, length), table.columns.slice(0, length)));
}

/*
 * Between partitions both are updates of the index, which never happen to its entries: from the key, or from the entry, to
 * the key that is there now, which is empty where the row is deleted.
 */

export function keyChangeEscape({ index, from, to }: KeyChange): Escape {
  return { token: tokenOfEntry(index, from), change: update(index, from, to) };
}

export function actionEscape(action: Omit<ReferenceAction, 'from'>, token: Escape['token']): Escape {
  return { token, change: update(action.index, action.entry, action.to) };
}

function update({ table }: ReferenceIndex, before: Image, to: Image | null): Change {
  return { type: 'update', tableId: table.id, layout: 0, before, after: to ?? [] };
}

/** What other partitions have made for this one, by what it is. */
export interface Incoming {
  /** Rows and entries that come and go. */
  readonly rows: readonly Change[];
  readonly keys: readonly KeyChange[];
  readonly actions: readonly ReferenceAction[];
}

export function sortIncoming(changes: readonly Change[], schema: Schema): Incoming {
  const byTable = new Map<TableId, ReferenceIndex>(
    schema.catalogue.references?.map((index) => [index.table.id, index]),
  );
  const rows: Change[] = [];
  const keys: KeyChange[] = [];
  const actions: ReferenceAction[] = [];
  for (const change of changes) {
    const index = change.type === 'update' ? byTable.get(change.tableId) : undefined;
    if (index === undefined) {
      rows.push(change);
      continue;
    }
    const before = present(change.before, 'an update has a before-image');
    const to = change.after === null || change.after.length === 0 ? null : change.after;
    const from = before.slice(0, index.columns.length);
    if (before.length === from.length) keys.push({ index, from, to });
    else actions.push({ index, from, to, entry: before });
  }
  return { rows, keys, actions };
}

/** What the key is as the index has it; the parent's own column may have it otherwise. */
export function storedKey({ index, from }: KeyChange): Image {
  return keyOf(index, from);
}
