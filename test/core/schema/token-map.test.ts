import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PartitionId, Token } from '../../../src/base/brand.ts';
import { TOKEN_COUNT } from '../../../src/core/schema/token.ts';
import {
  covers,
  halve,
  type OwnedRange,
  ringDefect,
  splitEvenly,
  TokenMap,
  type TokenRange,
} from '../../../src/core/schema/token-map.ts';

const token = fc
  .oneof(fc.nat({ max: TOKEN_COUNT - 1 }), fc.constantFrom(0, TOKEN_COUNT - 1))
  .map((value) => value as Token);
const size = (ranges: readonly TokenRange[]) => ranges.reduce((sum, { start, end }) => sum + end - start, 0);

/** A ring cut at random places, its pieces shuffled and owned at random. */
const ring = fc
  .uniqueArray(fc.integer({ min: 1, max: TOKEN_COUNT - 1 }), { maxLength: 20 })
  .chain((cuts) => {
    const bounds = [0, ...cuts.toSorted((a, b) => a - b), TOKEN_COUNT];
    const pieces = bounds.slice(1).map((end, i) => ({ start: bounds[i] as number, end }));
    const owners = fc.array(fc.nat({ max: 5 }), { minLength: pieces.length, maxLength: pieces.length });
    const order = fc.shuffledSubarray(pieces, { minLength: pieces.length });
    return fc.tuple(order, owners);
  })
  .map(([pieces, owners]): OwnedRange[] =>
    pieces.map((piece, i) => ({ ...piece, partition: owners[i] as PartitionId })),
  );

describe('TokenMap', () => {
  it('finds the one partition whose ranges cover the token', () => {
    fc.assert(
      fc.property(ring, fc.array(token), (ranges, tokens) => {
        const map = new TokenMap(3, ranges);
        const edges = ranges.flatMap(({ start, end }) => [start, end - 1] as Token[]);
        for (const one of [...tokens, ...edges]) {
          const owners = map.partitions().filter((partition) => covers(map.rangesOf(partition), one));
          expect(owners).toEqual([map.partitionOf(one)]);
        }
      }),
    );
  });

  it('refuses a ring with a hole, an overlap, or a wrong end', () => {
    fc.assert(
      fc.property(ring, fc.nat(), fc.constantFrom(-1, 1), (ranges, pick, change) => {
        const at = pick % ranges.length;
        const spoiled = ranges.map((range, i) => (i === at ? { ...range, end: range.end + change } : range));
        expect(() => new TokenMap(1, spoiled)).toThrow(/token map version 1/);
        expect(() => new TokenMap(1, ranges.toSpliced(at, 1))).toThrow();
        expect(() => new TokenMap(1, [...ranges, ranges[at] as OwnedRange])).toThrow(/two owners/);
      }),
    );
  });

  it('gives equal shares to the partitions in their order', () => {
    const map = TokenMap.even(1, [4, 2, 9, 7] as PartitionId[]);
    expect(map.partitionOf(0 as Token)).toBe(4);
    expect(map.partitionOf((2 ** 30) as Token)).toBe(2);
    expect(map.partitionOf((2 ** 32 - 1) as Token)).toBe(7);
    expect(map.partitions()).toEqual([2, 4, 7, 9]);
  });
});

describe('splitEvenly', () => {
  it('tiles the ring in ranges that differ by one token at most', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), (count) => {
        const ranges = splitEvenly(count);
        expect(ranges).toHaveLength(count);
        expect(ringDefect(ranges)).toBeNull();
        const sizes = ranges.map(({ start, end }) => end - start);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe('halve', () => {
  it('gives each side half of the tokens, and every token to one side', () => {
    fc.assert(
      fc.property(ring, fc.nat({ max: 5 }), (ranges, dropped) => {
        const own = ranges.filter((range) => range.partition !== dropped);
        const rest = ranges.filter((range) => range.partition === dropped);
        const halves = halve(own);
        if (halves === null) {
          expect(size(own)).toBeLessThan(2);
          return;
        }
        const [lower, upper] = halves;
        expect(size(lower)).toBe(Math.floor(size(own) / 2));
        expect(ringDefect([...lower, ...upper, ...rest])).toBeNull();
      }),
    );
  });

  it('cannot cut one token', () => {
    expect(halve([{ start: 7, end: 8 }])).toBeNull();
  });
});
