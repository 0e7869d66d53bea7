import { assert } from '../../base/assert.ts';
import type { Timestamp } from '../../base/brand.ts';

/** Physical milliseconds since 1970 fit 48 bits until the year 10889. */
export const MILLISECONDS_LIMIT = 2 ** 48;
export const COUNTER_LIMIT = 2 ** 16;

/**
 * A hybrid logical clock reading taken apart. As text: 12 hex digits of milliseconds, 4 of the counter, `-`, node
 * id, all lower case, so that the order of the texts (in JavaScript, and by SQLite's BINARY collation) is
 * the order of time, with the node id to tell equal readings of two nodes apart.
 */
export interface TimestampParts {
  readonly milliseconds: number;
  readonly counter: number;
  readonly node: string;
}

/** ASCII, so that UTF-16 order and UTF-8 order agree. */
const NODE = /^[0-9A-Za-z_.-]{1,64}$/;
const TIMESTAMP = /^([0-9a-f]{12})([0-9a-f]{4})-([0-9A-Za-z_.-]{1,64})$/;

export function isNodeId(text: string): boolean {
  return NODE.test(text);
}

export function formatTimestamp({ milliseconds, counter, node }: TimestampParts): Timestamp {
  assert(
    Number.isInteger(milliseconds) && milliseconds >= 0 && milliseconds < MILLISECONDS_LIMIT,
    () => `${milliseconds} ms do not fit a timestamp`,
  );
  assert(
    Number.isInteger(counter) && counter >= 0 && counter < COUNTER_LIMIT,
    () => `the counter ${counter} does not fit a timestamp`,
  );
  assert(isNodeId(node), () => `'${node}' is no node id`);
  return `${hexMilliseconds(milliseconds)}${hexCounter(counter)}-${node}` as Timestamp;
}

/** 12 hex digits. */
export function hexMilliseconds(milliseconds: number): string {
  return milliseconds.toString(16).padStart(12, '0');
}

/** 4 hex digits. */
export function hexCounter(counter: number): string {
  return counter.toString(16).padStart(4, '0');
}

/** Null if the text is no timestamp: it may have come from a client. */
export function parseTimestamp(text: string): TimestampParts | null {
  const match = TIMESTAMP.exec(text);
  if (match === null) return null;
  const [, milliseconds, counter, node] = match as unknown as [string, string, string, string];
  return { milliseconds: Number.parseInt(milliseconds, 16), counter: Number.parseInt(counter, 16), node };
}

/** Negative, zero, or positive, as `a` is before, at, or after `b`. */
export function compareTimestamps(a: Timestamp, b: Timestamp): number {
  // The separator's place is what makes text order time order.
  assert(a[16] === '-' && b[16] === '-', () => `cannot compare '${a}' and '${b}'`);
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The later of the two. */
export function maxTimestamp(a: Timestamp, b: Timestamp): Timestamp {
  return compareTimestamps(a, b) >= 0 ? a : b;
}
