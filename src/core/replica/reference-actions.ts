import { asciiLower } from '../../base/ascii.ts';
import { present } from '../../base/assert.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import type { Image } from '../log/commit.ts';
import { latin1, sameValues } from '../log/encoding.ts';
import type { Layout, Layouts } from '../log/layout.ts';
import { readRow } from '../log/rows.ts';
import { inColumn } from '../schema/affinity.ts';
import type { Schema } from '../schema/catalogue.ts';
import { encodeKey } from '../schema/partition-key.ts';
import type { Table } from '../schema/table.ts';
import { reachOf, type WriteEvent } from '../sql/analysis/reach.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { writtenLocks } from '../transaction/footprint.ts';
import type { Lock } from '../transaction/lock.ts';
import { changeReferring, movedByKeys } from './acting-key.ts';
import type { ReferenceAction } from './key-changes.ts';
import { childOf, tokenOfRow } from './references.ts';
import { entryOf } from './unique-entries.ts';

/** The locks that actions on rows of this partition need before they run. */
export function actionLocks(actions: readonly ReferenceAction[], schema: Schema): Lock[] {
  return [...Map.groupBy(actions, ({ index }) => index)].flatMap(([index, own]) => {
    const child = childOf(schema, index);
    const tokens = new Set(own.map(({ entry }) => tokenOfRow(index, child, entry)));
    return writtenLocks(child, reachesOf(own, child, schema), [...tokens], schema);
  });
}

/** The tables whose rows the actions may change in this partition. */
export function tablesOfActions(actions: readonly ReferenceAction[], schema: Schema): readonly Table[] {
  return [...Map.groupBy(actions, ({ index }) => index)].flatMap(([index, own]) => {
    const child = childOf(schema, index);
    return [child, ...reachesOf(own, child, schema).flatMap((name) => schema.table(name) ?? [])];
  });
}

/** `actions`: of one foreign key. */
function reachesOf(actions: readonly ReferenceAction[], child: Table, schema: Schema): readonly string[] {
  const { onDelete } = present(actions[0], 'a foreign key acts').index;
  const deletes = actions.some(({ to }) => to === null);
  return reachOf(schema, child, deletes ? eventsOf(onDelete) : ['UPDATE'], null);
}

function eventsOf(onDelete: string): readonly WriteEvent[] {
  return onDelete.toUpperCase() === 'CASCADE' ? ['DELETE'] : ['UPDATE'];
}

/** Lower-case names of tables whose rows the actions may move to other partitions. */
export function movedByActions(actions: readonly ReferenceAction[], schema: Schema): ReadonlySet<string> {
  const indexes = [...new Set(actions.map((each) => each.index))];
  return movedByKeys(
    indexes.map((index) => ({ child: childOf(schema, index), columns: index.columns })),
    schema,
  );
}

/**
 * Does with a row what the foreign key says, as a statement does: triggers fire, and further foreign keys act. Nothing, if the
 * row does not refer to the key any more, or if SQLite would not find it: then it lacks its parent in the end.
 *
 * @throws SqliteError of a constraint that the row then violates
 */
export function act(port: SqlitePort, schema: Schema, layouts: Layouts, action: ReferenceAction): void {
  const { index, entry, to } = action;
  const child = childOf(schema, index);
  const layout = layoutOfTable(layouts, child);
  const row = readRow(port, layout, rowKey(action, layout));
  if (row === null) return;
  const now = entryOf(index, layout, row);
  if (now === null || !sameValues(now, entry) || !isEqual(action, child, layout, row)) return;
  changeReferring(port, child, { layout, row }, index, to);
}

/** SQLite looks for rows to change by their own values, and not as the parent's columns have them: '1.0' refers to 1, and is not equal to it. */
function isEqual({ index, entry }: ReferenceAction, child: Table, { columns }: Layout, row: Image): boolean {
  const names = columns.map(asciiLower);
  return index.columns.every((name, i) => {
    const column = child.columns.find((each) => asciiLower(each.name) === asciiLower(name));
    const key = inColumn(entry[i] ?? null, column?.affinity ?? 'BLOB');
    const own = row[names.indexOf(asciiLower(name))] ?? null;
    const plain = [{ affinity: 'BLOB', collation: index.table.columns[i]?.collation ?? 'BINARY' }] as const;
    return latin1(encodeKey([key], plain)) === latin1(encodeKey([own], plain));
  });
}

/** An image with nothing but the row's key. */
function rowKey({ index, entry }: ReferenceAction, layout: Layout): Image {
  const image: SqlValue[] = layout.columns.map(() => null);
  const names = layout.columns.map(asciiLower);
  index.row.forEach((name, i) => {
    image[names.indexOf(asciiLower(name))] = entry[index.columns.length + i] ?? null;
  });
  return image;
}

export function layoutOfTable(layouts: Layouts, { id, name }: Table): Layout {
  const found = [...layouts.values()].find((layout) => layout.tableId === id && layout.current);
  return present(found, () => `${name} is logged`);
}
