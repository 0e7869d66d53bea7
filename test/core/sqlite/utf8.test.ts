import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteReader, ByteWriter } from '../../../src/core/log/bytes.ts';
import { decodeUtf8, encodeUtf8 } from '../../../src/core/sqlite/utf8.ts';

/** Around the length from which on the runtime does it, with characters of every length around that place. */
const long = fc
  .tuple(fc.integer({ min: 0, max: 60 }), fc.string({ unit: 'grapheme', maxLength: 8 }), fc.nat({ max: 90 }))
  .map(([before, middle, after]) => `${'a'.repeat(before)}${middle}${'b'.repeat(after)}`);
const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary', maxLength: 120 }), long);
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 120 }),
  text.map((each) => new TextEncoder().encode(each)),
);

describe('UTF-8', () => {
  test('is written as the platform writes it', () => {
    fc.assert(
      fc.property(text, (each) => {
        expect(Buffer.from(encodeUtf8(each))).toEqual(Buffer.from(new TextEncoder().encode(each)));
      }),
    );
  });

  test('is read as the platform reads it, and what is none is null', () => {
    const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    const read = (each: Uint8Array) => {
      try {
        return strict.decode(each);
      } catch {
        return null;
      }
    };
    fc.assert(
      fc.property(bytes, fc.nat(), (each, cut) => {
        const some = each.subarray(0, each.length - (cut % 4));
        expect(decodeUtf8(some)).toBe(read(some));
      }),
    );
  });

  test('of 8 MB', () => {
    const some = `${'a'.repeat(2 ** 23)}é`;
    expect(decodeUtf8(encodeUtf8(some))).toBe(some);
    const writer = new ByteWriter();
    writer.text(some);
    expect(new ByteReader(writer.finish()).text()).toBe(some);
  });

  test('of a writer that is used again', () => {
    const writer = new ByteWriter();
    for (const some of ['x'.repeat(3 * 2 ** 20), 'short', 'é'.repeat(100_000), '']) {
      writer.clear();
      writer.text(some);
      const reader = new ByteReader(writer.finish());
      expect(reader.text()).toBe(some);
      expect(reader.done).toBe(true);
    }
  });

  test('of several texts in one row of bytes', () => {
    fc.assert(
      fc.property(fc.array(text), (texts) => {
        const writer = new ByteWriter();
        for (const each of texts) writer.text(each);
        const reader = new ByteReader(writer.finish());
        expect(texts.map(() => reader.text())).toEqual(texts.map((each) => each.toWellFormed()));
        expect(reader.done).toBe(true);
      }),
    );
  });
});
