import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteReader, ByteWriter } from '../../../src/core/log/bytes.ts';
import { decodeUtf8, encodeUtf8 } from '../../../src/core/sqlite/utf8.ts';

/** Longer than what is made text at a time, with characters of every length around that place. */
const long = fc
  .tuple(fc.integer({ min: 4080, max: 4110 }), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }))
  .map(([before, middle]) => `${'a'.repeat(before)}${middle}𝄞é${'b'.repeat(5000)}`);
const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary', maxLength: 40 }), long);
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
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
