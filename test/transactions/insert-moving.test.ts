import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newKey } from '../../src/client/key.ts';
import { TestCluster } from '../cluster/cluster.ts';
import { BesideSqlite, type Statement } from './beside-sqlite.ts';
import { copyPairs } from './pair.ts';

// INSERTs whose rows have partition keys that are known only once the rows are made.

const TENANTS = ['ann', 'bob', 'cy', 'dee', 'eve', 'fay', 'gus', 'hal'];
let cluster: TestCluster;
let beside: BesideSqlite;

beforeAll(async () => {
  cluster = await TestCluster.start({ partitions: 4 });
  beside = await BesideSqlite.create(
    cluster,
    'CREATE TABLE visits (tenant TEXT NOT NULL, page TEXT, ms INTEGER) PARTITION BY (tenant)',
    'CREATE TABLE pages (page TEXT PRIMARY KEY, n INTEGER CHECK (n < 100), tenant TEXT) PARTITION BY (page)',
    "CREATE TABLE times (ms NUMERIC DEFAULT (1 + 1), tenant TEXT DEFAULT ('d' || 'ee'), UNIQUE (ms, tenant)) PARTITION BY (ms)",
    'CREATE TABLE pairs (a TEXT, b INTEGER, c TEXT, PRIMARY KEY (a, b)) PARTITION BY (a, b)',
    'CREATE TABLE named (tenant TEXT NOT NULL, page TEXT UNIQUE) PARTITION BY (tenant)',
    'CREATE TABLE owners (name TEXT PRIMARY KEY) PARTITION BY (name)',
    'CREATE TABLE owned (page TEXT, owner TEXT REFERENCES owners(name) ON DELETE CASCADE) PARTITION BY (page)',
    'CREATE TABLE colours (name TEXT PRIMARY KEY, rgb INTEGER) REFERENCE',
    'CREATE TABLE painted (page TEXT, colour TEXT REFERENCES colours(name)) PARTITION BY (page)',
  );
  await cluster.query('CREATE TABLE own (id INTEGER PRIMARY KEY, body TEXT)');
  await cluster.query(
    'CREATE TABLE notes (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, body TEXT) PARTITION BY (tenant)',
  );
  await cluster.query('CREATE TABLE parent (tenant TEXT PRIMARY KEY) PARTITION BY (tenant)');
  await cluster.query('CREATE TABLE child (tenant TEXT REFERENCES parent(tenant)) PARTITION BY (tenant)');
  await cluster.query('CREATE TABLE watched (tenant TEXT, n INTEGER) PARTITION BY (tenant)');
  await cluster.query(
    'CREATE TRIGGER watch AFTER INSERT ON watched BEGIN UPDATE watched SET n = n + 1 WHERE tenant = NEW.tenant; END',
  );
  await cluster.query(
    'CREATE TABLE settled (tenant TEXT UNIQUE ON CONFLICT IGNORE, n INTEGER) PARTITION BY (tenant)',
  );
});

afterAll(() => cluster.dispose());

beforeEach(async () => {
  const tables = 'visits pages times pairs named owned owners painted colours'.split(' ');
  for (const table of tables) await beside.both(`DELETE FROM ${table}`);
  const rows = TENANTS.flatMap((tenant, i) => [0, 1, 2].map((n) => `('${tenant}', 'p${n}', ${i * 100 + n})`));
  await beside.both(`INSERT INTO visits VALUES ${rows.join()}`);
  await beside.both("INSERT INTO colours VALUES ('red', 1), ('green', 2), ('blue', 3)");
});

