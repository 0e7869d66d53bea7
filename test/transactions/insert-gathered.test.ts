import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { TestCluster } from '../cluster/cluster.ts';
import { BesideSqlite, type Statement } from './beside-sqlite.ts';

// INSERTs of rows that have to be read, and put together, before anybody knows where they belong.

const TENANTS = ['ann', 'bob', 'cy', 'dee', 'eve', 'fay', 'gus', 'hal'];
let cluster: TestCluster;
let beside: BesideSqlite;
const both = (...statements: Statement[]) => beside.both(...statements);

beforeAll(async () => {
  cluster = await TestCluster.start({ partitions: 4 });
  beside = await BesideSqlite.create(
    cluster,
    'CREATE TABLE visits (tenant TEXT NOT NULL, page TEXT, ms INTEGER, at REAL, raw BLOB) PARTITION BY (tenant)',
    'CREATE TABLE totals (page TEXT PRIMARY KEY, n INTEGER CHECK (n < 1000), least TEXT) PARTITION BY (page)',
    'CREATE TABLE named (tenant TEXT NOT NULL, page TEXT UNIQUE) PARTITION BY (tenant)',
    'CREATE TABLE values_of (k, v, w) PARTITION BY (k)',
    'CREATE TABLE owners (name TEXT PRIMARY KEY) PARTITION BY (name)',
    'CREATE TABLE owned (page TEXT, owner TEXT REFERENCES owners(name) ON DELETE CASCADE) PARTITION BY (page)',
    'CREATE TABLE parent (tenant TEXT PRIMARY KEY) PARTITION BY (tenant)',
    'CREATE TABLE child (tenant TEXT REFERENCES parent(tenant)) PARTITION BY (tenant)',
    'CREATE TABLE colours (name TEXT PRIMARY KEY, n INTEGER) REFERENCE',
    'CREATE TABLE notes (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, body TEXT) PARTITION BY (tenant)',
    'CREATE TABLE settled (tenant TEXT UNIQUE ON CONFLICT IGNORE, n INTEGER) PARTITION BY (tenant)',
  );
  await cluster.query('CREATE TABLE own (id INTEGER PRIMARY KEY, body TEXT)');
  await cluster.query('CREATE TABLE seen (tenant TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID');
  await cluster.query('CREATE TABLE watched (tenant TEXT, n INTEGER) PARTITION BY (tenant)');
  await cluster.query(
    'CREATE TRIGGER watch AFTER INSERT ON watched BEGIN INSERT INTO seen VALUES (NEW.tenant, NEW.n); END',
  );
});

afterAll(() => cluster.dispose());

const WORDS = ["it''s", 'größer', '', '☃', 'a\\b'];

beforeEach(async () => {
  const tables = 'visits totals named values_of owned owners child parent colours notes settled'.split(' ');
  for (const table of tables) await both(`DELETE FROM ${table}`);
  const rows = TENANTS.flatMap((tenant, i) =>
    [0, 1, 2].map((n) => `('${tenant}', 'p${n}', ${i * 100 + n - 50}, ${(i + 1) / (n + 3)}, x'0${n}f${i}')`),
  );
  await both(`INSERT INTO visits VALUES ${rows.join()}`);
});

