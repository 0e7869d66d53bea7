import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestCluster } from '../cluster/cluster.ts';

// INSERTs of what has to be read first, in interactive transactions.

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start({ partitions: 4 });
  await cluster.query(
    'CREATE TABLE visits (tenant TEXT NOT NULL, page TEXT, ms INTEGER) PARTITION BY (tenant)',
  );
  await cluster.query('CREATE TABLE totals (page TEXT PRIMARY KEY, n INTEGER, least TEXT)');
  const rows = Array.from({ length: 24 }, (_, i) => `('${'abcdefgh'[i % 8]}', 'p${i % 3}', ${i})`);
  await cluster.query(`INSERT INTO visits VALUES ${rows.join()}`);
});

afterAll(() => cluster.dispose());

test('an interactive transaction reads and inserts them, once for each number', async () => {
  const { json } = await cluster.post('/v1/transactions', {});
  const run = (sql: string, more = {}) => cluster.post(`/v1/transactions/${json.id}/query`, { sql, ...more });
  expect((await run("INSERT INTO visits VALUES ('new', 'p9', 7)")).status).toBe(200);
  const grouped =
    'INSERT INTO totals SELECT page, count(*), min(tenant) FROM visits GROUP BY page RETURNING page';
  const first = await run(grouped, { seq: 1 });
  expect([first.status, first.json.rowsAffected, first.json.rows.flat().sort()]).toEqual([
    200,
    4,
    ['p0', 'p1', 'p2', 'p9'],
  ]);
  const again = await run(grouped, { seq: 1 });
  expect([again.json.rows, again.json.plan]).toEqual([first.json.rows, first.json.plan]);
  expect((await run('SELECT count(*) FROM totals')).json.rows).toEqual([[4]]);
  const none =
    'INSERT INTO totals SELECT page, ms, 1 FROM visits WHERE ms > 9000 LIMIT 2 RETURNING page, n AS m';
  for (let i = 0; i < 2; i++) {
    const empty = await run(none, { seq: 2 });
    expect([empty.status, empty.json.columns, empty.json.rows, empty.json.rowsAffected]).toEqual([
      200,
      ['page', 'm'],
      [],
      0,
    ]);
  }
  const upsert = await run(
    'INSERT INTO totals SELECT page, 1, NULL FROM visits GROUP BY page ON CONFLICT (page) DO UPDATE SET n = n + 100',
  );
  expect([upsert.status, upsert.json.rowsAffected]).toEqual([200, 4]);
  const taken = await run('INSERT INTO totals SELECT max(page), 1, NULL FROM visits');
  expect([taken.status, taken.json.error.code, taken.json.error.detail.transaction]).toEqual([
    409,
    'constraint',
    'open',
  ]);
  const list = JSON.stringify(Array.from({ length: 9_000 }, (_, i) => i));
  const many = await run(
    "INSERT INTO totals SELECT lower('N') || value, 1, '' FROM json_each(?) WHERE true ON CONFLICT DO NOTHING",
    {
      args: [list],
    },
  );
  expect([many.status, many.json.error.code]).toEqual([413, 'too-large']);
  expect((await cluster.post(`/v1/transactions/${json.id}/commit`, {})).status).toBe(200);
  expect((await cluster.rows('SELECT page, n FROM totals')).sort()).toEqual([
    ['p0', 108],
    ['p1', 108],
    ['p2', 108],
    ['p9', 101],
  ]);
  await cluster.query('DELETE FROM totals');
  await cluster.query("DELETE FROM visits WHERE tenant = 'new'");
});

test('one that gives ids answers as other INSERTs do', async () => {
  await cluster.query(
    'CREATE TABLE notes (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, body TEXT) PARTITION BY (tenant)',
  );
  const { json } = await cluster.post('/v1/transactions', {});
  const run = (sql: string) => cluster.post(`/v1/transactions/${json.id}/query`, { sql });
  const given = await run(
    'INSERT INTO notes SELECT ms + 1000, page, tenant FROM visits WHERE ms > 20 ORDER BY ms LIMIT 3',
  );
  expect([given.json.columns, given.json.rows, given.json.rowsAffected]).toEqual([[], [], 3]);
  const named = await run(
    "INSERT INTO totals SELECT page || '?', 1, 'n' FROM visits GROUP BY page RETURNING n AS \"no rows\"",
  );
  expect([named.json.columns, named.json.rows]).toEqual([['no rows'], [[1], [1], [1]]]);
  expect((await cluster.post(`/v1/transactions/${json.id}/commit`, {})).status).toBe(200);
  expect(await cluster.rows('SELECT id FROM notes ORDER BY id')).toEqual([[1021], [1022], [1023]]);
  await cluster.query('DELETE FROM totals');
});

test('an interactive transaction whose read others have overtaken does not commit', async () => {
  const { json } = await cluster.post('/v1/transactions', {});
  const sql = 'INSERT INTO totals SELECT page, count(*), 1 FROM visits GROUP BY page';
  expect((await cluster.post(`/v1/transactions/${json.id}/query`, { sql })).status).toBe(200);
  await cluster.query("INSERT INTO visits VALUES ('late', 'p0', 7)");
  const { status, json: answer } = await cluster.post(`/v1/transactions/${json.id}/commit`, {});
  expect([status, answer.error.code, answer.error.outcome]).toEqual([409, 'conflict', 'none']);
  expect(await cluster.rows('SELECT count(*) FROM totals')).toEqual([[0]]);
  await cluster.query("DELETE FROM visits WHERE tenant = 'late'");
});