describe('as SQLite does it', () => {
  const both = (...statements: Statement[]) => beside.both(...statements);

  test('rows of all partitions', async () => {
    const moved = await both(
      "INSERT INTO pages SELECT page || ' of ' || tenant, ms / 10, tenant FROM visits WHERE ms > 100",
    );
    expect([moved.rowsAffected, moved.plan.kind]).toEqual([20, 'transaction']);
    await both('INSERT INTO times SELECT ms, tenant FROM visits');
    await both('INSERT INTO times (tenant, ms) SELECT tenant, ms + 0.5 FROM visits WHERE ms % 2');
    await both('INSERT INTO pairs SELECT tenant, ms, page FROM visits');
    await both(
      'INSERT INTO pairs SELECT page, count(*), tenant FROM visits GROUP BY tenant, page HAVING ms < 90',
    );
  });

  test('rows of one partition, of reference tables, and of none', async () => {
    await both(['INSERT INTO pages SELECT page, ms, tenant FROM visits WHERE tenant = ?', 'ann']);
    await both('INSERT INTO pages SELECT name, rgb, NULL FROM colours');
    await both([
      "INSERT INTO pages (page, n) SELECT value ->> 'name', value ->> 'n' FROM json_each(?)",
      JSON.stringify(TENANTS.map((name, n) => ({ name, n }))),
    ]);
    await both(
      'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) INSERT INTO times (ms) SELECT i * i FROM n',
    );
  });

  test('VALUES with a key that is computed', async () => {
    await both(['INSERT INTO pages VALUES (lower(?), ?, ?)', 'HOME', 1, 'ann']);
    await both(["INSERT INTO pages (page, n) VALUES ('a' || 1, 2), ('b' || 2, 3), ('plain', 4)"]);
    await both('INSERT INTO times (tenant) VALUES (1), (2)');
    await both('INSERT INTO times DEFAULT VALUES');
    await both("INSERT INTO pages VALUES ('sum', (SELECT count(*) FROM visits WHERE tenant = 'bob'), 'cy')");
    await both("INSERT INTO pages VALUES ((SELECT max(page) FROM visits WHERE tenant = 'bob'), 1, 'bob')");
  });

  test('a key that is taken is refused, where it is or between two of them', async () => {
    await both("INSERT INTO pages VALUES ('p1', 1, 'old')");
    await both("INSERT INTO pages SELECT page, ms, tenant FROM visits WHERE tenant = 'ann'");
    await both("INSERT INTO pages SELECT page, 5, 'x' FROM visits WHERE page = 'p2'");
    await both("INSERT INTO pages VALUES (upper('p') || 1, 1, ''), ('P1', 2, '')");
    await both("INSERT INTO pages VALUES (lower('P1'), 1, '')");
    await both('INSERT INTO pages SELECT tenant, ms, NULL FROM visits WHERE ms > 98 AND ms < 102');
    expect(await cluster.rows('SELECT count(*) FROM pages')).toEqual([[1]]);
  });

  test('constraints over partitions hold', async () => {
    await both("INSERT INTO named SELECT page, page || tenant FROM visits WHERE page = 'p0'");
    await both("INSERT INTO named SELECT page, page FROM visits WHERE page = 'p2'");
    await both('INSERT INTO named SELECT page, page || tenant FROM visits WHERE ms = 300');
    await both("INSERT INTO owners SELECT lower(tenant) FROM visits WHERE page = 'p1'");
    await both('INSERT INTO owned SELECT page || ms, tenant FROM visits');
    await both("INSERT INTO owned SELECT page || ms, tenant || '?' FROM visits");
    await both("DELETE FROM owners WHERE name IN ('ann', 'hal')");
    await both("INSERT INTO painted SELECT page, 'red' FROM visits");
    await both("INSERT INTO painted SELECT page || ms, 'pink' FROM visits WHERE ms = 0");
    await both("INSERT INTO painted VALUES (lower('X'), 'green')");
  });

  test('a table into itself', async () => {
    await both('INSERT INTO visits SELECT page, tenant, ms FROM visits');
    await both('INSERT INTO visits SELECT page, tenant, ms FROM visits WHERE ms > 200 ORDER BY ms');
  });

  test('with others in a batch', async () => {
    await both(
      'INSERT INTO pages SELECT page || ms, 1, tenant FROM visits WHERE ms > 300',
      'DELETE FROM visits WHERE ms > 300',
      "INSERT INTO owners VALUES ('ann')",
    );
    await both(
      "INSERT INTO visits VALUES ('new', 'new', 5)",
      "INSERT INTO pages SELECT page || ms, 1, tenant FROM visits WHERE page = 'new'",
      "INSERT INTO owners VALUES ('new'), ('new')",
    );
  });
});

test('RETURNING gives the rows as they are made', async () => {
  const sql = "INSERT INTO pages SELECT page || '/' || tenant, ms % 7, tenant FROM visits RETURNING page, n";
  const { json } = await cluster.query(sql);
  expect(json.rows).toHaveLength(24);
  expect(json.rows.sort()).toEqual((await cluster.rows('SELECT page, n FROM pages')).sort());
  await cluster.query('DELETE FROM pages');
});

test('a later statement of the batch may not use them yet', async () => {
  const { json } = await cluster.post('/v1/batch', {
    statements: [
      { sql: "INSERT INTO pages VALUES (lower('X'), 1, '')" },
      { sql: "UPDATE pages SET n = 2 WHERE page = 'x'" },
    ],
  });
  expect([json.error.code, json.error.message]).toEqual([
    'unsupported',
    expect.stringContaining('statements[1]'),
  ]);
  expect(await cluster.rows('SELECT count(*) FROM pages')).toEqual([[0]]);
});

