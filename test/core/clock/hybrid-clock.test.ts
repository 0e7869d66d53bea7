import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Timestamp } from '../../../src/base/brand.ts';
import { HybridClock } from '../../../src/core/clock/hybrid-clock.ts';
import { compareTimestamps, formatTimestamp, parseTimestamp } from '../../../src/core/clock/timestamp.ts';

const EPOCH = 1_760_000_000_000;

/** What a physical clock does between two events, in ms: stalls, runs, steps back, jumps. */
const drift = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 1, max: 20 }),
  fc.integer({ min: -50, max: 0 }),
  fc.integer({ min: -100_000, max: 100_000 }),
);

const event = fc.record({
  kind: fc.constantFrom('local', 'message', 'restart'),
  from: fc.nat({ max: 2 }),
  to: fc.nat({ max: 2 }),
  drift,
});

const millisecondsOf = (timestamp: Timestamp) => parseTimestamp(timestamp)?.milliseconds;

describe('HybridClock', () => {
  it('respects causality whatever the physical clocks do, over restarts too', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const physical = [EPOCH, EPOCH, EPOCH];
        const options = (i: number, floor: Timestamp | null) => ({
          node: `n${i}`,
          floor,
          skewLimitMs: Infinity,
        });
        const clocks = physical.map((_, i) => new HybridClock(options(i, null)));
        const latest: (Timestamp | null)[] = [null, null, null];
        const seen = new Set<Timestamp>();
        const note = (i: number, timestamp: Timestamp) => {
          const before = latest[i];
          if (before) expect(compareTimestamps(timestamp, before)).toBe(1);
          expect(millisecondsOf(timestamp)).toBeGreaterThanOrEqual(physical[i] as number);
          expect(seen.has(timestamp)).toBe(false);
          seen.add(timestamp);
          latest[i] = timestamp;
        };
        for (const { kind, from, to, drift: change } of events) {
          physical[from] = (physical[from] as number) + change;
          const clock = clocks[from] as HybridClock;
          const sent = clock.now(physical[from] as number);
          note(from, sent);
          if (kind === 'restart') clocks[from] = new HybridClock(options(from, clock.last()));
          if (kind !== 'message' || from === to) continue;
          const receipt = (clocks[to] as HybridClock).receive(sent, physical[to] as number);
          if (receipt.kind !== 'received') throw new Error(receipt.kind);
          expect(compareTimestamps(receipt.timestamp, sent)).toBe(1);
          note(to, receipt.timestamp);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('shows physical time when that runs, and counts when it stands', () => {
    const clock = new HybridClock({ node: 'n', floor: null });
    const read = (physicalMs: number) => parseTimestamp(clock.now(physicalMs));
    expect(read(1000)).toMatchObject({ milliseconds: 1000, counter: 0 });
    expect(read(1000)).toMatchObject({ milliseconds: 1000, counter: 1 });
    expect(read(400)).toMatchObject({ milliseconds: 1000, counter: 2 });
    expect(read(1001.9)).toMatchObject({ milliseconds: 1001, counter: 0 });
  });

  it('advances the milliseconds when the counter is full', () => {
    const floor = formatTimestamp({ milliseconds: EPOCH, counter: 0xffff, node: 'n' });
    const clock = new HybridClock({ node: 'n', floor });
    expect(parseTimestamp(clock.now(EPOCH))).toMatchObject({ milliseconds: EPOCH + 1, counter: 0 });
    const other = new HybridClock({ node: 'o', floor: null });
    expect(other.receive(floor, EPOCH)).toEqual({
      kind: 'received',
      timestamp: formatTimestamp({ milliseconds: EPOCH + 1, counter: 0, node: 'o' }),
    });
  });

  it('starts strictly above its floor though the physical clock was set back', () => {
    const floor = formatTimestamp({ milliseconds: EPOCH, counter: 7, node: 'z' });
    const clock = new HybridClock({ node: 'a', floor });
    expect(compareTimestamps(clock.now(EPOCH - 3_600_000), floor)).toBe(1);
    expect(clock.aheadMs(EPOCH - 3_600_000)).toBe(3_600_000);
    expect(() => new HybridClock({ node: 'a', floor: 'soon' as Timestamp })).toThrow(/floor/);
  });

  it('refuses a remote clock beyond the limit and stays as it is', () => {
    const clock = new HybridClock({ node: 'n', floor: null, skewLimitMs: 500 });
    const remote = (aheadMs: number) =>
      formatTimestamp({ milliseconds: EPOCH + aheadMs, counter: 3, node: 'r' });
    clock.now(EPOCH);
    const before = clock.last();
    expect(clock.receive(remote(501), EPOCH)).toEqual({ kind: 'too-far-ahead', aheadMs: 501, limitMs: 500 });
    expect(clock.last()).toBe(before);
    expect(clock.receive(remote(500), EPOCH)).toMatchObject({ kind: 'received' });
    expect(clock.receive('x' as Timestamp, EPOCH)).toEqual({ kind: 'malformed' });
    // Its own floor may be as far ahead: what it has passed already does no harm.
    const restarted = new HybridClock({ node: 'n', floor: remote(9000), skewLimitMs: 500 });
    expect(restarted.receive(remote(8000), EPOCH)).toMatchObject({ kind: 'received' });
  });

  it('stops at a physical time that is none', () => {
    const clock = new HybridClock({ node: 'n', floor: null });
    for (const time of [Number.NaN, -1, 2 ** 48]) expect(() => clock.now(time)).toThrow(/physical/);
  });
});
