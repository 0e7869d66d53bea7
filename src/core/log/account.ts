import { assert } from '../../base/assert.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import type { Change, Image } from './commit.ts';
import { encodeValues } from './encoding.ts';
import { fingerprint } from './fingerprint.ts';
import { changePages, type SeqRange } from './image.ts';
import { keyOf, keyText, type Layout, type Layouts, layoutOf } from './layout.ts';
import { readRow } from './rows.ts';

/** A row that images are about, without the images themselves: a commit may have very many. */
export interface Trace {
  readonly layout: Layout;
  /** Values of the row's key, at their places in an image. */
  readonly key: Image;
  readonly befores: Seen[];
  /** Digests of the after-images. */
  readonly afters: string[];
  /** Digest of what the row is after the images so far, if they are in order; null for absent. */
  state: string | null;
  /** How many changes touched it. */
  changes: number;
}

/** An image by its digest and its place in the log. */
interface Seen {
  readonly digest: string;
  readonly seq: number;
}

/** What the images of a range say about each row, by {@link keyText}, in the order of first appearance. */
export interface Account {
  readonly traces: ReadonlyMap<string, Trace>;
  /** The images lead, each row by itself, from one state to the next and to the row that is there now. */
  readonly inOrder: boolean;
}

/** `images` has no gaps, and its last image is the newest change in the database. */
export function accountOf(port: SqlitePort, layouts: Layouts, images: SeqRange): Account {
  const traces = new Map<string, Trace>();
  let inOrder = true;
  let seq = images.first;
  for (const changes of changePages(port, layouts, images))
    for (const change of changes) {
      if (!note(traces, layoutOf(layouts, change), change, seq)) inOrder = false;
      seq += change.type === 'update' ? 2 : 1;
    }
  // A row that changed once is as it was logged.
  for (const trace of traces.values()) {
    if (!inOrder) break;
    if (trace.changes > 1) inOrder = trace.state === digestOf(currentRow(port, trace));
  }
  return { traces, inOrder };
}

/** False if the change does not follow from the one before of its row. */
function note(traces: Map<string, Trace>, layout: Layout, { before, after }: Change, seq: number): boolean {
  let follows = true;
  const from = before && traceOf(traces, layout, before);
  if (from && before) {
    const digest = digestOf(before) ?? '';
    if (from.changes > 0 && from.state !== digest) follows = false;
    from.befores.push({ digest, seq });
    from.state = null;
    from.changes++;
  }
  const to = after && traceOf(traces, layout, after);
  if (to && after) {
    if (to.state !== null) follows = false;
    to.state = digestOf(after);
    to.afters.push(to.state ?? '');
    if (to !== from) to.changes++;
  }
  return follows;
}

function traceOf(traces: Map<string, Trace>, layout: Layout, image: Image): Trace {
  const text = keyText(layout, image);
  let trace = traces.get(text);
  if (trace === undefined) {
    const key: Image = Object.assign(
      new Array(layout.columns.length).fill(null),
      Object.fromEntries(layout.key.map((column, i) => [column, keyOf(layout, image)[i] ?? null])),
    );
    trace = { layout, key, befores: [], afters: [], state: null, changes: 0 };
    traces.set(text, trace);
  }
  return trace;
}

export function currentRow(port: SqlitePort, { layout, key }: Trace): Image | null {
  return readRow(port, layout, key);
}

/**
 * Where in the log the image is that the row had before all of the changes; null if it was absent. It rests on
 * a balance that holds in any order: every image that comes to be either is some later before-image of its
 * row, or is there at the end; so, as bags, `initial + afters = befores + final`. Null besides if the row is
 * now (`final`) what it was at first, which no before-image needs to say: then nothing changed.
 */
export function initialSeq(
  { layout, befores, afters }: Trace,
  final: string | null,
): number | 'final' | null {
  const count = befores.length - afters.length + (final === null ? 0 : 1);
  assert(count === 0 || count === 1, () => `${layout.table}: images of a row do not add up`);
  if (count === 0) return null;
  const surplus = new Map<string, number>();
  const add = (digest: string, by: number) => surplus.set(digest, (surplus.get(digest) ?? 0) + by);
  for (const { digest } of befores) add(digest, 1);
  for (const digest of afters) add(digest, -1);
  if (final !== null) add(final, 1);
  // A stale before-image stands beside the true one; the true one was captured first.
  const initial = befores.find(({ digest }) => (surplus.get(digest) ?? 0) > 0);
  if (initial !== undefined) return initial.seq;
  assert(
    final !== null && (surplus.get(final) ?? 0) > 0,
    () => `${layout.table}: a row without a first image`,
  );
  return 'final';
}

/** Equal for equal images; null for an absent row. */
export function digestOf(image: Image | null): string | null {
  return image && fingerprint(encodeValues(image));
}
