import { asciiLower } from '../../base/ascii.ts';
import { present } from '../../base/assert.ts';
import type { Token } from '../../base/brand.ts';
import type { Escapes } from '../../protocol/transaction.ts';
import { applyChanges } from '../log/apply.ts';
import type { Change, Image } from '../log/commit.ts';
import { sameValues } from '../log/encoding.ts';
import { type Layouts, layoutOf, readLayouts } from '../log/layout.ts';
import { NetChanges } from '../log/net.ts';
import { readRow } from '../log/rows.ts';
import type { Schema } from '../schema/catalogue.ts';
import { covers } from '../schema/token-map.ts';
import type { Lock } from '../transaction/lock.ts';
import { type Escape, type Reach, type Split, splitChanges } from './escapes.ts';
import type { Identity } from './identity.ts';
import { fitting, overtaken } from './overtaken.ts';
import { tokenOfImage } from './ownership.ts';
import { decodeIncoming } from './received-changes.ts';
import type { Replica } from './replica.ts';

/**
 * Rows that a statement may meet wherever they are, as a router has read them. Those of other partitions are visitors: present
 * while the statement runs, so that SQLite itself says what becomes of them. Their owners then take all of them back, changed or
 * not, each in the place of the row as it was: if it is otherwise by now, nothing of the transaction is done.
 */
export interface Visitors {
  /** As creates. */
  readonly foreign: readonly Change[];
  readonly own: readonly Change[];
  /** For those that live here: what the statement does depends on them. */
  readonly locks: readonly Lock[];
}

export function readVisitors({ port, identity }: Replica, { tokens, changes }: Escapes): Visitors {
  const all = decodeIncoming(port, changes);
  const isOwn = (_: unknown, i: number) => covers(identity.ranges, tokens[i] as Token);
  const own = all.filter(isOwn);
  const foreign = all.filter((change, i) => !isOwn(change, i));
  const locks = tokens
    .filter((token) => covers(identity.ranges, token as Token))
    .map((token) => ({ table: null, token: token as Token, exclusive: true }));
  return { foreign, own, locks };
}

/**
 * Lets them in, in a transaction that is undone: what is captured afterwards is the statement's own.
 *
 * @throws AtollError `conflict`: a row is not as it was read
 */
export function receive(replica: Replica, { foreign, own }: Visitors, now: number): void {
  const { port } = replica;
  const layouts = readLayouts(port);
  for (const change of own) {
    const image = present(change.after, 'a visitor is a row');
    const row = readRow(port, layoutOf(layouts, change), image);
    if (row === null || !sameValues(row, image)) throw overtaken();
  }
  if (foreign.length === 0) return;
  fitting(() => applyChanges(port, foreign));
  replica.append('write', null, now);
}

/**
 * Takes what statements have changed apart. Of the tables `staged`: what belongs here, and what their rows and visitors are in the
 * end elsewhere, a delete of each as it was and a create of each as it is. Of others, as {@link splitChanges} does.
 *
 * @throws AtollError `multi-partition-write` for a row of another partition whose table is another one
 */
export function splitStaged(
  changes: readonly Change[],
  layouts: Layouts,
  schema: Schema,
  identity: Identity,
  { staged, movable, visitors }: Pick<Reach, 'staged' | 'movable'> & { readonly visitors: readonly Change[] },
): Split {
  const isStaged = ({ tableId }: Change): boolean =>
    staged.has(asciiLower(schema.stored.get(tableId)?.name ?? ''));
  const others = changes.filter((change) => !isStaged(change));
  const rest = splitChanges(others, layouts, schema, identity, movable);
  const kept: Change[] = [...rest.kept];
  const elsewhere = new NetChanges();
  for (const change of changes.filter(isStaged)) {
    const own = present(schema.stored.get(change.tableId), 'a row has a table');
    const layout = layoutOf(layouts, change);
    const isHere = (image: Image) => covers(identity.ranges, tokenOfImage(own, layout, image));
    const here = sideOf(change, isHere);
    const there = sideOf(change, (image) => !isHere(image));
    if (here !== null) kept.push(here);
    if (there !== null) elsewhere.add([there], layouts);
  }
  // One that came to be as it was is not among the net changes; its owner is to see that it is still so.
  const net = elsewhere.list();
  const back = visitors.filter(
    ({ after }) => !net.some(({ before }) => before !== null && after !== null && sameValues(before, after)),
  );
  const token = ({ tableId, layout }: Change, image: Image): Token =>
    tokenOfImage(
      present(schema.stored.get(tableId), 'a row has a table'),
      present(layouts.get(layout), 'a change has a layout'),
      image,
    );
  const escapesOf = (change: Change, before: Image | null, after: Image | null): Escape[] => [
    ...(before === null
      ? []
      : [
          {
            token: token(change, before),
            change: { ...change, type: 'delete', before, after: null } as const,
          },
        ]),
    ...(after === null
      ? []
      : [
          {
            token: token(change, after),
            change: { ...change, type: 'create', before: null, after } as const,
          },
        ]),
  ];
  return {
    kept,
    escaped: [
      ...rest.escaped,
      ...net.flatMap((change) => escapesOf(change, change.before, change.after)),
      ...back.flatMap((change) => escapesOf(change, change.after, change.after)),
    ],
  };
}

/** The change as it is seen by whoever has only rows for which `has` holds; null: nothing has changed. */
function sideOf(change: Change, has: (image: Image) => boolean): Change | null {
  const before = change.before !== null && has(change.before) ? change.before : null;
  const after = change.after !== null && has(change.after) ? change.after : null;
  if (before === null && after === null) return null;
  const type = before === null ? 'create' : after === null ? 'delete' : 'update';
  return { type, tableId: change.tableId, layout: change.layout, before, after };
}
