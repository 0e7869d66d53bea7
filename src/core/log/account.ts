import { assert, present } from '../../base/assert.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import type { Image } from './commit.ts';
import { encodeValues } from './encoding.ts';
import { fingerprint } from './fingerprint.ts';
import { CREATE_AFTER, type RawImage, rawImages, type SeqRange, UPDATE_AFTER, WITNESS } from './image.ts';
import { keyText, type Layout, type Layouts } from './layout.ts';
import { readRow } from './rows.ts';

/** A row that images are about, without the images themselves: a commit may have very many. */
export interface Trace {
  readonly layout: Layout;
  /** Values of the row's key, at their places in an image. */
  readonly key: Image;
  /** The first image that says that the row was there, before-image or witness. */
  firstSeen: number | null;
  /** Before-images less after-images. */
  balance: number;
  /** Digest of what the row is after the images so far, if they are in order; null for absent. */
  state: string | null;
  /** How many images it has, witnesses aside. */
  images: number;
}

/** What the images of a range say about each row, by {@link keyText}, in the order of first appearance. */
export interface Account {
  readonly traces: ReadonlyMap<string, Trace>;
  /** The images lead, each row by itself, from one state to the next and to the row that is there now. */
  readonly inOrder: boolean;
}

/** The last image of the range is the newest change in the database. */
export function accountOf(port: SqlitePort, layouts: Layouts, range: SeqRange): Account {
  const traces = new Map<string, Trace>();
  let inOrder = true;
  for (const image of rawImages(port, layouts, range)) if (!note(traces, image)) inOrder = false;
  for (const trace of traces.values()) {
    if (!inOrder) break;
    if (trace.images > 1) inOrder = trace.state === digestOf(currentRow(port, trace));
  }
  return { traces, inOrder };
}

/** False if the image does not follow from what is known of its row. */
function note(traces: Map<string, Trace>, { seq, layout, kind, values }: RawImage): boolean {
  const text = keyText(layout, values);
  const comes = kind === CREATE_AFTER || kind === UPDATE_AFTER;
  const digest = digestOf(values);
  let trace = traces.get(text);
  if (trace === undefined) {
    const key = keyImage(layout, values);
    trace = { layout, key, firstSeen: null, balance: 0, state: comes ? null : digest, images: 0 };
    traces.set(text, trace);
  }
  if (!comes) trace.firstSeen ??= seq;
  if (kind === WITNESS) return true;
  trace.images++;
  trace.balance += comes ? -1 : 1;
  const { state } = trace;
  trace.state = comes ? digest : null;
  return state === (comes ? null : digest);
}

/**
 * Where in the log the image is that the row had before the commit; null if it was absent. Whether it was there
 * follows from a balance that holds in any order: a row that comes, or was there, either goes or is there
 * still. If it was, it is as it was first seen: a change that others may overtake on their way into the log
 * is announced by a witness (suspect.ts), and a before-image is stale only after one that is not.
 */
export function initialSeq({ layout, firstSeen, balance }: Trace, isThere: boolean): number | null {
  const count = balance + (isThere ? 1 : 0);
  assert(count === 0 || count === 1, () => `${layout.table}: images of a row do not add up`);
  if (count === 0) return null;
  return present(firstSeen, () => `${layout.table}: a row without a first image`);
}

function keyImage(layout: Layout, values: Image): Image {
  return values.map((value, column) => (layout.key.includes(column) ? value : null));
}

export function currentRow(port: SqlitePort, { layout, key }: Trace): Image | null {
  return readRow(port, layout, key);
}

/** Equal for equal images; null for an absent row. */
export function digestOf(image: Image | null): string | null {
  return image && fingerprint(encodeValues(image));
}
