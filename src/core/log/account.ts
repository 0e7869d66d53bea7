import type { SqlitePort } from '../sqlite/port.ts';
import type { Image } from './commit.ts';
import { encodeValues } from './encoding.ts';
import { fingerprint } from './fingerprint.ts';
import {
  CREATE_AFTER,
  DELETE_BEFORE,
  type RawImage,
  rawImages,
  type SeqRange,
  UPDATE_AFTER,
  UPDATE_BEFORE,
} from './image.ts';
import { keyText, type Layout, type Layouts } from './layout.ts';
import { readRow } from './rows.ts';

/** A row that images are about, without the images themselves: a commit may have very many. */
export interface Trace {
  readonly layout: Layout;
  /** Values of the row's key, at their places in an image. */
  readonly key: Image;
  /**
   * The image that the row had before the commit; null for absent. It is what the first mention of the row
   * says: a change that others may overtake on their way into the log is announced by a witness (suspect.ts),
   * and a before-image is stale only after one that is not.
   */
  readonly initial: number | null;
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
  const wasThere = kind === DELETE_BEFORE || kind === UPDATE_BEFORE || kind === 'present';
  let trace = traces.get(text);
  if (trace === undefined) {
    const state = wasThere ? digestOf(values) : null;
    trace = { layout, key: keyImage(layout, values), initial: wasThere ? seq : null, state, images: 0 };
    traces.set(text, trace);
  }
  if (kind === 'present' || kind === 'absent') return true;
  trace.images++;
  const { state } = trace;
  trace.state = kind === CREATE_AFTER || kind === UPDATE_AFTER ? digestOf(values) : null;
  return state === (wasThere ? digestOf(values) : null);
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
