import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Timestamp } from '../../../src/base/brand.ts';
import {
  compareTimestamps,
  formatTimestamp,
  maxTimestamp,
  parseTimestamp,
} from '../../../src/core/clock/timestamp.ts';

const near = (limit: number) =>
  fc.oneof(
    fc.nat({ max: limit - 1 }),
    fc.nat({ max: 20 }),
    fc.nat({ max: 20 }).map((n) => limit - 1 - n),
  );
const parts = fc.record({
  milliseconds: near(2 ** 48),
  counter: near(2 ** 16),
  node: fc.stringMatching(/^[0-9A-Za-z_.-]{1,8}$/),
});

describe('timestamp', () => {
  it('is written as the format says', () => {
    const text = formatTimestamp({ milliseconds: 0x18f_0123_4567, counter: 0xab, node: 'edge-1' });
    expect(text).toBe('018f0123456700ab-edge-1');
  });

  it('comes back from its text', () => {
    fc.assert(
      fc.property(parts, (one) => {
        expect(parseTimestamp(formatTimestamp(one))).toEqual(one);
      }),
    );
  });

  it('orders as text as it orders in time', () => {
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        const time =
          a.milliseconds - b.milliseconds ||
          a.counter - b.counter ||
          (a.node < b.node ? -1 : a.node > b.node ? 1 : 0);
        const [left, right] = [formatTimestamp(a), formatTimestamp(b)];
        expect(compareTimestamps(left, right)).toBe(Math.sign(time));
        expect(Math.sign(Buffer.compare(Buffer.from(left), Buffer.from(right)))).toBe(Math.sign(time));
        expect(maxTimestamp(left, right)).toBe(time >= 0 ? left : right);
      }),
    );
  });

  it.each([
    '',
    '018f0123456700ab',
    '018f0123456700ab-',
    '018F0123456700AB-n',
    '18f0123456700ab-n',
    '018f0123456700ab-a b',
    '018f0123456700ab-n\n',
    ' 018f0123456700ab-n',
  ])('refuses %j', (text) => {
    expect(parseTimestamp(text)).toBeNull();
  });

  it('stops at what cannot be written or compared', () => {
    expect(() => formatTimestamp({ milliseconds: 2 ** 48, counter: 0, node: 'n' })).toThrow(/ms/);
    expect(() => formatTimestamp({ milliseconds: 1.5, counter: 0, node: 'n' })).toThrow(/ms/);
    expect(() => formatTimestamp({ milliseconds: 0, counter: 2 ** 16, node: 'n' })).toThrow(/counter/);
    expect(() => formatTimestamp({ milliseconds: 0, counter: 0, node: 'é' })).toThrow(/node/);
    expect(() => compareTimestamps('yesterday' as Timestamp, 'today' as Timestamp)).toThrow(/compare/);
  });
});
