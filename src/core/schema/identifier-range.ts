import { assert } from '../../base/assert.ts';

/** Generated ids stay below it: exact as JavaScript numbers, and in JSON. */
export const IDENTIFIER_LIMIT = 2 ** 53;

/**
 * Ids that one partition may generate: `start` to `end`, the latter excluded; 1 ≤ start ≤ next ≤ end ≤ 2^53.
 * `next` is the mark: all below it are issued or given up. The mark is logged before an id under it is shown,
 * and both sides log a transfer; so no id is issued twice, in the whole cluster.
 */
export interface IdentifierRange {
  readonly start: number;
  readonly end: number;
  readonly next: number;
}

/** `range` replaces the one that was asked; when nothing was allocated, the old one stays. */
export type Allocation =
  | { readonly kind: 'allocated'; readonly ids: readonly number[]; readonly range: IdentifierRange }
  /** The range holds only `available` more. Only a transfer from another partition helps. */
  | { readonly kind: 'exhausted'; readonly available: number }
  /** None of `tries` ids in a row was owned: the partition owns next to no tokens. */
  | { readonly kind: 'none-owned'; readonly tries: number };

/**
 * Chosen: a partition that owns one token in 50,000 misses so often once in 10^9 times; it takes a tenth of a
 * second to find out.
 */
const MAX_MISSES_IN_A_ROW = 2 ** 20;

/** The ranges of a new cluster's partitions, in their order: all ids below `limit`. The first starts at 1. */
export function initialRanges(count: number, limit = IDENTIFIER_LIMIT): IdentifierRange[] {
  assert(Number.isInteger(count) && count >= 1 && count <= 2 ** 20, 'between 1 and 2^20 partitions');
  assert(limit > count && limit <= IDENTIFIER_LIMIT, 'a limit that leaves ids for each');
  const share = Math.floor((limit - 1) / count);
  return Array.from({ length: count }, (_, i) => {
    const start = 1 + i * share;
    return { start, end: i === count - 1 ? limit : start + share, next: start };
  });
}

/** Ids that are left. */
export function available(range: IdentifierRange): number {
  return range.end - range.next;
}

/** The next `count` ids, consecutive. */
export function allocate(range: IdentifierRange, count: number): Allocation {
  checkRequest(range, count);
  const left = available(range);
  if (left < count) return { kind: 'exhausted', available: left };
  const ids = Array.from({ length: count }, (_, i) => range.next + i);
  return { kind: 'allocated', ids, range: { ...range, next: range.next + count } };
}

/**
 * The next `count` ids whose token the partition owns, for tables partitioned by their generated id: so an insert
 * stays in the partition where it is. With P equal partitions P tries are expected for each id; those passed over
 * are given up.
 */
export function allocateOwned(
  range: IdentifierRange,
  count: number,
  owns: (id: number) => boolean,
): Allocation {
  checkRequest(range, count);
  const ids: number[] = [];
  let next = range.next;
  let misses = 0;
  while (ids.length < count) {
    if (next === range.end) return { kind: 'exhausted', available: ids.length };
    if (misses === MAX_MISSES_IN_A_ROW) return { kind: 'none-owned', tries: misses };
    const id = next++;
    if (owns(id)) {
      ids.push(id);
      misses = 0;
    } else {
      misses++;
    }
  }
  return { kind: 'allocated', ids, range: { ...range, next } };
}

export type RangeSplit =
  | { readonly kind: 'split'; readonly kept: IdentifierRange; readonly given: IdentifierRange }
  /** Fewer than two ids are left. */
  | { readonly kind: 'exhausted'; readonly available: number };

/** Halves what is unused: the parent keeps the lower half, the child gets the upper. No central call. */
export function split(range: IdentifierRange): RangeSplit {
  checkRange(range);
  const left = available(range);
  if (left < 2) return { kind: 'exhausted', available: left };
  const middle = range.end - Math.floor(left / 2);
  return {
    kind: 'split',
    kept: { ...range, end: middle },
    given: { start: middle, end: range.end, next: middle },
  };
}

function checkRequest(range: IdentifierRange, count: number): void {
  checkRange(range);
  assert(Number.isSafeInteger(count) && count >= 0, 'a count of ids');
}

function checkRange({ start, end, next }: IdentifierRange): void {
  assert([start, next, end].every(Number.isInteger), 'bounds of ids are integers');
  assert(1 <= start && start <= next && next <= end && end <= IDENTIFIER_LIMIT, 'bounds of ids in order');
}
