import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { LostError, Objects } from '../cluster/objects.ts';
import { lines } from './loading.ts';

let objects: Objects;

beforeAll(async () => {
  objects = await Objects.start(3);
  await objects.rows(
    `CREATE TABLE people (id INTEGER PRIMARY KEY, town TEXT NOT NULL, email TEXT COLLATE NOCASE UNIQUE, code REAL, age INTEGER CHECK (age < 200),
       UNIQUE (code, age)) PARTITION BY (town)`,
  );
});
afterAll(() => objects.close());
beforeEach(async () => {
  objects.meet = () => undefined;
  objects.meetAnswer = () => undefined;
  await objects.rows('DELETE FROM people');
});

const person = (line: number) => ({
  town: `town ${line % 50}`,
  email: line % 7 === 0 ? null : `e${line}@example.com`,
  code: line / 2,
  age: line % 100,
});
const people = (count: number) => lines(count, person);
const count = async () => (await objects.rows('SELECT count(*) FROM people'))[0]?.[0];

const expectIndexed = () => objects.expectIndexed();

describe('an import into a table with UNIQUE over partitions', () => {
  test('adds rows with their entries, each once under an id, however often it runs', async () => {
    const body = people(1_500);
    expect((await objects.import('people', body, '?importId=a')).json).toMatchObject({
      rows: 1_500,
      skipped: 0,
    });
    await expectIndexed();
    expect((await objects.import('people', body, '?importId=a')).json).toMatchObject({
      rows: 0,
      skipped: 1_500,
    });
    expect(await count()).toBe(1_500);
    const longer = people(1_800);
    const replies = await Promise.all([1, 2, 3].map(() => objects.import('people', longer, '?importId=a')));
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(replies.reduce((sum, { json }) => sum + json.rows, 0)).toBe(300);
    expect(await count()).toBe(1_800);
    await expectIndexed();
  });

  test('refuses a value that is there in any partition, naming line and value, and keeps nothing of its chunk', async () => {
    await objects.rows("INSERT INTO people (town, email) VALUES ('elsewhere', 'Taken@example.com')");
    const body = lines(300, (line) =>
      line === 211 ? { town: 'x', email: 'taken@EXAMPLE.com' } : person(line),
    );
    const { status, json } = await objects.import('people', body, '?importId=b');
    expect([status, json.error]).toMatchObject([
      409,
      {
        code: 'constraint',
        message: 'line 211: UNIQUE constraint failed: people.email',
        detail: { line: 211, table: 'people', columns: ['email'], values: ['taken@EXAMPLE.com'] },
      },
    ]);
    const before = Number(await count());
    expect(json.error.detail.rows).toBe(before - 1);
    expect(await objects.rows("SELECT count(*) FROM people WHERE town = 'x'")).toEqual([[0]]);
    await expectIndexed();
    // Put right, it goes on where it was.
    const right = lines(300, (line) =>
      line === 211 ? { town: 'x', email: 'free@example.com' } : person(line),
    );
    expect((await objects.import('people', right, '?importId=b')).json.rows).toBe(301 - before);
    expect(await count()).toBe(301);
    await expectIndexed();
  });

  test('refuses a value that comes twice, in one partition or in two', async () => {
    for (const [town, other] of [
      ['town 1', 'town 1'],
      ['town 1', 'town 2'],
      ['town 3', 'town 1'],
    ]) {
      const body = lines(40, (line) => ({
        town: line === 30 ? other : town,
        code: line === 30 ? 7 : line,
        age: 1,
      }));
      const { status, json } = await objects.import('people', body);
      expect([status, json.error.code, json.error.detail.line]).toMatchObject([
        409,
        'constraint',
        expect.any(Number),
      ]);
      expect([7, 30]).toContain(json.error.detail.line);
      await expectIndexed();
      await objects.rows('DELETE FROM people');
    }
  });

  test('a chunk whose answer is lost, or whose partition crashes, is in once', async () => {
    const faults: (() => void)[] = [1, 2, 3, 1, 2].map((partition) => () => objects.crash(partition));
    for (let i = 0; i < 2; i++)
      faults.push(() => {
        throw new LostError('lost on its way back');
      });
    let n = 0;
    objects.meetAnswer = ({ from, type }) => {
      if ((type === 'import-chunk' || (type === 'prepare' && from !== null)) && ++n % 3 === 0)
        faults.pop()?.();
    };
    const body = people(2_000);
    for (let run = 0; run < 12; run++) {
      const { status, json } = await objects.import('people', body, '?importId=c');
      if (status === 200) break;
      expect(['unknown-outcome', 'unavailable', 'conflict']).toContain(json.error.code);
    }
    expect(faults).toEqual([]);
    expect(await count()).toBe(2_000);
    await expectIndexed();
  });
});

test('rows that triggers write elsewhere are indexed as well', async () => {
  await objects.rows(
    'CREATE TABLE names (town TEXT, name TEXT UNIQUE, PRIMARY KEY (town, name)) WITHOUT ROWID PARTITION BY (town)',
  );
  await objects.rows('CREATE TABLE visits (town TEXT, who TEXT) PARTITION BY (town)');
  await objects.rows(
    'CREATE TRIGGER visited AFTER INSERT ON visits BEGIN INSERT INTO names VALUES (new.town, new.who); END',
  );
  const body = lines(100, (line) => ({ town: `t${line % 9}`, who: `w${line}` }));
  expect((await objects.import('visits', body)).json).toMatchObject({ rows: 100 });
  const again = await objects.import(
    'visits',
    lines(5, (line) => ({ town: `u${line}`, who: `w${line * 10}` })),
  );
  expect([again.status, again.json.error.detail]).toMatchObject([409, { table: 'names', columns: ['name'] }]);
  expect(await objects.rows('SELECT count(*) FROM names')).toEqual([[100]]);
});

test('rows that refer to rows of other partitions find them there, or are refused', async () => {
  await objects.rows('CREATE TABLE towns (town TEXT PRIMARY KEY)');
  await objects.rows(
    'CREATE TABLE roads (road TEXT PRIMARY KEY, leads_to TEXT REFERENCES towns (town), length INTEGER)',
  );
  expect(
    (
      await objects.import(
        'towns',
        lines(50, (line) => ({ town: `t${line}` })),
      )
    ).status,
  ).toBe(200);
  const roads = (prefix: string, count: number, wrong: number) =>
    lines(count, (line) => ({
      road: `${prefix}${line}`,
      leads_to: line === wrong ? 'nowhere' : `t${(line % 50) + 1}`,
    }));
  expect((await objects.import('roads', roads('a', 200, 0), '?importId=r')).json).toMatchObject({
    rows: 200,
  });
  expect((await objects.import('roads', roads('a', 200, 0), '?importId=r')).json).toMatchObject({
    skipped: 200,
  });
  const { status, json } = await objects.import('roads', roads('b', 30, 17));
  expect([status, json.error.code]).toEqual([409, 'constraint']);
  expect(await objects.rows("SELECT count(*) FROM roads WHERE leads_to = 'nowhere'")).toEqual([[0]]);
  await expectIndexed();
});
