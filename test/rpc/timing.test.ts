import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CLOCK_SKEW_MAX_MS } from '../../src/core/network/joining.ts';
import { clockSkew } from '../../src/rpc/clock-skew.ts';
import { BACKOFF_FIRST_MS, BACKOFF_MAX_MS, backoffMs } from '../../src/rpc/reconnect.ts';

describe('back-off', () => {
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

  test('lies between nothing and a bound that doubles, up to the largest', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2000 }), random, (failures, chance) => {
        const wait = backoffMs(failures, chance);
        expect(wait).toBeGreaterThanOrEqual(0);
        expect(wait).toBeLessThanOrEqual(Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (failures - 1)));
        expect(Number.isInteger(wait)).toBe(true);
      }),
    );
  });

  test('uses all of that range, so that hosts do not return together', () => {
    const almostOne = 1 - Number.EPSILON;
    expect(
      [1, 2, 3, 8, 1000].map((failures) => [backoffMs(failures, 0), backoffMs(failures, almostOne)]),
    ).toEqual([
      [0, 250],
      [0, 500],
      [0, 1000],
      [0, 30_000],
      [0, 30_000],
    ]);
    expect(backoffMs(3, 0.5)).toBe(500);
  });
});

describe('clock skew', () => {
  test('is found within half of the round trip, wherever in it the other clock was read', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e7, max: 1e7 }), fc.nat(5000), fc.nat(5000), (offset, there, back) => {
        const sentAt = 1_700_000_000_000;
        const time = sentAt + there + offset;
        const skew = clockSkew({ time, sentAt, receivedAt: sentAt + there + back });
        expect(Math.abs(skew.offsetMs - offset)).toBeLessThanOrEqual(skew.uncertaintyMs);
        if (Math.abs(offset) <= CLOCK_SKEW_MAX_MS) expect(skew.isTooFar).toBe(false);
        if (Math.abs(offset) > CLOCK_SKEW_MAX_MS + there + back) expect(skew.isTooFar).toBe(true);
      }),
    );
  });

  test('of an hour is too far, either way', () => {
    for (const hour of [3_600_000, -3_600_000]) {
      expect(clockSkew({ time: 1e12 + hour, sentAt: 1e12, receivedAt: 1e12 + 80 })).toMatchObject({
        offsetMs: hour - 40,
        isTooFar: true,
      });
    }
  });
});
