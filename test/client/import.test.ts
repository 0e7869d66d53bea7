import { afterEach, describe, expect, test } from 'vitest';
import { blocksOf, type ImportFormat } from '../../src/client/blocks.ts';
import { createClient } from '../../src/client/index.ts';
import { type FakeHandler, type FakeServer, failure, fakeServer } from './fake-server.ts';

const decoder = new TextDecoder();

async function cut(
  text: string,
  pieceLength: number,
  format: ImportFormat,
  blockBytes: number,
  stripe = 1_000,
) {
  const pieces: string[] = [];
  for (let at = 0; at < text.length; at += pieceLength) pieces.push(text.slice(at, at + pieceLength));
  const blocks: { text: string; firstLine: number; lines: number }[] = [];
  for await (const { bytes, firstLine, lines } of blocksOf(pieces, format, blockBytes, stripe)) {
    blocks.push({ text: decoder.decode(bytes), firstLine, lines });
  }
  return blocks;
}

describe('blocks', () => {
  const text = 'a\nbb\nccc\ndddd\ne';
  const expected = [
    { text: 'a\nbb\n', firstLine: 1, lines: 2 },
    { text: 'ccc\n', firstLine: 3, lines: 1 },
    { text: 'dddd\n', firstLine: 4, lines: 1 },
    { text: 'e', firstLine: 5, lines: 1 },
  ];

  test.each([1, 2, 3, 100])('are the same whatever the pieces: %i', async (pieceLength) => {
    expect(await cut(text, pieceLength, 'ndjson', 4)).toEqual(expected);
  });

  test.each([1, 3, 100])(
    'a CSV record with newlines between quotes is never cut: %i',
    async (pieceLength) => {
      const csv = 'a,b\n1,"x\ny\n""z"""\n2,q\n';
      const blocks = await cut(csv, pieceLength, 'csv', 1);
      expect(blocks.map((block) => block.text)).toEqual(['a,b\n', '1,"x\ny\n""z"""\n', '2,q\n']);
      expect(blocks.map((block) => block.firstLine)).toEqual([1, 2, 5]);
    },
  );

  test.each([1, 4, 100])('no block reaches over the end of a stripe, whatever %i', async (blockBytes) => {
    const blocks = await cut('a\nbbbbbbbbbbbbb\nc\nd\ne\nf\ng\n', 3, 'ndjson', blockBytes, 3);
    const stripes = blocks.map(({ firstLine, lines }) => [
      Math.floor((firstLine - 1) / 3),
      Math.floor((firstLine + lines - 2) / 3),
    ]);
    expect(stripes.every(([first, last]) => first === last)).toBe(true);
    expect(blocks.map(({ text }) => text).join('')).toBe('a\nbbbbbbbbbbbbb\nc\nd\ne\nf\ng\n');
  });

  test('an empty source has none', async () => {
    expect(await cut('', 1, 'ndjson', 1)).toEqual([]);
  });
});

let server: FakeServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function client(handler: FakeHandler) {
  server = await fakeServer(handler);
  return { db: createClient({ url: server.url }), requests: server.requests };
}

const countLines: FakeHandler = ({ body }) => ({ body: { rows: body.split('\n').length - 1, skipped: 0 } });

describe('import', () => {
  test('rows become lines in typed JSON, and progress counts what was confirmed', async () => {
    const { db, requests } = await client(countLines);
    const seen: number[] = [];
    const result = await db.import(
      'my table',
      [
        { a: 1, b: null },
        { a: 2n ** 60n, b: 'ü' },
      ],
      {
        importId: 'run',
        onProgress: ({ rows }) => seen.push(rows),
      },
    );
    expect(result).toEqual({ importId: 'run', rows: 2, skipped: 0 });
    expect(seen).toEqual([2]);
    expect(requests[0]?.path).toBe('/v1/import/my%20table');
    expect(Object.fromEntries(requests[0]?.query ?? [])).toEqual({ importId: 'run.0', line: '1' });
    expect(requests[0]?.body).toBe('{"a":1,"b":null}\n{"a":{"$int":"1152921504606846976"},"b":"ü"}\n');
  });

  test('a long source goes over four lanes, each in order, and arrives whole', async () => {
    const { db, requests } = await client(countLines);
    const line = `{"text":"${'x'.repeat(290)}"}\n`;
    const lines = 17_000;
    const result = await db.import('t', Array(lines).fill(line), { importId: 'run' });
    expect(result.rows).toBe(lines);
    const lanes = Map.groupBy(requests, (request) => request.query.get('importId'));
    expect([...lanes.keys()].sort()).toEqual(['run.0', 'run.1', 'run.2', 'run.3']);
    for (const lane of lanes.values()) {
      const starts = lane.map((request) => Number(request.query.get('line')));
      expect(starts).toEqual(starts.toSorted((a, b) => a - b));
    }
    const covered = requests.map((request) => ({
      from: Number(request.query.get('line')),
      count: request.body.split('\n').length - 1,
    }));
    let next = 1;
    for (const { from, count } of covered.toSorted((a, b) => a.from - b.from)) {
      expect(from).toBe(next);
      next += count;
    }
    expect(next).toBe(lines + 1);
  });

  test('a CSV carries its header in every block, and the number of its first row', async () => {
    const { db, requests } = await client(() => ({ body: { rows: 1, skipped: 0 } }));
    const row = `1,${'x'.repeat(1 << 20)}\n`;
    await db.import('t', ['a,b\n', row, row], { format: 'csv' });
    const sorted = requests.toSorted((a, b) => Number(a.query.get('line')) - Number(b.query.get('line')));
    expect(sorted.map((request) => request.query.get('line'))).toEqual(['2', '3']);
    expect(sorted.map((request) => request.body.slice(0, 6))).toEqual(['a,b\n1,', 'a,b\n1,']);
    expect(sorted[0]?.headers['content-type']).toBe('text/csv');
  });

  test('a bad line stops the import with the error that names it', async () => {
    const { db } = await client(({ query }) =>
      query.get('line') === '2'
        ? failure(400, { code: 'bad-line', detail: { line: 4711 } })
        : { body: { rows: 1 } },
    );
    const line = `"${'x'.repeat(1 << 20)}"\n`;
    const running = db.import('t', Array(20).fill(line), { importId: 'run' });
    await expect(running).rejects.toMatchObject({ code: 'bad-line', detail: { line: 4711 } });
    expect(server?.requests.length).toBeLessThan(20);
  });
});
