import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Epoch, PartitionId } from '../../../src/base/brand.ts';
import { RawText, type SqlValue } from '../../../src/base/sql-value.ts';
import { applyFeed } from '../../../src/core/replica/feed.ts';
import { Replica } from '../../../src/core/replica/replica.ts';
import { EMPTY_CATALOGUE } from '../../../src/core/schema/catalogue.ts';
import type { SchemaChange } from '../../../src/core/schema/change.ts';
import { planSchemaChange } from '../../../src/core/schema/plan-change.ts';
import { selectExact } from '../../../src/core/sqlite/exact.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import type { ImportChunkHead, ImportRun } from '../../../src/protocol/import.ts';

const NOW = Date.UTC(2026, 10, 20);
const DDL = [
  'CREATE TABLE t (k TEXT, n INTEGER CHECK (n < 1000), v) PARTITION BY (k)',
  'CREATE TABLE ids (id INTEGER PRIMARY KEY, k TEXT) PARTITION BY (k)',
];

let port: NodeSqlitePort;
let replica: Replica;

function open(): void {
  port = new NodeSqlitePort(':memory:', { synchronous: 'OFF' });
  replica = Replica.create(port, {
    database: 'main',
    partition: 1 as PartitionId,
    history: 'h',
    node: 'p1',
    epoch: 1 as Epoch,
    ranges: [{ start: 0, end: 2 ** 32 }],
    identifiers: { start: 1, end: 2 ** 53 },
  });
  applyFeed(
    replica,
    { from: 0, entries: [{ index: 1, kind: 'schema', proposal: 1, change: schemaChange() }] },
    NOW,
  );
}

function schemaChange(): SchemaChange {
  const change = planSchemaChange(new NodeSqlitePort(':memory:'), EMPTY_CATALOGUE, DDL, NOW);
  if (change === null) throw new Error('the schema changes');
  return change;
}

beforeEach(open);

interface Line {
  readonly line: number;
  readonly values: string;
}

const RUN: Omit<ImportRun, 'rowCount'> = { columns: ['k', 'n', 'v'], generatesIds: false, tagged: [] };

function chunk(importId: string | null, lines: readonly Line[], changes: Partial<ImportChunkHead> = {}) {
  const head: ImportChunkHead = {
    epoch: 1 as Epoch,
    schema: replica.schema.version,
    system: 1,
    table: 't',
    importId,
    firstLine: lines[0]?.line ?? 0,
    lastLine: lines.at(-1)?.line ?? 0,
    runs: [{ ...RUN, rowCount: lines.length }],
    ...changes,
  };
  const rows = lines.map(({ line, values }) => `[${line},${values}]`);
  return replica.importChunk(head, rows, NOW);
}

const line = (number: number, n: number | string = number): Line => ({
  line: number,
  values: `"k${number % 3}",${n},null`,
});
const done = (rows: number, skipped: number) => ({ kind: 'done', body: JSON.stringify({ rows, skipped }) });
const numbers = () => port.query('SELECT n FROM t ORDER BY rowid').rows.map(([n]) => n);

describe('the watermark', () => {
  test('a chunk that is sent again adds nothing', () => {
    const lines = [line(3), line(5)];
    expect(chunk('a', lines)).toEqual(done(2, 0));
    expect(chunk('a', lines)).toEqual(done(0, 2));
    expect(numbers()).toEqual([3, 5]);
  });

  test('a chunk that begins before it and ends behind it adds the rest', () => {
    chunk('a', [line(1), line(2)]);
    expect(chunk('a', [line(2), line(3), line(7)])).toEqual(done(2, 1));
    expect(numbers()).toEqual([1, 2, 3, 7]);
  });

  test('belongs to one import and one table', () => {
    chunk('a', [line(1)]);
    expect(chunk('b', [line(1)])).toEqual(done(1, 0));
    expect(chunk(null, [line(1)])).toEqual(done(1, 0));
    const runs = [{ columns: ['k'], generatesIds: true, tagged: [], rowCount: 1 }];
    expect(chunk('a', [{ line: 1, values: '"x"' }], { table: 'ids', runs })).toEqual(done(1, 0));
  });

  test('is in the same entry of the log as the rows', () => {
    const entries = () => port.query('SELECT count(*) FROM _atoll_commits').rows[0]?.[0];
    const before = entries();
    chunk('a', [line(1), line(2)]);
    expect(entries()).toBe(Number(before) + 1);
    chunk('a', [line(1), line(2)]);
    expect(entries()).toBe(Number(before) + 1);
  });

  test('property: however a source is cut, broken off and begun again, each line is in once', () => {
    const gaps = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 30 });
    const cuts = fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(gaps, fc.array(cuts, { maxLength: 4 }), (steps, runs) => {
        open();
        const lines = steps.map((_, index) =>
          line(steps.slice(0, index + 1).reduce((sum, step) => sum + step)),
        );
        for (const run of [...runs, [lines.length]]) {
          let next = 0;
          for (const size of run) {
            if (next >= lines.length) break;
            expect(chunk('p', lines.slice(next, next + size)).kind).toBe('done');
            next += size;
          }
        }
        expect(numbers()).toEqual(lines.map((each) => each.line));
      }),
      { numRuns: 60 },
    );
  });
});

