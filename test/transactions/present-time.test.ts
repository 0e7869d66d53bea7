import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { TestCluster } from '../cluster/cluster.ts';

// Writes over all partitions that ask for the time or for chance.

const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start();
  await cluster.query('CREATE TABLE t (k TEXT PRIMARY KEY, v, at)');
});

afterAll(() => cluster.dispose());

beforeEach(async () => {
  await cluster.query('DELETE FROM t');
  await cluster.query(`INSERT INTO t (k) VALUES ${KEYS.map((key) => `('${key}')`).join()}`);
});

const instants = () => cluster.rows('SELECT DISTINCT at FROM t');

test('all partitions write the same instant, to the millisecond', async () => {
  const before = Date.now();
  const { json } = await cluster.query(
    `UPDATE t SET at = strftime('%Y-%m-%d %H:%M:%f'), v = ? WHERE v IS ?`,
    [7, null],
  );
  expect(json.rowsAffected).toBe(KEYS.length);
  const [only, ...others] = await instants();
  expect(others).toEqual([]);
  const at = Date.parse(`${String(only?.[0]).replace(' ', 'T')}Z`);
  expect(at).toBeGreaterThanOrEqual(before);
  expect(at).toBeLessThanOrEqual(Date.now());
  expect(await cluster.rows('SELECT DISTINCT v FROM t')).toEqual([[7]]);
});

test.each([
  ["UPDATE t SET at = julianday('now') WHERE v IS NULL", []],
  ['UPDATE t SET at = julianday()', []],
  ['UPDATE t SET at = julianday(?)', ['now']],
  ['UPDATE t SET at = julianday(:when), v = :v', { ':v': 1, ':when': 'NOW' }],
] as const)('%s', async (sql, args) => {
  await cluster.query(sql, args as never);
  expect(await instants()).toHaveLength(1);
});

test('rows of one INSERT have the same instant, and their own arguments', async () => {
  const rows = KEYS.map(() => "(?, ?, julianday('now'))").join();
  const args = KEYS.flatMap((key, index) => [`new ${key}`, index]);
  await cluster.query(`INSERT INTO t VALUES ${rows}`, args);
  expect(await cluster.rows('SELECT DISTINCT at FROM t WHERE at NOT NULL')).toHaveLength(1);
  const there = await cluster.rows("SELECT k, v FROM t WHERE k LIKE 'new %' ORDER BY k");
  expect(there).toEqual(KEYS.map((key, index) => [`new ${key}`, index]));
});

test('what is old enough goes, wherever it is', async () => {
  await cluster.query("UPDATE t SET at = datetime('now', '-31 days') WHERE k < 'e'");
  await cluster.query("UPDATE t SET at = CURRENT_TIMESTAMP WHERE k >= 'e'");
  const { json } = await cluster.query("DELETE FROM t WHERE at < datetime('now', ?)", ['-30 days']);
  expect(json.rowsAffected).toBe(4);
  expect(await cluster.rows('SELECT k FROM t ORDER BY k')).toEqual([['e'], ['f'], ['g'], ['h']]);
});

test('RETURNING names its columns by what was written', async () => {
  const { json } = await cluster.query(
    "UPDATE t SET v = ? RETURNING k, date( 'now' ), v + ?, date() AS today",
    [1, 1],
  );
  expect(json.columns).toEqual(['k', "date( 'now' )", 'v + ?', 'today']);
  expect(json.rows).toHaveLength(KEYS.length);
  expect(json.rows[0].slice(1)).toEqual([json.rows[0][3], 2, json.rows[0][3]]);
});

test('random() is another value in each row', async () => {
  await cluster.query('UPDATE t SET v = random()');
  expect(await cluster.rows('SELECT DISTINCT v FROM t')).toHaveLength(KEYS.length);
});

test('a batch, one that is repeated, and an interactive transaction take it too', async () => {
  const statements = [
    { sql: "UPDATE t SET at = julianday('now')" },
    { sql: 'SELECT count(DISTINCT at) FROM t' },
  ];
  const batch = await cluster.post('/v1/batch', { statements });
  expect(batch.json.results[1].rows).toEqual([[1]]);
  const begun = await cluster.post('/v1/transactions', {});
  const id = begun.json.transaction ?? begun.json.id;
  const sql = "UPDATE t SET at = datetime('now'), v = 5";
  expect(await cluster.post(`/v1/transactions/${id}/query`, { sql })).toMatchObject({ status: 200 });
  expect(await cluster.post(`/v1/transactions/${id}/commit`, {})).toMatchObject({ status: 200 });
  expect(await cluster.rows('SELECT DISTINCT v FROM t')).toEqual([[5]]);
});

test('a view that asks for the time, and chance that SQLite would roll once, are refused', async () => {
  await cluster.query("CREATE VIEW clock AS SELECT datetime('now') AS present");
  const refused = { status: 400, json: { error: { code: 'multi-partition-write' } } };
  for (const sql of ['UPDATE t SET at = (SELECT present FROM clock)', 'UPDATE t SET v = (SELECT random())']) {
    expect(await cluster.post('/v1/query', { sql })).toMatchObject(refused);
  }
});