describe('as SQLite does it', () => {
  test('groups over all partitions', async () => {
    const { rowsAffected, plan } = await both(
      'INSERT INTO totals SELECT page, count(*), min(tenant) FROM visits GROUP BY page',
    );
    expect([rowsAffected, plan.kind]).toEqual([3, 'transaction']);
    await both("INSERT INTO totals SELECT 'all', sum(ms), max(tenant) FROM visits WHERE ms < 20");
    await both("INSERT INTO totals (page, n) SELECT DISTINCT page || '!', 1 FROM visits");
    await both('INSERT INTO values_of SELECT avg(at), total(ms), min(page) FROM visits WHERE ms = 51');
  });

  test('a few of all rows', async () => {
    await both('INSERT INTO totals SELECT page || ms, 1, tenant FROM visits ORDER BY ms DESC LIMIT 5');
    await both([
      'INSERT INTO totals SELECT page || ?1 || ms, ?2, tenant FROM visits ORDER BY ms LIMIT ?3 OFFSET 2',
      '/',
      7,
      4,
    ]);
    await both('INSERT INTO visits SELECT page, tenant, ms, at, raw FROM visits ORDER BY at, ms LIMIT 3');
  });

  test('a common table, before and behind INSERT', async () => {
    await both(
      'WITH t (p, n) AS (SELECT page, ms FROM visits WHERE ms > 20) INSERT INTO totals SELECT p, sum(n) % 10, NULL FROM t GROUP BY p',
    );
    await both(
      "INSERT INTO totals WITH t AS (SELECT page, ms FROM visits) SELECT page || '+', max(ms), NULL FROM t GROUP BY page",
    );
  });

  test('values of all kinds, as they are', async () => {
    const odd = ['0.1', '-0.0', '1e300', '1.0 / 3', '5e-324', '9007199254740994.0', '9e999', '-17', '4.0'];
    await both(`INSERT INTO values_of VALUES ${odd.map((number, i) => `('k${i}', ${number}, 'odd')`)}`);
    await both("INSERT INTO values_of VALUES ('least', -9223372036854775808, 9223372036854775807)");
    for (const [i, word] of WORDS.entries())
      await both(['INSERT INTO values_of VALUES (?, ?, ?)', `w${i}`, word, null]);
    await both(['INSERT INTO values_of VALUES (?, ?, ?)', 'nul', 'a\0b', 'long'.repeat(2_000)]);
    await both("INSERT INTO values_of VALUES ('blob', x'00ff', zeroblob(3000)), ('1', 1, '1')");
    await both("INSERT INTO values_of SELECT k || '2', v, w FROM values_of ORDER BY k LIMIT 100");
    await both('INSERT INTO values_of SELECT v, k, w FROM values_of ORDER BY k LIMIT 100');
    const types = 'SELECT hex(k), typeof(k), hex(v), typeof(v), typeof(w) FROM values_of';
    expect((await cluster.rows(types)).sort()).toEqual(beside.rows(types).sort());
  });

  test('conflict clauses', async () => {
    await both("INSERT INTO totals VALUES ('p1', 1, 'old'), ('q', 2, 'old')");
    await both('INSERT OR IGNORE INTO totals SELECT page, count(*), NULL FROM visits GROUP BY page');
    await both(
      'INSERT INTO totals SELECT page, count(*), max(tenant) FROM visits GROUP BY page ON CONFLICT (page) DO UPDATE SET n = n + excluded.n',
    );
    await both([
      'INSERT INTO totals SELECT page, ms, tenant FROM visits WHERE tenant = ?1 ON CONFLICT DO UPDATE SET least = ?2',
      'ann',
      'new',
    ]);
    await both("INSERT OR REPLACE INTO totals VALUES (lower('P1'), 1, 'replaced')");
    await both('INSERT INTO settled SELECT page, count(*) FROM visits GROUP BY page');
    await both('INSERT INTO settled SELECT page, 7 FROM visits GROUP BY page');
    await both(
      "INSERT INTO named SELECT min(tenant), page FROM visits GROUP BY page ON CONFLICT (page) DO UPDATE SET page = page || '?'",
    );
    await both('INSERT OR REPLACE INTO named SELECT max(tenant), page FROM visits GROUP BY page');
  });

  test('constraints hold', async () => {
    await both("INSERT INTO totals VALUES ('p1', 1, 'old')");
    await both('INSERT INTO totals SELECT page, count(*), NULL FROM visits GROUP BY page');
    await both(
      'INSERT INTO totals SELECT tenant, sum(ms) * 100, NULL FROM visits GROUP BY tenant ORDER BY tenant LIMIT 20',
    );
    await both('INSERT INTO named SELECT max(tenant), page FROM visits GROUP BY page');
    await both("INSERT INTO named SELECT 'x', page FROM visits GROUP BY page");
    await both('INSERT INTO owned SELECT page, max(tenant) FROM visits GROUP BY page');
    await both('INSERT INTO owners SELECT max(tenant) FROM visits GROUP BY page');
    await both('INSERT INTO owned SELECT page, max(tenant) FROM visits GROUP BY page');
    await both('INSERT INTO child SELECT page FROM visits');
    await both('INSERT INTO parent SELECT page FROM visits GROUP BY page');
    await both('INSERT INTO child SELECT page FROM visits');
  });

  test('ids beside the partition key', async () => {
    await both("INSERT INTO notes VALUES (5, lower('X'), 'given')");
    await both("INSERT INTO notes SELECT ms + 1000, page, tenant FROM visits WHERE tenant = 'dee'");
    await both('INSERT INTO notes SELECT ms + 2000, page, tenant FROM visits WHERE ms > 300');
    await both("INSERT INTO notes SELECT 5, 'y', max(tenant) FROM visits");
  });

  test('a reference table', async () => {
    await both('INSERT INTO colours SELECT page, count(*) FROM visits GROUP BY page');
    await both("INSERT INTO colours SELECT tenant, ms FROM visits WHERE tenant < 'cy' ORDER BY ms LIMIT 1");
    await both('INSERT INTO totals SELECT name, max(c.n), min(tenant) FROM visits, colours c GROUP BY name');
    await both('INSERT OR IGNORE INTO colours SELECT max(page), 1 FROM visits');
  });

  test('no rows', async () => {
    await both('INSERT INTO totals SELECT page, ms, tenant FROM visits WHERE ms > 5000 LIMIT 3');
    const { json } = await cluster.query(
      'INSERT INTO totals SELECT page, ms, tenant FROM visits WHERE ms > 5000 LIMIT 3 RETURNING *, n AS m, PAGE, n + 1',
    );
    expect([json.columns, json.rows]).toEqual([['page', 'n', 'least', 'm', 'page', 'n + 1'], []]);
  });

  test('with others in a batch', async () => {
    const json = await both(
      "INSERT INTO owners VALUES ('zoe')",
      'INSERT INTO totals SELECT page, count(*), min(tenant) FROM visits GROUP BY page',
      "UPDATE totals SET n = n * 2 WHERE page > 'p0'",
      'DELETE FROM visits WHERE ms > 300',
    );
    expect(json.results.map((each: { rowsAffected: number }) => each.rowsAffected)).toEqual([1, 3, 2, 12]);
    await both(
      'INSERT INTO values_of SELECT page, count(*), 1 FROM visits GROUP BY page',
      'INSERT INTO owners SELECT min(tenant) FROM visits WHERE ms > 100',
    );
  });

  test('more rows than a statement can have', async () => {
    const list = JSON.stringify(Array.from({ length: 3_000 }, (_, i) => i));
    await both(["INSERT INTO values_of SELECT 'n' || value, value, NULL FROM json_each(?)", list]);
    await both(
      "INSERT INTO values_of SELECT k || '+', v + 0.25, 'moved' FROM values_of ORDER BY v LIMIT 2000",
    );
    await both(
      "INSERT INTO values_of SELECT k || '-', -v, 'a longer text of a row' FROM values_of ORDER BY v, k LIMIT 4000",
    );
    expect(await cluster.rows('SELECT count(*) FROM values_of')).toEqual([[9_000]]);
  });
});

