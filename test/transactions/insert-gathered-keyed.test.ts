import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { newKey } from '../../src/client/key.ts';
import { type Reply, TestCluster } from '../cluster/cluster.ts';

// INSERTs of what has to be read first, under idempotency keys: a repeat meets another database.

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start({ partitions: 4 });
  for (const sql of [
    'CREATE TABLE visits (tenant TEXT NOT NULL, page TEXT, ms INTEGER) PARTITION BY (tenant)',
    'CREATE TABLE totals (page TEXT PRIMARY KEY, n INTEGER, least TEXT)',
    'CREATE TABLE named (tenant TEXT NOT NULL, page TEXT UNIQUE) PARTITION BY (tenant)',
    'CREATE TABLE values_of (k, v, w) PARTITION BY (k)',
    'CREATE TABLE owners (name TEXT PRIMARY KEY)',
    'CREATE TABLE own (id INTEGER PRIMARY KEY, body TEXT)',
    'CREATE TABLE colours (name TEXT PRIMARY KEY, n INTEGER) REFERENCE',
    'CREATE TABLE watched (k TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID',
    'CREATE TABLE seen (k TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID',
  ])
    await cluster.query(sql);
});

afterAll(() => cluster.dispose());

beforeEach(async () => {
  for (const table of 'visits totals named values_of owners own colours watched seen'.split(' '))
    await cluster.query(`DELETE FROM ${table}`);
  const rows = Array.from({ length: 24 }, (_, i) => `('${'abcdefgh'[i % 8]}', 'p${i % 3}', ${i})`);
  await cluster.query(`INSERT INTO visits VALUES ${rows.join()}`);
});

const rowsOf = ({ json }: Reply) => json.results.map((each: { rows: unknown }) => each.rows);

test('a key has the same answer, whatever is there by then', async () => {
  for (const sql of [
    "INSERT INTO values_of SELECT max(k) || 'x', count(*), 1 FROM values_of RETURNING *",
    'INSERT INTO values_of SELECT page, ms, 2 FROM visits ORDER BY ms DESC LIMIT 3 RETURNING k, v',
    'INSERT INTO values_of SELECT page, count(*), 3 FROM visits WHERE ms > 9000 GROUP BY page RETURNING k',
    "INSERT INTO values_of SELECT name, n, 4 FROM colours WHERE name > lower('') ON CONFLICT DO NOTHING RETURNING v",
    'INSERT INTO colours SELECT page, count(*) FROM visits WHERE ms > 9000 GROUP BY page RETURNING name',
    "INSERT OR IGNORE INTO totals VALUES (lower('KEYED'), 1, '') RETURNING page",
  ]) {
    const request = { sql, idempotencyKey: newKey() };
    const one = await cluster.post('/v1/query', request);
    expect([sql, one.status]).toEqual([sql, 200]);
    await cluster.query("INSERT INTO visits VALUES ('zoe', 'p9', 99999)");
    const count = await cluster.rows('SELECT count(*) FROM values_of');
    for (let i = 0; i < 3; i++) {
      const other = await cluster.post('/v1/query', request);
      expect([sql, other.status, other.json.rows, other.json.columns]).toEqual([
        sql,
        200,
        one.json.rows,
        one.json.columns,
      ]);
    }
    expect(await cluster.rows('SELECT count(*) FROM values_of')).toEqual(count);
    await cluster.query("DELETE FROM visits WHERE tenant = 'zoe'");
  }
  const batch = {
    idempotencyKey: newKey(),
    statements: [
      { sql: "INSERT INTO owners VALUES ('k1') RETURNING name" },
      { sql: 'INSERT INTO totals SELECT page, count(*), 7 FROM visits GROUP BY page RETURNING page' },
      { sql: "INSERT INTO owners VALUES ('k2'), ('k3'), ('k4') RETURNING name" },
    ],
  };
  const first = await cluster.post('/v1/batch', batch);
  expect(first.status).toBe(200);
  await cluster.query('DELETE FROM visits');
  const again = await cluster.post('/v1/batch', batch);
  expect([again.status, rowsOf(again)]).toEqual([200, rowsOf(first)]);
});

test('of a batch the others run where they ran, whatever was read', async () => {
  for (let i = 0; i < 6; i++) {
    const batch = {
      idempotencyKey: newKey(),
      statements: [
        { sql: "INSERT INTO values_of SELECT 'c' || count(*), count(*), 1 FROM values_of RETURNING k" },
        { sql: "INSERT INTO own (body) VALUES ('x') RETURNING id" },
        { sql: "SELECT 'const'" },
      ],
    };
    const first = await cluster.post('/v1/batch', batch);
    const again = await cluster.post('/v1/batch', batch);
    expect([first.status, again.status, rowsOf(again)]).toEqual([200, 200, rowsOf(first)]);
  }
  expect(await cluster.rows('SELECT count(*) FROM values_of')).toEqual([[6]]);
});

test('a repeat is answered where its rows cannot be read, or inserted, any more', async () => {
  const sum = {
    sql: "INSERT INTO totals SELECT 'sum', sum(v) % 10, 1 FROM values_of RETURNING n",
    idempotencyKey: newKey(),
  };
  await cluster.query("INSERT INTO values_of VALUES ('a', 1, 1), ('b', 2, 1), ('c', 3, 1)");
  const first = await cluster.post('/v1/query', sum);
  await cluster.query(
    "INSERT INTO values_of VALUES ('d', 9223372036854775807, 1), ('e', 9223372036854775807, 1)",
  );
  const again = await cluster.post('/v1/query', sum);
  expect([first.status, first.json.rows, again.status, again.json.rows]).toEqual([200, [[6]], 200, [[6]]]);
  const other = await cluster.post('/v1/query', { ...sum, idempotencyKey: newKey() });
  expect([other.status, other.json.error.code, other.json.error.outcome]).toEqual([400, 'sql', 'none']);

  const named = {
    sql: "INSERT INTO named SELECT page, 'v' || substr(tenant, 1, 1) FROM visits WHERE ms < 3 ON CONFLICT (page) DO UPDATE SET page = page || '?' RETURNING page",
    idempotencyKey: newKey(),
  };
  const one = await cluster.post('/v1/query', named);
  await cluster.query("INSERT INTO visits VALUES ('all', 'p9', 1)");
  const two = await cluster.post('/v1/query', named);
  expect([one.json.error, two.json.error, two.json.rows]).toEqual([undefined, undefined, one.json.rows]);
});

test('a repeat that is planned otherwise by now is not answered with half', async () => {
  await cluster.query(
    'CREATE TRIGGER watch AFTER INSERT ON watched BEGIN INSERT INTO seen VALUES (NEW.k, NEW.n); END',
  );
  const request = {
    sql: "INSERT INTO watched SELECT page || '!', count(*) FROM visits WHERE tenant = 'a' GROUP BY page RETURNING k",
    idempotencyKey: newKey(),
  };
  const first = await cluster.post('/v1/query', request);
  expect([first.status, first.json.rowsAffected]).toEqual([200, 3]);
  await cluster.query('DROP TRIGGER watch');
  const again = await cluster.post('/v1/query', request);
  expect([again.json.error.code, again.json.error.outcome]).toEqual(['idempotency-conflict', 'unknown']);
  expect(await cluster.rows('SELECT count(*) FROM watched')).toEqual([[3]]);
});
