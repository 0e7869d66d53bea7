import { assert } from '../../base/assert.ts';
import type { PartitionId, Token } from '../../base/brand.ts';
import { TOKEN_COUNT } from './token.ts';

/** Tokens from `start`, which belongs to it, to `end`, which does not: 0 ≤ start < end ≤ 2^32. */
export interface TokenRange {
  readonly start: number;
  readonly end: number;
}

export interface OwnedRange extends TokenRange {
  readonly partition: PartitionId;
}

/**
 * Which partition owns which tokens, at one version of the network information. Immutable. A directory for
 * routers: a partition itself judges by its own logged ranges ({@link covers}).
 */
export class TokenMap {
  readonly version: number;
  /** Ascending; together they tile the ring. */
  readonly ranges: readonly OwnedRange[];
  private readonly starts: Float64Array;

  /** `ranges` in any order; stops if they do not tile 0 … 2^32 − 1 exactly once. */
  constructor(version: number, ranges: readonly OwnedRange[]) {
    assert(Number.isSafeInteger(version) && version >= 0, 'a version of the token map counts from 0');
    const sorted = ranges.toSorted((a, b) => a.start - b.start);
    const defect = ringDefect(sorted);
    assert(defect === null, () => `token map version ${version}: ${defect}`);
    this.version = version;
    this.ranges = sorted;
    this.starts = Float64Array.from(sorted, (range) => range.start);
  }

  /** `partitions[i]` owns the i-th of equal shares of the ring. */
  static even(version: number, partitions: readonly PartitionId[]): TokenMap {
    const shares = splitEvenly(partitions.length);
    return new TokenMap(
      version,
      partitions.map((partition, i) => ({ ...(shares[i] as TokenRange), partition })),
    );
  }

  /** O(log ranges). */
  partitionOf(token: Token): PartitionId {
    assert(token >= 0 && token < TOKEN_COUNT, () => `${token} is no token`);
    let low = 0;
    let high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.starts[middle] as number) <= token) low = middle;
      else high = middle - 1;
    }
    return (this.ranges[low] as OwnedRange).partition;
  }

  /** Each partition once, ascending. */
  partitions(): PartitionId[] {
    return [...new Set(this.ranges.map((range) => range.partition))].sort((a, b) => a - b);
  }

  /** The partition's own list, ascending; empty if it owns nothing. */
  rangesOf(partition: PartitionId): TokenRange[] {
    return this.ranges
      .filter((range) => range.partition === partition)
      .map(({ start, end }) => ({ start, end }));
  }
}

/** Whether one of a partition's own ranges holds the token. Linear: a partition has few ranges. */
export function covers(ranges: readonly TokenRange[], token: Token): boolean {
  for (const range of ranges) {
    if (token >= range.start && token < range.end) return true;
  }
  return false;
}

/** The ring in `count` adjacent ranges whose sizes differ by at most one. */
export function splitEvenly(count: number): TokenRange[] {
  assert(Number.isInteger(count) && count >= 1 && count <= TOKEN_COUNT, 'between 1 and 2^32 ranges');
  const bound = (i: number) => Math.floor((i * TOKEN_COUNT) / count);
  return Array.from({ length: count }, (_, i) => ({ start: bound(i), end: bound(i + 1) }));
}

/**
 * Cuts a partition's ranges into two lists of equally many tokens (the second takes an odd one), for a split.
 * Null if there is only one token.
 */
export function halve(ranges: readonly TokenRange[]): [TokenRange[], TokenRange[]] | null {
  const sorted = ranges.toSorted((a, b) => a.start - b.start);
  let wanted = Math.floor(sorted.reduce((sum, range) => sum + range.end - range.start, 0) / 2);
  if (wanted === 0) return null;
  const lower: TokenRange[] = [];
  const upper: TokenRange[] = [];
  for (const { start, end } of sorted) {
    const cut = Math.min(end, start + wanted);
    wanted -= cut - start;
    if (cut > start) lower.push({ start, end: cut });
    if (end > cut) upper.push({ start: cut, end });
  }
  return [lower, upper];
}

/**
 * Why the ranges, in any order, do not tile the ring exactly once; null if they do. The answers of a scatter
 * are judged by it too.
 */
export function ringDefect(ranges: readonly TokenRange[]): string | null {
  let next = 0;
  for (const { start, end } of ranges.toSorted((a, b) => a.start - b.start)) {
    if (!Number.isInteger(start) || !Number.isInteger(end)) return `range ${start}–${end} is not of integers`;
    if (start >= end) return `range ${start}–${end} is empty or reversed`;
    if (start > next) return `tokens ${next}–${start} have no owner`;
    if (start < next) return `tokens ${start}–${Math.min(next, end)} have two owners`;
    next = end;
  }
  return next === TOKEN_COUNT ? null : `the ranges end at ${next}, the ring at ${TOKEN_COUNT}`;
}