test('RETURNING gives the rows as they are made', async () => {
  const sql =
    "INSERT INTO totals SELECT page, count(*), 'x' FROM visits GROUP BY page RETURNING page AS p, n + 1";
  const { json } = await cluster.query(sql);
  expect([json.columns, json.rows.sort()]).toEqual([
    ['p', 'n + 1'],
    [
      ['p0', 9],
      ['p1', 9],
      ['p2', 9],
    ],
  ]);
  await cluster.query('DELETE FROM totals');
});

test('ids that are the partition key are generated, and given', async () => {
  const { json } = await cluster.query(
    'INSERT INTO own (body) SELECT page FROM visits GROUP BY page RETURNING id',
  );
  expect([json.rows.length, json.rowsAffected]).toEqual([3, 3]);
  for (const [id] of json.rows)
    expect(await cluster.rows('SELECT count(*) FROM own WHERE id = ?', [id])).toEqual([[1]]);
  const many = await cluster.query(
    'INSERT INTO own (body) SELECT a.page || b.value FROM visits AS a, json_each(?) AS b ORDER BY 1 LIMIT 9000',
    [JSON.stringify(Array.from({ length: 400 }, (_, i) => i))],
  );
  expect(many.json.rowsAffected).toBe(9_000);
  expect(await cluster.rows('SELECT count(DISTINCT id), count(*) FROM own')).toEqual([[9_003, 9_003]]);
});