test.each([
  ['INSERT INTO visits SELECT name, page, n FROM owners, pages', 'not joined on equal partition keys'],
  ['INSERT INTO pages VALUES ((SELECT max(page) FROM visits), 1, NULL)', 'read by a subquery'],
])('refused is %s', async (sql, why) => {
  const { status, json } = await cluster.post('/v1/query', { sql });
  expect([Math.floor(status / 100), json.error?.outcome]).toEqual([4, 'none']);
  expect(json.error.message).toContain(why);
});

describe('ids that are the partition key', () => {
  const found = async (body: string): Promise<void> => {
    const rows = await cluster.rows('SELECT id FROM own WHERE body LIKE ?', [body]);
    for (const [id] of rows)
      expect(await cluster.rows('SELECT count(*) FROM own WHERE id = ?', [id])).toEqual([[1]]);
  };

  test('are generated for what a SELECT gives, from anywhere', async () => {
    const list = JSON.stringify(Array.from({ length: 300 }, (_, i) => `item ${i}`));
    const { json } = await cluster.query('INSERT INTO own (body) SELECT value FROM json_each(?)', [list]);
    expect([json.rowsAffected, json.plan.kind]).toEqual([300, 'route']);
    expect(await cluster.rows("SELECT max(id) FROM own WHERE body LIKE 'item%'")).toEqual([
      [json.lastInsertRowid],
    ]);
    const visits = await cluster.query("INSERT INTO own (body) SELECT tenant || ' visits' FROM visits");
    expect([visits.json.rowsAffected, visits.json.plan.kind]).toEqual([24, 'transaction']);
    await cluster.query("INSERT INTO own SELECT NULL, page || ' once' FROM visits WHERE tenant = 'eve'");
    expect(await cluster.rows('SELECT count(DISTINCT id), count(*) FROM own')).toEqual([[327, 327]]);
    await found('% visits');
    await found('item 1%');
    const counted = (n: number): [string, unknown[]] => [
      `INSERT INTO own (body) SELECT 'many ' || value FROM json_each(?) WHERE 1 IN (${Array(n).fill('?').join()})`,
      [list, ...Array(n).fill(1)],
    ];
    expect((await cluster.query(...counted(98))).json.rowsAffected).toBe(300);
    await found('many item 2%');
    const [sql, args] = counted(99);
    const more = await cluster.post('/v1/query', { sql, args });
    expect([more.status, more.json.error.code]).toEqual([400, 'too-many-parameters']);
  });

  test('in partitions that have no row for it, none', async () => {
    await cluster.query('CREATE TABLE few (id INTEGER PRIMARY KEY, tenant TEXT, body TEXT)');
    for (const where of ["tenant = 'eve'", "tenant > 'fay'", 'ms < 0', 'true']) {
      const rows = `SELECT tenant, page FROM visits WHERE ${where}`;
      const expected = (await cluster.rows(rows)).length;
      const inserted = await cluster.query(
        `INSERT INTO few (tenant, body) ${rows.replace('WHERE', 'WHERE +')}`,
      );
      expect([where, inserted.json.rowsAffected]).toEqual([where, expected]);
    }
    const again = await cluster.query(
      'INSERT INTO few (tenant, body) SELECT tenant, body FROM few WHERE id > 5',
    );
    expect(again.json.rowsAffected).toBe(32);
    expect(await cluster.rows('SELECT count(DISTINCT id), count(*) FROM few')).toEqual([[65, 65]]);
  });

  test('are generated around those that are given', async () => {
    const [[last] = []] = await cluster.rows('SELECT max(id) FROM own');
    const list = Array.from({ length: 40 }, (_, i) => (i % 2 ? null : Number(last) + i));
    await cluster.query("INSERT INTO own SELECT value + 1, 'between' FROM json_each(?)", [
      JSON.stringify(list),
    ]);
    expect(await cluster.rows("SELECT count(DISTINCT id) FROM own WHERE body = 'between'")).toEqual([[40]]);
    await found('between');
  });

  test('are given, or generated where they are NULL', async () => {
    await cluster.query('CREATE TABLE loose (uid INTEGER, body TEXT) PARTITION BY (uid)');
    const rows = Array.from({ length: 20 }, (_, i) => `(${i % 3 === 0 ? 'NULL' : 9000 + i}, 'loose ${i}')`);
    await cluster.query(`INSERT INTO loose VALUES ${rows.join()}`);
    const { json } = await cluster.query('INSERT INTO own SELECT uid + 1, body FROM loose');
    expect(json.rowsAffected).toBe(20);
    expect(await cluster.rows('SELECT body FROM own WHERE id = 9003')).toEqual([['loose 2']]);
    expect(await cluster.rows("SELECT count(DISTINCT id) FROM own WHERE body LIKE 'loose%'")).toEqual([[20]]);
    await found('loose%');
    const again = await cluster.post('/v1/query', { sql: 'INSERT INTO own SELECT uid + 1, body FROM loose' });
    expect([again.status, again.json.error.code]).toEqual([409, 'constraint']);
    expect(await cluster.rows("SELECT count(*) FROM own WHERE body LIKE 'loose%'")).toEqual([[20]]);
    await cluster.query("INSERT INTO own VALUES (abs(-77), 'abs'), (abs(NULL), 'null')");
    expect(await cluster.rows('SELECT body FROM own WHERE id = 77')).toEqual([['abs']]);
    await found('null');
  });
});

