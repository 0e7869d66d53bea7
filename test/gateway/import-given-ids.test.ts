import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Objects } from '../cluster/objects.ts';
import { lines } from './loading.ts';

let objects: Objects;

beforeAll(async () => {
  objects = await Objects.start(3);
  await objects.rows(
    'CREATE TABLE people (id INTEGER PRIMARY KEY, town TEXT NOT NULL, name) PARTITION BY (town)',
  );
});
afterAll(() => objects.close());
beforeEach(async () => {
  await objects.rows('DELETE FROM people');
});

const ids = async () => (await objects.rows('SELECT id FROM people ORDER BY id')).map(([id]) => id as number);
const town = (line: number) => `town ${line % 50}`;
const generate = async (count: number) => {
  for (let i = 0; i < count; i++) await objects.rows(`INSERT INTO people (town) VALUES ('${town(i)}')`);
};

/** Out of order, each once. */
const idOf = (line: number) => 1 + ((line * 367) % 1_009);

describe('an import with ids beside the partition key', () => {
  test('keeps them, once under its id, and none of them is generated afterwards', async () => {
    const body = lines(1_000, (line) => ({ id: idOf(line), town: town(line), name: line }));
    expect((await objects.import('people', body, '?importId=a')).json).toMatchObject({ rows: 1_000 });
    expect((await objects.import('people', body, '?importId=a')).json).toMatchObject({ skipped: 1_000 });
    expect(await objects.rows('SELECT count(*), sum(id = 1 + name * 367 % 1009) FROM people')).toEqual([
      [1_000, 1_000],
    ]);
    await generate(60);
    const all = await ids();
    expect([all.length, new Set(all).size]).toEqual([1_060, 1_060]);
    // A rerun does not ask for ids of rows that have moved since.
    await objects.rows("UPDATE people SET town = 'elsewhere' WHERE town = 'town 3'");
    const longer = body + lines(1, () => ({ id: 5_000_000, town: 'town 3' }));
    expect((await objects.import('people', longer, '?importId=a')).json).toMatchObject({
      rows: 1,
      skipped: 1_000,
    });
  });

  test('refuses one that a row has anywhere, and names the line', async () => {
    await generate(20);
    const [taken] = await ids();
    await objects.rows("UPDATE people SET town = 'far away'");
    for (const there of ['town 1', 'town 2', 'town 3', 'far away']) {
      const body = lines(90, (line) => ({ id: line === 77 ? taken : 700_000 + line, town: there }));
      const { status, json } = await objects.import('people', body);
      expect([status, json.error]).toMatchObject([
        409,
        { code: 'constraint', message: 'line 77: UNIQUE constraint failed: people.id', detail: { line: 77 } },
      ]);
    }
    expect((await ids()).length).toBe(20);
  });

  test('refuses one that comes twice, in one partition or in two', async () => {
    for (const other of ['town 1', 'town 2', 'town 3', 'town 4']) {
      const body = lines(40, (line) => ({
        id: line === 30 ? 900_007 : 900_000 + line,
        town: line === 30 ? other : 'town 1',
      }));
      const { status, json } = await objects.import('people', body);
      expect([status, json.error.code]).toEqual([409, 'constraint']);
      expect([7, 30]).toContain(json.error.detail.line);
      const all = await ids();
      expect(new Set(all).size).toBe(all.length);
      await objects.rows('DELETE FROM people');
    }
  });

  test('takes rows with and without, in what types they come', async () => {
    const body = [
      '{"id":"81","town":"a"}',
      '{"id":82.0,"town":"b"}',
      '{"town":"a"}',
      '{"id":null,"town":"b"}',
    ]
      .concat('{"id":{"$int":"1152921504606846977"},"town":"c"}', '{"id":-4,"town":"d"}')
      .join('\n');
    expect((await objects.import('people', body)).json).toMatchObject({ rows: 6 });
    const texts = (
      await objects.rows("SELECT CAST(id AS TEXT) FROM people WHERE town > 'a' OR id = 81")
    ).flat();
    expect(texts).toEqual(expect.arrayContaining(['81', '82', '-4', '1152921504606846977']));
    const again = await objects.import('people', '{"id":-4,"town":"e"}');
    expect([again.status, again.json.error.detail.line]).toEqual([409, 1]);
    const wrong = await objects.import('people', '{"id":"four","town":"e"}');
    expect([wrong.status, wrong.json.error.message]).toEqual([409, 'line 1: datatype mismatch']);
  });

  test('of several at once give each id to one', async () => {
    const body = (where: string) =>
      lines(50, (line) => ({ id: 40_000 + line, town: `${where} ${line % 3}` }));
    const answers = await Promise.all(
      ['x', 'y', 'z'].map((where) => objects.import('people', body(where), `?importId=${where}`)),
    );
    for (const { status, json } of answers) expect([200, 409], JSON.stringify(json)).toContain(status);
    const all = await ids();
    expect(new Set(all).size).toBe(all.length);
  });
});
