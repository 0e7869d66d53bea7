import { describe, expect, test } from 'vitest';
import type { Timestamp } from '../../../src/base/brand.ts';
import { momentOf, timeOf } from '../../../src/core/clock/moment.ts';
import { parseTimestamp } from '../../../src/core/clock/timestamp.ts';

const NOON = Date.UTC(2026, 10, 27, 12);

const millisecondsOf = (value: unknown) => parseTimestamp(momentOf(value) ?? '')?.milliseconds ?? null;

describe('a moment', () => {
  test.each([
    ['2026-11-27T12:00:00.000Z', NOON],
    ['2026-11-27T12:00:00Z', NOON],
    ['2026-11-27T12:00Z', NOON],
    ['2026-11-27 12:00:00.5z', NOON + 500],
    ['2026-11-27T12:00:00.0019999Z', NOON + 1],
    ['2026-11-27T13:30:00+01:30', NOON],
    ['2026-11-27T10:00:00-0200', NOON],
    ['2028-02-29T00:00:00Z', Date.UTC(2028, 1, 29)],
    ['1970-01-01T00:00:00Z', 0],
    [NOON, NOON],
    [0, 0],
  ])('%s', (value, milliseconds) => {
    expect(millisecondsOf(value)).toBe(milliseconds);
  });

  test('given by a time is behind all that happened within its millisecond, and before the next', () => {
    const moment = momentOf(NOON) as string;
    const milliseconds = NOON.toString(16).padStart(12, '0');
    expect(moment > `${milliseconds}0000-p1`).toBe(true);
    expect(moment > `${milliseconds}ffff-p4095`).toBe(true);
    expect(moment < `${(NOON + 1).toString(16).padStart(12, '0')}0000-p0`).toBe(true);
  });

  test('given by a timestamp is that timestamp', () => {
    const text = '0193718a8c000001-p3';
    expect(momentOf(text)).toBe(text);
    expect(momentOf(momentOf(NOON))).toBe(momentOf(NOON));
  });

  test.each([
    '2026-11-27',
    '2026-11-27T12:00:00',
    '2026-02-30T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-11-27T24:00:00Z',
    '2026-11-27T12:60:00Z',
    '2026-11-27T12:00:60Z',
    '2026-11-27T12:00:00+24:00',
    '0050-01-01T00:00:00Z',
    '1969-12-31T23:59:59Z',
    'now',
    '',
    String(NOON),
    '0193718A8C000001-p3',
    -1,
    1.5,
    Number.NaN,
    2 ** 48,
    null,
    true,
    new Uint8Array(1),
  ])('is not %s', (value) => {
    expect(momentOf(value)).toBeNull();
  });

  test('is shown as a time', () => {
    expect(timeOf(momentOf(NOON) as Timestamp)).toBe('2026-11-27T12:00:00.000Z');
    expect(timeOf('ffffffffffff0000-p1' as Timestamp)).toBe(new Date(2 ** 48 - 1).toISOString());
  });
});
