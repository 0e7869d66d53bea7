import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CsvReader } from '../../src/gateway/import/csv-reader.ts';
import { NdjsonReader } from '../../src/gateway/import/ndjson-reader.ts';
import type { RecordReader, SourceRecord } from '../../src/gateway/import/record.ts';
import { textBlocks } from '../../src/gateway/import/text-blocks.ts';

/** The bytes in pieces of those sizes, the last one taken again and again. */
function inPieces(bytes: Uint8Array, sizes: readonly number[]): ReadableStream<Uint8Array> {
  let at = 0;
  let turn = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      const size = sizes[Math.min(turn++, sizes.length - 1)] ?? 1;
      controller.enqueue(bytes.slice(at, at + size));
      at += size;
    },
  });
}

async function recordsOf(reader: RecordReader, body: ReadableStream<Uint8Array>): Promise<SourceRecord[]> {
  const records: SourceRecord[] = [];
  const take = () => {
    for (let record = reader.next(); record !== null; record = reader.next()) records.push(record);
  };
  for await (const text of textBlocks(body)) {
    reader.push(text);
    take();
  }
  reader.end();
  take();
  return records;
}

const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 });
const encode = (text: string) => new TextEncoder().encode(text);

describe('text arrives whole, however its bytes are cut', () => {
  test('property: NDJSON', async () => {
    const line = fc.string({ unit: 'grapheme', maxLength: 12 }).map((text) => JSON.stringify(text));
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 20 }), sizes, fc.boolean(), async (texts, cut, ended) => {
        const body = texts.join('\n') + (ended && texts.length > 0 ? '\n' : '');
        const records = await recordsOf(new NdjsonReader(1), inPieces(encode(body), cut));
        expect(records).toEqual(texts.map((text, index) => ({ kind: 'json', line: index + 1, text })));
      }),
      { numRuns: 100 },
    );
  });

  test('property: CSV of any fields, with and without quotes', async () => {
    const unit = fc.constantFrom('a', ',', '"', '\n', '\r\n', ' ', 'é', '😀', '\ufeff');
    const field = fc.record({
      text: fc.array(unit, { maxLength: 5 }).map((units) => units.join('')),
      quotes: fc.boolean(),
    });
    const row = fc.array(field, { minLength: 2, maxLength: 4 });
    const needsQuotes = (text: string) => /[",\r\n]/.test(text);
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 8 }), sizes, fc.boolean(), async (rows, cut, windows) => {
        const written = rows.map((fields) =>
          fields
            .map(({ text, quotes }) =>
              quotes || needsQuotes(text) ? `"${text.replaceAll('"', '""')}"` : text,
            )
            .join(','),
        );
        const body = written.map((text) => text + (windows ? '\r\n' : '\n')).join('');
        const records = await recordsOf(new CsvReader(1, false), inPieces(encode(body), cut));
        let line = 1;
        const expected = rows.map((fields, index) => {
          const first = line;
          line += (written[index] ?? '').split('\n').length;
          return { line: first, fields: fields.map(({ text }) => text) };
        });
        expect(
          records.map((record) => record.kind === 'fields' && { line: record.line, fields: record.fields }),
        ).toEqual(expected);
        for (const [index, record] of records.entries()) {
          if (record.kind !== 'fields' || record.quoted === null) continue;
          const quoted = (rows[index] ?? []).map(({ text, quotes }) => quotes || needsQuotes(text));
          expect(record.quoted).toEqual(quoted);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('what cannot be read', () => {
  const read = (body: Uint8Array) => recordsOf(new CsvReader(1, false), inPieces(body, [7]));

  test.each([
    ['a,"b\nc\n', 'a quote is not closed'],
    ['"a"b,c\n', 'after a closing quote'],
  ])('%j', async (text, message) => {
    await expect(read(encode(text))).rejects.toMatchObject({
      code: 'payload',
      message: expect.stringContaining(message),
    });
  });

  test('bytes that are no UTF-8, after the lines before them', async () => {
    const reader = new NdjsonReader(1);
    const body = Uint8Array.from([...encode('1\n2\n'), 0xc3, 0x28, 0x0a, ...encode('4\n')]);
    await expect(recordsOf(reader, inPieces(body, [100]))).rejects.toMatchObject({ code: 'payload' });
    expect(reader.line).toBe(3);
  });

  test('a line without an end', async () => {
    const endless = inPieces(new Uint8Array(5 << 20).fill(0x61), [1 << 16]);
    await expect(recordsOf(new NdjsonReader(1), endless)).rejects.toMatchObject({ code: 'too-large' });
  });
});