test('what triggers write comes with it', async () => {
  await cluster.query('INSERT INTO watched SELECT page, count(*) FROM visits GROUP BY page');
  expect((await cluster.rows('SELECT * FROM seen')).sort()).toEqual([
    ['p0', 8],
    ['p1', 8],
    ['p2', 8],
  ]);
});

test('the time is one, and random values are refused', async () => {
  await cluster.query(
    "INSERT INTO values_of SELECT page, strftime('%f', 'now'), CURRENT_TIMESTAMP FROM visits ORDER BY ms LIMIT 9",
  );
  expect(await cluster.rows('SELECT count(DISTINCT v) FROM values_of')).toEqual([[1]]);
  await cluster.query(
    "INSERT INTO totals SELECT page, ms, strftime('%f', ?1) FROM visits WHERE tenant = 'ann' ON CONFLICT DO NOTHING",
    ['now'],
  );
  expect(await cluster.rows('SELECT count(*), count(DISTINCT least) FROM totals')).toEqual([[3, 1]]);
  const { json } = await cluster.post('/v1/query', {
    sql: 'INSERT INTO values_of SELECT page, random(), 1 FROM visits ORDER BY ms LIMIT 9',
  });
  expect([json.error.code, json.error.outcome]).toEqual(['unsupported', 'none']);
  await cluster.query("INSERT OR IGNORE INTO totals VALUES (hex(randomblob(8)), 1, '')");
  for (const table of ['values_of', 'totals']) await cluster.query(`DELETE FROM ${table}`);
});

test('while rows move, every sum is the same', async () => {
  for (const tenant of TENANTS) await cluster.query('INSERT INTO seen VALUES (?, 100)', [`m ${tenant}`]);
  let over = false;
  const move = async (from: number) => {
    for (let i = from; !over; i++) {
      const [one, other] = [TENANTS[i % 8], TENANTS[(i * 3 + 1) % 8]];
      const change = (by: string, tenant: unknown) => ({
        sql: `UPDATE seen SET n = n ${by} 7 WHERE tenant = ?`,
        args: [`m ${tenant}`],
      });
      if (one !== other)
        await cluster.post('/v1/batch', { statements: [change('-', one), change('+', other)] });
    }
  };
  const moving = [move(0), move(3)];
  for (let i = 0; i < 15; i++) {
    const sql = `INSERT INTO values_of SELECT 'sum ${i}', sum(n), count(*) FROM seen WHERE tenant LIKE 'm %'`;
    const { status, json } = await cluster.post('/v1/query', { sql });
    // Others may be too fast for it.
    if (status !== 200) expect([json.error.code, json.error.outcome]).toEqual(['conflict', 'none']);
  }
  over = true;
  await Promise.all(moving);
  expect(await cluster.rows('SELECT DISTINCT v, w FROM values_of')).toEqual([[800, 8]]);
  expect(Number((await cluster.rows('SELECT count(*) FROM values_of'))[0]?.[0])).toBeGreaterThan(3);
  await cluster.query('DELETE FROM values_of');
});

