import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestCluster } from '../cluster/cluster.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start({ partitions: 4 });
  for (const sql of [
    'CREATE TABLE users (tenant TEXT, id INTEGER PRIMARY KEY, email TEXT UNIQUE COLLATE NOCASE, code INTEGER, note, UNIQUE (code)) PARTITION BY (tenant)',
    'CREATE TABLE posts (id INTEGER PRIMARY KEY, tenant TEXT, title TEXT) PARTITION BY (tenant)',
  ])
    await cluster.query(sql);
  for (let i = 0; i < 12; i++) {
    await cluster.query('INSERT INTO users (tenant, email, code) VALUES (?1, ?2, ?3)', [
      `t${i}`,
      `e${i}@example.com`,
      i,
    ]);
    await cluster.query('INSERT INTO posts (tenant, title) VALUES (?1, ?1), (?1, ?2)', [`t${i}`, 'second']);
  }
});
afterAll(() => cluster.dispose());

const explained = async (sql: string) => (await cluster.rows(`EXPLAIN ${sql}`)).map(([step]) => step);

test('a row is found by its unique value, through the index and its own partition alone', async () => {
  for (let i = 0; i < 12; i++) {
    const { json } = await cluster.query('SELECT tenant, code FROM users WHERE email = ?', [
      `E${i}@EXAMPLE.com`,
    ]);
    expect([json.plan.kind, json.consistency, json.rows]).toEqual(['lookup', 'strong', [[`t${i}`, i]]]);
    const home = await cluster.query('SELECT 1 FROM users WHERE tenant = ?', [`t${i}`]);
    expect(json.plan.partition).toBe(home.json.plan.partition);
  }
  const typed = await cluster.query("SELECT email FROM users WHERE code = '7'");
  expect([typed.json.plan.kind, typed.json.rows]).toEqual(['lookup', [['e7@example.com']]]);
});

test('so are the rows of its partition key, whatever the statement makes of them', async () => {
  const { json } = await cluster.query(
    `SELECT u.email, count(*), max(p.title) FROM users u JOIN posts p ON p.tenant = u.tenant WHERE u.email = ?`,
    ['e3@example.com'],
  );
  expect([json.plan.kind, json.rows]).toEqual(['lookup', [['e3@example.com', 2, 't3']]]);
  const apart = await explained("SELECT * FROM users u JOIN posts p ON p.tenant = 't' WHERE u.email = 'x'");
  expect(apart).not.toContain('looks up');
});

test('what no row has is answered by the index, and NULL by all', async () => {
  const none = await cluster.query("SELECT count(*), max(tenant) FROM users WHERE email = 'nobody'");
  expect([none.json.plan.kind, none.json.rows]).toEqual(['lookup', [[0, null]]]);
  await cluster.query("INSERT INTO users (tenant) VALUES ('n1'), ('n2'), ('n3')");
  const nulls = await cluster.query('SELECT count(*) FROM users WHERE email IS ?', [null]);
  expect([nulls.json.plan.kind, nulls.json.rows]).toEqual(['scatter', [[3]]]);
  await cluster.query('DELETE FROM users WHERE email IS NULL');
});

test('UPDATE and DELETE of a row by its unique value go to its partition', async () => {
  const plain = await cluster.query("UPDATE users SET note = 'x' WHERE email = 'e1@example.com'");
  expect([plain.json.plan.kind, plain.json.rowsAffected]).toEqual(['lookup', 1]);
  const changed = await cluster.query(
    "UPDATE users SET code = 101 WHERE email = 'E1@example.com' RETURNING tenant, code",
  );
  expect([changed.json.plan.kind, changed.json.rowsAffected, changed.json.rows]).toEqual([
    'lookup',
    1,
    [['t1', 101]],
  ]);
  const moved = await cluster.query("UPDATE users SET tenant = 'elsewhere' WHERE code = 101");
  expect([moved.json.plan.kind, moved.json.rowsAffected]).toEqual(['lookup', 1]);
  const taken = await cluster.post('/v1/query', {
    sql: "UPDATE users SET code = 2 WHERE email = 'e1@example.com'",
  });
  expect([taken.status, taken.json.error.code]).toEqual([409, 'constraint']);
  const gone = await cluster.query("DELETE FROM users WHERE email = 'e1@example.com' AND tenant > 'a'");
  expect([gone.json.plan.kind, gone.json.rowsAffected]).toEqual(['lookup', 1]);
  const none = await cluster.query("DELETE FROM users WHERE email = 'e1@example.com'");
  expect(none.json.rowsAffected).toBe(0);
  await cluster.query("INSERT INTO users (tenant, email, code) VALUES ('t1', 'e1@example.com', 1)");
});

test('EXPLAIN says so; other conditions do not lead there', async () => {
  expect(await explained("SELECT * FROM users WHERE email = 'x' AND tenant > 'a'")).toContain('looks up');
  for (const sql of [
    "SELECT * FROM users WHERE email > 'x'",
    "SELECT * FROM users WHERE email = 'x' OR code = 1",
    "SELECT * FROM users WHERE email IN ('x', 'y')",
    "SELECT * FROM users WHERE email = 'x' COLLATE BINARY",
    "SELECT * FROM users WHERE lower(email) = 'x'",
    "SELECT * FROM posts p LEFT JOIN users u ON u.email = 'x'",
  ])
    expect([sql, await explained(sql)]).toEqual([sql, expect.not.arrayContaining(['looks up'])]);
});

test('a row that others move, rename and give back is seen by every look, exactly once', async () => {
  let running = true;
  const mover = async (seed: number): Promise<void> => {
    for (let i = 0; running; i++) {
      const { status, json } = await cluster.post('/v1/query', {
        sql: 'UPDATE users SET tenant = ? WHERE code = 5',
        args: [`m${(seed * 7 + i) % 13}`],
        timeoutMs: 20_000,
      });
      expect([status, json.error, json.rowsAffected]).toEqual([200, undefined, 1]);
    }
  };
  const movers = Promise.all([1, 2].map(mover));
  const kinds = new Map<string, number>();
  for (let i = 0; i < 60; i++) {
    const { json } = await cluster.query('SELECT email FROM users WHERE code = ?', [5]);
    expect(json.rows).toEqual([['e5@example.com']]);
    kinds.set(json.plan.kind, (kinds.get(json.plan.kind) ?? 0) + 1);
  }
  running = false;
  await movers;
  expect(kinds.get('lookup')).toBeGreaterThan(0);
});
