import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestCluster } from '../cluster/cluster.ts';

// What an INSERT over several partitions answers: the last row's id, and rows of RETURNING, in the statement's order.

let cluster: TestCluster;
const TABLES = [
  'CREATE TABLE given (k INTEGER PRIMARY KEY, v)',
  'CREATE TABLE kept (id INTEGER PRIMARY KEY, k TEXT UNIQUE, v TEXT) PARTITION BY (v)',
  'CREATE TABLE post (id INTEGER PRIMARY KEY, tenant TEXT) PARTITION BY (tenant)',
];

beforeAll(async () => {
  cluster = await TestCluster.start();
  for (const table of TABLES) await cluster.query(table);
});

afterAll(() => cluster.dispose());

/** The same in one SQLite. */
const plain = new DatabaseSync(':memory:');
for (const table of TABLES) plain.exec(table.replace(/ PARTITION BY .*/, ''));

test.each([
  'INSERT INTO given VALUES (10, 1), (5, 2), (7, 3), (1, 4)',
  'INSERT INTO given VALUES (100, 1), (99, 2), (98, 2), (97, 2)',
  "INSERT INTO kept VALUES (10, 'a', 'zz'), (5, 'b', 'b'), (7, 'c', 'cc')",
  "INSERT INTO kept VALUES (20, 'd', 'd'), (21, 'e', 'e'), (22, 'f', 'f'), (19, 'g', 'g') RETURNING k, id",
  'INSERT INTO given VALUES (1, 9), (55, 9), (54, 9), (5, 9) ON CONFLICT DO NOTHING',
  'INSERT INTO given SELECT k + 1000, v FROM given ORDER BY k DESC LIMIT 3',
  'INSERT INTO given SELECT k + 2000, v FROM given ORDER BY k LIMIT 5 RETURNING k',
])('%s', async (sql) => {
  const { json } = await cluster.query(sql);
  const statement = plain.prepare(sql);
  statement.setReturnArrays(true);
  const rows = statement.all();
  const id = (plain.prepare('SELECT last_insert_rowid() AS id').get() as { id: number }).id;
  expect([json.rows, json.lastInsertRowid]).toEqual([rows, id]);
});

const TENANTS = ['d', 'c', 'b', 'a', 'e', 'c'];
const INSERT = `INSERT INTO post (tenant) VALUES ${TENANTS.map(() => '(?)').join()} RETURNING id, tenant`;

/** Of an answer: tenants in their order, and whether the last one's id is the last that was inserted. */
function shown({ rows, lastInsertRowid }: { rows: unknown[][]; lastInsertRowid: unknown }) {
  return [rows.map(([, tenant]) => tenant), rows.at(-1)?.[0] === lastInsertRowid];
}

test('generated ids go with their rows, in a statement, a batch, and an interactive transaction', async () => {
  const { json } = await cluster.query(INSERT, TENANTS);
  expect(shown(json)).toEqual([TENANTS, true]);
  const batch = await cluster.post('/v1/batch', {
    statements: [
      { sql: INSERT, args: TENANTS },
      { sql: INSERT, args: TENANTS.toReversed() },
    ],
  });
  expect(batch.json.results.map(shown)).toEqual([
    [TENANTS, true],
    [TENANTS.toReversed(), true],
  ]);
  const apart = await cluster.post('/v1/batch', {
    atomicity: 'partition',
    statements: [{ sql: INSERT, args: TENANTS }],
  });
  expect(apart.json.results.map(shown)).toEqual([[TENANTS, true]]);
  const begun = await cluster.post('/v1/transactions', {});
  const { id } = begun.json;
  const inside = await cluster.post(`/v1/transactions/${id}/query`, {
    sql: INSERT,
    args: TENANTS,
  });
  expect(shown(inside.json)).toEqual([TENANTS, true]);
  await cluster.post(`/v1/transactions/${id}/commit`, {});
});

test('where some rows are passed over, each partition’s come together, and none is lost', async () => {
  const sql =
    "INSERT INTO kept VALUES (30, 'a', 'h'), (31, 'i', 'i'), (32, 'j', 'j') ON CONFLICT DO NOTHING RETURNING id";
  const { json } = await cluster.query(sql);
  expect(json.rows.flat().sort()).toEqual([31, 32]);
  expect(json.lastInsertRowid).toBe(32);
});
