import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeRows,
  encodeArguments,
  encodeValue,
  parseReply,
  RawText,
  real,
} from '../../src/client/values.ts';

describe('arguments', () => {
  test.each([
    [null, 'null'],
    [5, '5'],
    [-5, '-5'],
    [5n, '5'],
    [2n ** 53n, '{"$int":"9007199254740992"}'],
    [-(2n ** 63n), '{"$int":"-9223372036854775808"}'],
    [5.5, '5.5'],
    [real(5), '5.0'],
    [real(-0), '-0.0'],
    // Beyond the safe integers a number is no exact INTEGER; digits alone would be read as one.
    [2 ** 53, '9007199254740992.0'],
    [1e20, '100000000000000000000.0'],
    [1e21, '1e+21'],
    [Number.POSITIVE_INFINITY, '{"$real":"inf"}'],
    [real(Number.NEGATIVE_INFINITY), '{"$real":"-inf"}'],
    [true, 'true'],
    ['a"\n\u0000ü', '"a\\"\\n\\u0000ü"'],
    [new Uint8Array([0, 255]), '{"$blob":"AP8="}'],
    [new Uint8Array([1, 2]).buffer, '{"$blob":"AQI="}'],
    [new RawText(new Uint8Array([0xff])), '{"$text":"/w=="}'],
  ])('%s is sent as %s', (value, json) => {
    expect(encodeValue(value)).toBe(json);
  });

  test('named arguments keep their names', () => {
    expect(encodeArguments({ ':a': 1, b: real(2) })).toBe('{":a":1,"b":2.0}');
  });

  test.each([
    [Number.NaN, /NaN.*send null/],
    [2n ** 63n, /64-bit/],
    [undefined, /undefined.*send null/],
    [new Date(0), /Date.*toISOString/],
    [{ a: 1 }, /JSON.stringify/],
  ])('%s is refused with what to send instead', (value, message) => {
    expect(() => encodeValue(value as never)).toThrow(message);
  });
});

describe('results', () => {
  const decode = (json: string, mode: 'number' | 'bigint') =>
    decodeRows([parseReply(json, mode) as unknown[]])[0];

  test('INTEGERs are numbers as long as they are exact', () => {
    expect(decode('[1,{"$int":"9007199254740993"},1.0,{"$real":"-inf"},"x",null]', 'number')).toEqual([
      1,
      9007199254740993n,
      1,
      Number.NEGATIVE_INFINITY,
      'x',
      null,
    ]);
  });

  test('mode bigint tells INTEGER from REAL', () => {
    expect(decode('[1,1.0,-7,1e3,"5"]', 'bigint')).toEqual([1n, 1, -7n, 1000, '5']);
  });

  test('a tag that nobody knows is an error, not an object in the data', () => {
    expect(() => decode('[{"$date":"x"}]', 'number')).toThrow(/\$date/);
  });

  test('every value comes back as it was sent, type included', () => {
    const value = fc.oneof(
      fc.constant(null),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.double({ noNaN: true }),
      fc.string({ unit: 'binary' }),
      fc.uint8Array({ maxLength: 100 }),
    );
    fc.assert(
      fc.property(value, (sent) => {
        const json = encodeValue(typeof sent === 'number' ? real(sent) : sent);
        expect(decode(`[${json}]`, 'bigint')).toEqual([sent]);
      }),
    );
  });

  test('a large blob survives', () => {
    const bytes = new Uint8Array(300_000).map((_, index) => index * 7);
    expect(decode(`[${encodeValue(bytes)}]`, 'number')).toEqual([bytes]);
  });
});
