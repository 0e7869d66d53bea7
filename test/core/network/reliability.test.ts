import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AVAILABLE_SCORE,
  freshReliability,
  HALF_LIFE_MS,
  HISTORY_MAX,
  mayTry,
  RETRY_FIRST_MS,
  RETRY_MAX_MS,
  type Reliability,
  retryIntervalMs,
  SCORE_MAX,
  scoreAt,
  silentSince,
  succeeded,
  timedOut,
  UNAVAILABLE_SCORE,
} from '../../../src/core/network/reliability.ts';

const START = 1_760_000_000_000;
const repeat = (state: Reliability, count: number, step: (state: Reliability) => Reliability) => {
  let now = state;
  for (let i = 0; i < count; i++) now = step(now);
  return now;
};
const timeouts = (state: Reliability, count: number) =>
  repeat(state, count, (each) => timedOut(each, START, 0));
const successes = (state: Reliability, count: number) =>
  repeat(state, count, (each) => succeeded(each, START));

const outcomes = fc.array(
  fc.record({
    fails: fc.boolean(),
    // Time runs, stands, or steps back.
    passedMs: fc.integer({ min: -60_000, max: 600_000 }),
    chance: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  }),
  { maxLength: 200 },
);

describe('reliability', () => {
  it('makes a host unavailable at four timeouts in a row, and available again after successes', () => {
    const fresh = freshReliability(START);
    expect(timeouts(fresh, 3).unavailable).toBe(false);
    const away = timeouts(fresh, 4);
    expect(away.unavailable).toBe(true);
    expect(successes(away, 1).unavailable).toBe(true);
    expect(successes(away, 2).unavailable).toBe(false);
    expect(successes(timeouts(fresh, 100), 2).unavailable).toBe(true);
    expect(successes(timeouts(fresh, 100), 3).unavailable).toBe(false);
  });

  it('does not flap between the two limits', () => {
    const away = timeouts(freshReliability(START), 4);
    const between = successes(away, 1);
    expect(between.score).toBeGreaterThan(AVAILABLE_SCORE);
    expect(between.score).toBeLessThan(UNAVAILABLE_SCORE);
    expect(timeouts(between, 1).unavailable).toBe(true);
    expect(timeouts(successes(away, 2), 1).unavailable).toBe(false);
  });

  it('forgets with time, but takes only an answer as proof', () => {
    const away = timeouts(freshReliability(START), 4);
    expect(scoreAt(away, START + HALF_LIFE_MS)).toBeCloseTo(2, 9);
    expect(scoreAt(away, START - 1_000_000)).toBe(4);
    const later = START + 100 * HALF_LIFE_MS;
    expect(timedOut(away, later, 0).unavailable).toBe(true);
    expect(succeeded(away, later).unavailable).toBe(false);
  });

  it('waits longer for each retry, within bounds, and not at all after a success', () => {
    expect(retryIntervalMs(1, 0)).toBe(RETRY_FIRST_MS / 2);
    expect(retryIntervalMs(3, 0)).toBe(RETRY_FIRST_MS * 2);
    const failed = timedOut(freshReliability(START), START, 0.6);
    expect(failed.nextTryMs).toBe(START + RETRY_FIRST_MS * 0.8);
    expect([mayTry(failed, failed.nextTryMs - 1), mayTry(failed, failed.nextTryMs)]).toEqual([false, true]);
    expect(mayTry(succeeded(failed, START), START)).toBe(true);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e9 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (retries, chance) => {
          const wait = retryIntervalMs(retries, chance);
          expect(wait).toBeGreaterThanOrEqual(RETRY_FIRST_MS / 2);
          expect(wait).toBeLessThanOrEqual(RETRY_MAX_MS);
        },
      ),
    );
  });

  it('keeps a bounded history of runs, and survives JSON', () => {
    fc.assert(
      fc.property(outcomes, (events) => {
        let state = freshReliability(START);
        let nowMs = START;
        for (const { fails, passedMs, chance } of events) {
          nowMs += passedMs;
          const before = state;
          state = fails ? timedOut(state, nowMs, chance) : succeeded(state, nowMs);
          expect(state.score).toBeGreaterThanOrEqual(0);
          expect(state.score).toBeLessThanOrEqual(SCORE_MAX);
          if (before.unavailable !== state.unavailable) expect(state.unavailable).toBe(fails);
          expect(state.retries).toBe(fails ? before.retries + 1 : 0);
          expect(state.history.at(-1)).toMatchObject({ lastMs: nowMs, score: state.score });
        }
        const runs = events.filter(({ fails }, i) => fails !== events[i - 1]?.fails).length;
        expect(state.history).toHaveLength(Math.min(HISTORY_MAX, runs));
        if (runs <= HISTORY_MAX) {
          expect(state.history.reduce((sum, { count }) => sum + count, 0)).toBe(events.length);
        }
        expect(JSON.parse(JSON.stringify(state))).toEqual(state);
        expect(JSON.stringify(state).length).toBeLessThan(3_500);
      }),
    );
  });

  it('says since when a host is silent', () => {
    const fresh = freshReliability(START);
    const first = timedOut(succeeded(fresh, START), START + 5, 0);
    expect(silentSince(fresh)).toBe(null);
    expect(silentSince(timedOut(first, START + 900, 0))).toBe(START + 5);
    expect(silentSince(succeeded(first, START + 900))).toBe(null);
  });
});
