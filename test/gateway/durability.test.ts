import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestCluster } from '../cluster/cluster.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start();
  await cluster.query(
    'CREATE TABLE notes (id INTEGER PRIMARY KEY, author TEXT, body TEXT) PARTITION BY (author)',
  );
  await cluster.query('CREATE TABLE kinds (kind TEXT PRIMARY KEY) REFERENCE');
});

afterAll(() => cluster.dispose());

const insert = (author: string) =>
  cluster.query('INSERT INTO notes (author, body) VALUES (?, ?)', [author, `by ${author}`]);
const count = async () => (await cluster.rows('SELECT count(*) FROM notes'))[0]?.[0];

test('what was acknowledged is there after kill -9 of workerd, and ids go on', async () => {
  const authors = Array.from({ length: 40 }, (_, index) => `author ${index}`);
  const before = await Promise.all(authors.map(insert));
  await cluster.query("INSERT INTO kinds VALUES ('kept')");
  await cluster.kill();
  expect(await count()).toBe(40);
  expect(await cluster.rows('SELECT kind FROM kinds')).toEqual([['kept']]);
  const after = await Promise.all(authors.map(insert));
  const ids = [...before, ...after].map(({ json }) => json.lastInsertRowid);
  expect(new Set(ids).size).toBe(80);
  // A mark is given up when the object ends, but an id is never issued below one that was.
  expect(await cluster.rows('SELECT count(DISTINCT id) FROM notes')).toEqual([[80]]);
});

test('the schema, its version and the ledger are there after a restart', async () => {
  const before = (await cluster.get('/v1/schema')).json;
  await cluster.restart();
  expect((await cluster.get('/v1/schema')).json).toEqual(before);
  expect(before.migrations.at(-1)).toMatchObject({ state: 'published', appliedBy: [1, 2, 3, 4] });
  await cluster.query('ALTER TABLE notes ADD COLUMN stars INTEGER');
  expect((await cluster.get('/v1/schema')).json.version).toBe(before.version + 1);
  expect(await cluster.rows("SELECT stars FROM notes WHERE author = 'author 1'")).toEqual([[null], [null]]);
});

test('an object that was reset opens its file again', async () => {
  for (const partition of [0, 1, 2, 3, 4]) await cluster.reset(partition);
  expect(await count()).toBe(80);
});
