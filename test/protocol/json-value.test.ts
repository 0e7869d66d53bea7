import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RawText, type SqlValue } from '../../src/base/sql-value.ts';
import { AtollError } from '../../src/protocol/error.ts';
import { parseJson } from '../../src/protocol/json-text.ts';
import {
  decodeArguments,
  decodeRow,
  decodeValue,
  encodeRow,
  encodeValue,
} from '../../src/protocol/json-value.ts';
import { isUtf8 } from '../../src/protocol/utf8.ts';

const read = (text: string) => decodeValue(parseJson(text));

function failure(run: () => unknown): AtollError {
  try {
    run();
  } catch (error) {
    if (error instanceof AtollError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

const real = fc.oneof(
  fc.double({ noNaN: true }),
  fc.maxSafeInteger().map(Number),
  fc.constantFrom(
    -0,
    5e-324,
    -5e-324,
    2.2e-308,
    1.7976931348623157e308,
    Infinity,
    -Infinity,
    1e21,
    1e20,
    2 ** 53,
  ),
);
const integer = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: 2n ** 53n - 3n, max: 2n ** 53n + 3n }),
  fc.integer().map(BigInt),
  fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, 0n, -(2n ** 53n), 10n ** 15n, 10n ** 16n),
);
const bytes = fc.uint8Array({ maxLength: 40 }).map((value) => Uint8Array.from(value));
const value: fc.Arbitrary<SqlValue> = fc.oneof(
  fc.constant(null),
  integer,
  real,
  fc.string({ unit: 'binary' }),
  fc.stringMatching(/^[\\"0-9.eE{}[\],:\n\t]{0,12}$/),
  bytes,
  bytes.filter((one) => !isUtf8(one)).map((one) => new RawText(one)),
);

describe('values as JSON', () => {
  it('come back as they went, with their types', () => {
    fc.assert(
      fc.property(fc.array(value), (row) => {
        const text = encodeRow(row);
        const back = decodeRow(parseJson(text) as unknown[]);
        expect(back).toStrictEqual(row);
        for (const [i, one] of row.entries())
          expect(Object.is(back[i], one) || typeof one === 'object').toBe(true);
        expect(decodeRow(JSON.parse(JSON.stringify(parseJson(text))))).toStrictEqual(row);
      }),
      { numRuns: 3000 },
    );
  });

  it.each<[value: SqlValue, text: string]>([
    [null, 'null'],
    [5n, '5'],
    [2n ** 53n - 1n, '9007199254740991'],
    [2n ** 53n, '{"$int":"9007199254740992"}'],
    [-(2n ** 63n), '{"$int":"-9223372036854775808"}'],
    [5, '5.0'],
    [-0, '-0.0'],
    [0.1, '0.1'],
    [1e20, '100000000000000000000.0'],
    [1e300, '1e+300'],
    [5e-324, '5e-324'],
    [Infinity, '{"$real":"inf"}'],
    [-Infinity, '{"$real":"-inf"}'],
    ['a"\\\n\0é', '"a\\"\\\\\\n\\u0000é"'],
    [Uint8Array.of(), '{"$blob":""}'],
    [Uint8Array.of(1, 2, 255, 254), '{"$blob":"AQL//g=="}'],
    [new RawText(Uint8Array.of(0x61, 0xff)), '{"$text":"Yf8="}'],
  ])('%o is %s', (one, text) => {
    expect(encodeValue(one)).toBe(text);
    expect(read(text)).toStrictEqual(one);
  });

  it.each<[text: string, value: SqlValue]>([
    ['5', 5n],
    ['-0', 0n],
    ['5.0', 5],
    ['5e0', 5],
    ['5E-1', 0.5],
    ['9007199254740993', 9007199254740993n],
    ['-9223372036854775808', -(2n ** 63n)],
    ['9007199254740993.0', 9007199254740992],
    ['true', 1n],
    ['false', 0n],
    ['{"$int":"5"}', 5n],
    ['{"$real":"5"}', 5],
    ['{"$blob":"AQI"}', Uint8Array.of(1, 2)],
    ['"1.5 and 12345678901234567890"', '1.5 and 12345678901234567890'],
    ['"\\\\\\" 1.5"', '\\" 1.5'],
  ])('a request may say %s', (text, expected) => {
    expect(read(text)).toStrictEqual(expected);
    expect(Object.is(read(text), expected) || typeof expected === 'object').toBe(true);
  });

  it.each([
    ['9223372036854775808', /64 bits/],
    [`-${'9'.repeat(5000)}`, /integer/],
    ['1e999', /beyond REAL/],
    ['{"$real":"nan"}', /send null/],
    ['{"$real":"0x10"}', /no number/],
    ['{"$real":5}', /string/],
    ['{"$int":"1.5"}', /no integer/],
    ['{"$int":""}', /no integer/],
    ['{"$blob":"A"}', /base64/],
    ['{"$blob":"A-_="}', /base64/],
    ['{"$blob":"AQ==","x":1}', /send JSON as a string/],
    ['{"$text":"YQ=="}', /send a string/],
    ['{"$date":"2026"}', /unknown tag/],
    ['{"a":1}', /send JSON as a string/],
    ['[1]', /send JSON as a string/],
    ['{"__proto__":1}', /send JSON as a string/],
    ['"\\ud800"', /surrogate/],
  ])('%s is refused with a reason', (text, reason) => {
    const error = failure(() => read(text));
    expect(error.code).toBe('parameter');
    expect(error.message).toMatch(reason);
  });

  it('are read from arrays and from objects of names, and named in errors', () => {
    expect(decodeArguments(undefined)).toEqual([]);
    expect(decodeArguments(parseJson('[1,1.5,"a"]'))).toEqual([1n, 1.5, 'a']);
    const named = decodeArguments(parseJson('{":id":1,"__proto__":2.5,":id":3}'));
    expect(named).toEqual(
      new Map<string, SqlValue>([
        [':id', 3n],
        ['__proto__', 2.5],
      ]),
    );
    expect(failure(() => decodeArguments(parseJson('[1,[]]'))).message).toMatch(/^argument 2 is/);
    expect(failure(() => decodeArguments(parseJson('{"a":{}}'))).message).toMatch(/^args\.a is/);
    expect(failure(() => decodeArguments(5)).message).toMatch(/array/);
  });
});

describe('isUtf8', () => {
  it('agrees with the platform', () => {
    const decoder = new TextDecoder('utf-8', { fatal: true });
    const spicy = fc.constantFrom(
      0,
      0x41,
      0x7f,
      0x80,
      0x8f,
      0x90,
      0x9f,
      0xa0,
      0xbf,
      0xc1,
      0xc2,
      0xdf,
      0xe0,
      0xed,
      0xef,
      0xf0,
      0xf4,
      0xf5,
      0xff,
    );
    fc.assert(
      fc.property(fc.array(spicy, { maxLength: 6 }), (codes) => {
        let valid = true;
        try {
          decoder.decode(Uint8Array.from(codes));
        } catch {
          valid = false;
        }
        expect(isUtf8(Uint8Array.from(codes))).toBe(valid);
      }),
      { numRuns: 20_000 },
    );
  });
});
