import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Allocation,
  allocate,
  allocateOwned,
  available,
  IDENTIFIER_LIMIT,
  type IdentifierRange,
  initialRanges,
  split,
} from '../../../src/core/schema/identifier-range.ts';
import { tokenOfKey } from '../../../src/core/schema/partition-key.ts';
import { covers, splitEvenly, type TokenRange } from '../../../src/core/schema/token-map.ts';

/** Does one step on the model: ids issued, and the range that now stands at `at`. */
function keep(ranges: IdentifierRange[], at: number, allocation: Allocation, issued: number[]): void {
  if (allocation.kind !== 'allocated') return;
  issued.push(...allocation.ids);
  ranges[at] = allocation.range;
}

const step = fc.record({
  kind: fc.constantFrom('allocate', 'allocateOwned', 'split'),
  pick: fc.nat(),
  count: fc.nat({ max: 40 }),
});

describe('identifier ranges', () => {
  const start = fc.oneof(
    fc.integer({ min: 1, max: 5 }).map(initialRanges),
    // Small enough to be exhausted.
    fc.integer({ min: 0, max: 60 }).map((size) => [{ start: 9, next: 9, end: 9 + size }]),
    fc.integer({ min: 0, max: 60 }).map((size) => {
      const first = IDENTIFIER_LIMIT - 1 - size;
      return [{ start: first, next: first, end: IDENTIFIER_LIMIT }];
    }),
  );

  it('never issue an id twice, whatever is allocated and split', () => {
    fc.assert(
      fc.property(start, fc.array(step, { maxLength: 80 }), (initial, steps) => {
        const ranges: IdentifierRange[] = [...initial];
        const issued: number[] = [];
        for (const { kind, pick, count } of steps) {
          const at = pick % ranges.length;
          const range = ranges[at] as IdentifierRange;
          if (kind === 'allocate') keep(ranges, at, allocate(range, count), issued);
          else if (kind === 'allocateOwned')
            keep(
              ranges,
              at,
              allocateOwned(range, count, (id) => id % 3 === 0),
              issued,
            );
          else {
            const halves = split(range);
            if (halves.kind === 'split') ranges.splice(at, 1, halves.kept, halves.given);
          }
        }
        expect(new Set(issued).size).toBe(issued.length);
        for (const id of issued) {
          expect(id).toBeGreaterThanOrEqual(1);
          expect(Number.isSafeInteger(id)).toBe(true);
          expect(ranges.some(({ next, end }) => id >= next && id < end)).toBe(false);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('begin at 1 and cover all ids below 2^53', () => {
    for (const count of [1, 2, 3, 7, 1000]) {
      const ranges = initialRanges(count);
      expect(ranges[0]?.start).toBe(1);
      expect(ranges.at(-1)?.end).toBe(2 ** 53);
      for (const [i, range] of ranges.slice(1).entries()) expect(range.start).toBe(ranges[i]?.end);
    }
  });

  it('split halves the unused part and loses nothing', () => {
    const halves = split({ start: 1, next: 11, end: 111 });
    expect(halves).toEqual({
      kind: 'split',
      kept: { start: 1, next: 11, end: 61 },
      given: { start: 61, next: 61, end: 111 },
    });
    expect(split({ start: 1, next: 4, end: 5 })).toEqual({ kind: 'exhausted', available: 1 });
  });

  it('say how many are left instead of running over', () => {
    const range = { start: 1, next: 98, end: 101 };
    expect(allocate(range, 4)).toEqual({ kind: 'exhausted', available: 3 });
    expect(allocate(range, 3)).toMatchObject({ kind: 'allocated', ids: [98, 99, 100] });
    expect(allocateOwned(range, 2, (id) => id === 99)).toEqual({ kind: 'exhausted', available: 1 });
    expect(available(range)).toBe(3);
  });

  it('give a partition ids that it owns, after about P tries each', () => {
    const own = [splitEvenly(8)[5] as TokenRange];
    const column = { affinity: 'INTEGER', collation: 'BINARY' } as const;
    const owns = (id: number) => covers(own, tokenOfKey([BigInt(id)], [column]));
    const range = initialRanges(8)[5] as IdentifierRange;
    const allocation = allocateOwned(range, 1000, owns);
    if (allocation.kind !== 'allocated') throw new Error(allocation.kind);
    expect(allocation.ids.every(owns)).toBe(true);
    expect(allocation.range.next - range.next).toBeGreaterThan(7000);
    expect(allocation.range.next - range.next).toBeLessThan(9000);
  });

  it('give up in bounded time when the partition owns no token', () => {
    const range = initialRanges(1)[0] as IdentifierRange;
    expect(allocateOwned(range, 1, () => false).kind).toBe('none-owned');
  });
});