test('of other tables they are generated, and stay with their row', async () => {
  await cluster.query('INSERT INTO notes (tenant, body) SELECT page || ms, tenant FROM visits');
  expect(await cluster.rows('SELECT count(DISTINCT id), count(*) FROM notes')).toEqual([[24, 24]]);
  const [[id] = []] = await cluster.rows("SELECT id FROM notes WHERE tenant = 'p1101'");
  expect(await cluster.rows('SELECT body FROM notes WHERE id = ?', [id])).toEqual([['bob']]);
});

test('an interactive transaction reads them, and takes them back', async () => {
  const { json } = await cluster.post('/v1/transactions', {});
  const run = (sql: string) => cluster.post(`/v1/transactions/${json.id}/query`, { sql });
  expect((await run("INSERT INTO visits VALUES ('new', 'p', 7)")).status).toBe(200);
  expect((await run('SAVEPOINT one')).status).toBe(200);
  const moved = await run("INSERT INTO pages SELECT page || tenant, ms % 90, 'm' FROM visits");
  expect([moved.status, moved.json.rowsAffected]).toEqual([200, 25]);
  expect((await run('SELECT count(*) FROM pages')).json.rows).toEqual([[25]]);
  expect((await run("SELECT n FROM pages WHERE page = 'pnew'")).json.rows).toEqual([[7]]);
  expect((await run('ROLLBACK TO one')).status).toBe(200);
  expect((await run("INSERT INTO pages VALUES (upper('last'), 1, '')")).status).toBe(200);
  expect((await run("UPDATE pages SET n = 2 WHERE page = 'LAST'")).json.rowsAffected).toBe(1);
  expect((await cluster.post(`/v1/transactions/${json.id}/commit`, {})).status).toBe(200);
  expect(await cluster.rows('SELECT * FROM pages')).toEqual([['LAST', 2, '']]);
  await cluster.query('DELETE FROM pages');
  await cluster.query("DELETE FROM visits WHERE tenant = 'new'");
});

test('an idempotency key applies them once, wherever they run', async () => {
  for (const sql of [
    "INSERT INTO times (ms, tenant) SELECT value, 'once' FROM json_each('[1, 2, 3, 4, 5]')",
    "INSERT INTO times (ms, tenant) VALUES (abs(-10), 'once')",
    "INSERT INTO times (ms, tenant) SELECT ms, 'once' FROM visits WHERE tenant <> 'ann'",
    "INSERT INTO own (body) SELECT 'once' FROM json_each('[1, 2, 3]')",
  ]) {
    const request = { sql, idempotencyKey: newKey() };
    const one = await cluster.post('/v1/query', request);
    for (let i = 0; i < 3; i++) {
      const other = await cluster.post('/v1/query', request);
      expect([sql, one.status, other.status, other.json.rowsAffected]).toEqual([
        sql,
        200,
        200,
        one.json.rowsAffected,
      ]);
    }
  }
  expect(await cluster.rows("SELECT count(*) FROM times WHERE tenant = 'once'")).toEqual([[27]]);
  expect(await cluster.rows("SELECT count(*) FROM own WHERE body = 'once'")).toEqual([[3]]);
  await cluster.query('DELETE FROM times');
});

test('while rows are changed, no copy has half of a transaction', async () => {
  await copyPairs(
    cluster,
    (i) => `INSERT INTO pages SELECT '${i} ' || tenant, ${i}, body FROM notes WHERE body LIKE 'pair%'`,
  );
  const halves = 'SELECT n FROM pages GROUP BY n HAVING count(*) <> 2 OR count(DISTINCT tenant) <> 1';
  expect(await cluster.rows(halves)).toEqual([]);
  expect(await cluster.rows('SELECT count(*) FROM pages')).toEqual([[16]]);
  await cluster.query('DELETE FROM pages');
});

test('EXPLAIN says where it runs, and that rows move', async () => {
  const text = async (sql: string) => JSON.stringify(await cluster.rows(`EXPLAIN ${sql}`));
  expect(await text('INSERT INTO pages SELECT page, ms, tenant FROM visits')).toContain(
    '["moves rows of","pages"]',
  );
  expect(await text("INSERT INTO pages VALUES (lower('X'), 1, '')")).toContain('["moves rows of","pages"]');
});