test.each([
  [
    [
      "INSERT INTO visits (tenant) VALUES ('new')",
      'INSERT INTO totals SELECT page, count(*), 1 FROM visits GROUP BY page',
    ],
    'statements[1] reads "visits"',
  ],
  [
    [
      'INSERT INTO totals SELECT c.name, max(c.n), min(tenant) FROM visits, colours c GROUP BY name',
      "INSERT INTO colours VALUES ('red', 1)",
    ],
    'statements[0] reads "colours"',
  ],
  [
    [
      'INSERT OR REPLACE INTO owners SELECT min(tenant) FROM visits',
      "INSERT INTO values_of SELECT 'owned', count(*), 1 FROM owned",
    ],
    'statements[1] reads "owned"',
  ],
  [
    [
      'INSERT INTO values_of SELECT min(tenant), count(*), 1 FROM named',
      "INSERT INTO named VALUES ('eve', 'b') ON CONFLICT (page) DO UPDATE SET page = page || '!'",
    ],
    'statements[0] reads "named"',
  ],
])(
  'in a batch it is refused to read what others write, change in the end, or look for first: %s',
  async (statements, why) => {
    const { status, json } = await cluster.post('/v1/batch', {
      statements: statements.map((sql) => ({ sql })),
    });
    expect([status, json.error.code, json.error.outcome]).toEqual([400, 'unsupported', 'none']);
    expect(json.error.message).toContain(why);
  },
);

test('a common table is not taken for the table of its name', async () => {
  const sql =
    "WITH colours (name, n) AS (SELECT 'x', 77) INSERT INTO totals SELECT page, count(*), NULL FROM visits GROUP BY page " +
    'ON CONFLICT (page) DO UPDATE SET n = (SELECT max(n) FROM colours)';
  const { status, json } = await cluster.post('/v1/query', { sql });
  expect([status, json.error.outcome]).toEqual([400, 'none']);
});

test('rows that may refer to each other go into one statement, or are refused', async () => {
  await cluster.query(
    'CREATE TABLE tree (tenant TEXT, id INTEGER, parent INTEGER, PRIMARY KEY (tenant, id), FOREIGN KEY (tenant, parent) REFERENCES tree) PARTITION BY (tenant)',
  );
  const grow = (n: number) =>
    cluster.post('/v1/query', {
      sql: "INSERT INTO tree SELECT 't' || (value % 3), value, CASE WHEN value + 3 < ?2 THEN value + 3 END FROM json_each(?1)",
      args: [JSON.stringify(Array.from({ length: n }, (_, i) => i)), n],
    });
  expect((await grow(60)).json.rowsAffected).toBe(60);
  await cluster.query('DELETE FROM tree');
  const many = await grow(9_000);
  expect([many.status, many.json.error?.code]).toEqual([413, 'too-large']);
});

test('what is refused for its rows is refused soon, also with the time in them', async () => {
  await cluster.query("INSERT INTO totals VALUES ('p1', 1, 'old')");
  const { status, json } = await cluster.post('/v1/query', {
    sql: 'INSERT INTO totals SELECT page, 1, CURRENT_TIMESTAMP FROM visits GROUP BY page',
    timeoutMs: 1_500,
  });
  expect([status, json.error.code]).toEqual([409, 'constraint']);
  const wrong = await cluster.post('/v1/query', {
    sql: "INSERT INTO totals SELECT page, ms, 'x' FROM visits ORDER BY ms LIMIT 'zz'",
  });
  expect([wrong.status, wrong.json.error.code, wrong.json.error.message]).toEqual([
    400,
    'sql',
    'datatype mismatch',
  ]);
  await cluster.query('DELETE FROM totals');
});

test('it is no work for partitions by themselves', async () => {
  const sql = 'INSERT INTO totals SELECT page, count(*), 1 FROM visits GROUP BY page';
  const { status, json } = await cluster.post('/v1/query', { sql, atomicity: 'partition' });
  expect([Math.floor(status / 100), json.error.outcome]).toEqual([4, 'none']);
  expect(json.error.message).toContain('leave atomicity out');
});

test('EXPLAIN says what is read first', async () => {
  const rows = await cluster.rows(
    'EXPLAIN INSERT INTO totals SELECT page, count(*), 1 FROM visits GROUP BY page',
  );
  expect(rows[0]?.[0]).toBe('gathered-insert');
  expect(JSON.stringify(rows)).toContain('reads first');
});