describe('a bad row', () => {
  test.each([1, 2, 50, 99, 100])('is named by its line, and nothing of its chunk is kept: %i', (bad) => {
    const lines = Array.from({ length: 100 }, (_, index) =>
      line(2 * (index + 1), index + 1 === bad ? 5_000 : 1),
    );
    const outcome = chunk('a', lines);
    expect(outcome).toMatchObject({
      kind: 'error',
      error: { code: 'constraint', outcome: 'none', detail: { line: 2 * bad } },
    });
    expect(numbers()).toEqual([]);
    expect(
      chunk(
        'a',
        lines.filter((each) => each.line !== 2 * bad),
      ),
    ).toEqual(done(99, 0));
  });

  test('gives its generated ids back', () => {
    const generated = [{ columns: ['k'], generatesIds: true, tagged: [], rowCount: 2 }];
    const two = [
      { line: 1, values: '"x"' },
      { line: 2, values: '"y"' },
    ];
    port.transaction(() => {
      port.query("INSERT INTO ids (id, k) VALUES (3, 'taken')");
      replica.append('write', null, NOW);
    });
    chunk(null, two, { table: 'ids', runs: generated });
    const outcome = chunk(null, two, { table: 'ids', runs: generated });
    expect(outcome).toMatchObject({ kind: 'error', error: { detail: { line: 1 } } });
    expect(port.query('SELECT id FROM ids ORDER BY id').rows).toEqual([[1], [2], [3]]);
  });

  test('an id that other partitions were not asked for is refused', () => {
    const runs = [{ columns: ['id', 'k'], generatesIds: false, tagged: [], rowCount: 1 }];
    const outcome = chunk(null, [{ line: 1, values: '3,"mine"' }], { table: 'ids', runs });
    expect(outcome).toMatchObject({ kind: 'error', error: { code: 'bad-request' } });
    expect(port.query('SELECT count(*) FROM ids').rows).toEqual([[0]]);
  });

  test('an unknown table is said so', () => {
    expect(chunk('a', [line(1)], { table: 'none' })).toMatchObject({ error: { code: 'no-such-table' } });
  });
});

test('a chunk made for another schema or epoch is refused', () => {
  expect(chunk('a', [line(1)], { schema: 0 as never })).toMatchObject({ kind: 'stale' });
  expect(chunk('a', [line(1)], { schema: 9 as never })).toMatchObject({ kind: 'behind' });
  expect(chunk('a', [line(1)], { epoch: 2 as never })).toMatchObject({ kind: 'stale' });
});

test('values come out of the chunk as they are', () => {
  const values: [json: string, value: SqlValue][] = [
    ['null', null],
    ['9223372036854775807', 2n ** 63n - 1n],
    ['-9223372036854775808', -(2n ** 63n)],
    ['-0.0', -0],
    ['9e999', Infinity],
    ['-9e999', -Infinity],
    ['5.0', 5],
    ['5e-324', 5e-324],
    ['"a\\u0000b"', 'a\0b'],
    ['"\\ud83d\\ude00"', '😀'],
    ['{"b":"00FF"}', Uint8Array.of(0, 255)],
    ['{"b":""}', new Uint8Array()],
    ['{"t":"ff"}', new RawText(Uint8Array.of(255))],
  ];
  const lines = values.map(([json], index) => ({ line: index + 1, values: `"k",1,${json}` }));
  chunk(null, lines, { runs: [{ ...RUN, tagged: [2], rowCount: lines.length }] });
  const read = selectExact(port, ['v'], 'FROM t ORDER BY rowid').map(([value]) => value);
  expect(read).toEqual(values.map(([, value]) => value));
});
