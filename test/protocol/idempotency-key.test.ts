import { describe, expect, test } from 'vitest';
import {
  checkAge,
  firstRequestIdOf,
  KEY_AHEAD_MS,
  KEY_RETENTION_MS,
  newIdempotencyKey,
  readIdempotencyKey,
  requestId,
} from '../../src/protocol/idempotency-key.ts';

const error = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

describe('a key', () => {
  test('that is the example of RFC 9562, appendix A.6, says when it was issued; case does not matter', () => {
    const issuedMs = Date.parse('2022-02-22T19:22:22.000Z');
    const text = '017f22e2-79b0-7cc3-98c4-dc0c0c07398f';
    expect(readIdempotencyKey(text)).toEqual({ text, issuedMs });
    expect(readIdempotencyKey(text.toUpperCase())).toEqual({ text, issuedMs });
  });

  test('of a time and a text says when it was issued; case matters', () => {
    const text = '1767225600000-order_4711';
    expect(readIdempotencyKey(text)).toEqual({ text, issuedMs: 1_767_225_600_000 });
    expect(readIdempotencyKey('1-ABCDEFG-').text).toBe('1-ABCDEFG-');
    expect(readIdempotencyKey(`1-${'x'.repeat(64)}`).issuedMs).toBe(1);
  });

  test.each([
    '',
    'order 4711',
    '1767225600000',
    '1767225600000-short12',
    `1767225600000-${'x'.repeat(65)}`,
    '1767225600000-order:4711',
    '01767225600000-order_4711',
    '-1-abcdefgh',
    '999999999999999-abcdefgh',
    '12345678-1234-4abc-8abc-123456789012',
    '017f22e2-79b0-7cc3-c8c4-dc0c0c07398f',
    '017f22e279b07cc398c4dc0c0c07398f',
  ])('%j is none, and the error says how to make one', (key) => {
    expect(() => readIdempotencyKey(key)).toThrow(error('bad-request', /UUIDv7.*1767225600000-order_4711/));
  });

  test('is made of a moment and random bytes', () => {
    const key = newIdempotencyKey(0x017f22e279b0, new Uint8Array(10).fill(0xff));
    expect(key).toBe('017f22e2-79b0-7fff-bfff-ffffffffffff');
    expect(readIdempotencyKey(key).issuedMs).toBe(0x017f22e279b0);
    expect(newIdempotencyKey(1, new Uint8Array(10))).toBe('00000000-0001-7000-8000-000000000000');
  });

  test('stands for 24 hours, and may be 5 minutes ahead', () => {
    const issuedMs = 1_767_225_600_000;
    expect(() => checkAge({ issuedMs }, issuedMs + KEY_RETENTION_MS)).not.toThrow();
    expect(() => checkAge({ issuedMs }, issuedMs + KEY_RETENTION_MS + 1)).toThrow(
      error('idempotency-conflict', /expired.*2026-01-01T00:00:00.000Z/),
    );
    expect(() => checkAge({ issuedMs }, issuedMs - KEY_AHEAD_MS)).not.toThrow();
    expect(() => checkAge({ issuedMs }, issuedMs - KEY_AHEAD_MS - 1)).toThrow(error('bad-request', /clock/));
    expect(() => checkAge({ issuedMs: 99_999_999_999_999 }, 0)).toThrow(error('bad-request', /clock/));
  });
});

test('the ids of requests are in the order of their keys’ times', () => {
  const ids = [0, 15, 16, 2 ** 40].map((ms) => requestId(ms, 'f'));
  expect(ids.toSorted()).toEqual(ids);
  expect(firstRequestIdOf(16) > requestId(15, 'f'.repeat(64))).toBe(true);
  expect(firstRequestIdOf(16) < requestId(16, '0')).toBe(true);
  expect(firstRequestIdOf(-5)).toBe(firstRequestIdOf(0));
});
