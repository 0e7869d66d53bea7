import { present } from '../../base/assert.ts';
import type { TableId } from '../../base/brand.ts';
import type { Change, Image } from '../log/commit.ts';
import { latin1 } from '../log/encoding.ts';
import type { Layouts } from '../log/layout.ts';
import type { Schema } from '../schema/catalogue.ts';
import { encodeKey } from '../schema/partition-key.ts';
import type { ReferenceIndex } from '../schema/reference-index.ts';
import type { Escape } from './escapes.ts';
import { lostKeys } from './lost-keys.ts';
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

/** What changes of rows mean for those that refer to them. */
export function keyChangesOf(changes: readonly Change[], layouts: Layouts, schema: Schema): KeyChange[] {
  if (schema.catalogue.references === undefined) return [];
  const found: KeyChange[] = [];
  for (const [table, own] of Map.groupBy(changes, ({ tableId }) => tableId))
    for (const index of schema.referencesTo({ id: table })) {
      const classes = index.table.columns.slice(0, index.parentColumns.length);
      const lost = lostKeys(index.parentColumns, classes, own, layouts);
      found.push(...lost.map(({ from, to }) => ({ index, from, to })));
    }
  return found;
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
