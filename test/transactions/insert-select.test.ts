import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newKey } from '../../src/client/key.ts';
import { TestCluster } from '../cluster/cluster.ts';
import { BesideSqlite } from './beside-sqlite.ts';
import { copyPairs } from './pair.ts';

// INSERT … SELECT whose rows stay in the partitions that they are read in.

const TENANTS = ['ann', 'bob', 'cy', 'dee', 'eve', 'fay', 'gus', 'hal'];
let cluster: TestCluster;
let beside: BesideSqlite;

beforeAll(async () => {
  cluster = await TestCluster.start({ partitions: 4 });
  beside = await BesideSqlite.create(
    cluster,
    'CREATE TABLE visits (tenant TEXT NOT NULL, page TEXT, ms INTEGER) PARTITION BY (tenant)',
    'CREATE TABLE slow (tenant TEXT NOT NULL, page TEXT, ms INTEGER CHECK (ms < 1000), UNIQUE (tenant, page)) PARTITION BY (tenant)',
    'CREATE TABLE named (tenant TEXT NOT NULL, page TEXT UNIQUE) PARTITION BY (tenant)',
    'CREATE TABLE owners (name TEXT PRIMARY KEY) PARTITION BY (name)',
    'CREATE TABLE owned (page TEXT, owner TEXT REFERENCES owners(name)) PARTITION BY (page)',
  );
  await cluster.query(
    'CREATE TABLE notes (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, body TEXT) PARTITION BY (tenant)',
  );
  await cluster.query('CREATE TABLE own (id INTEGER PRIMARY KEY, body TEXT)');
});

afterAll(() => cluster.dispose());

beforeEach(async () => {
  for (const table of ['visits', 'slow', 'named', 'owned', 'owners'])
    await beside.both(`DELETE FROM ${table}`);
  const rows = TENANTS.flatMap((tenant, i) => [0, 1, 2].map((n) => `('${tenant}', 'p${n}', ${i * 100 + n})`));
  await beside.both(`INSERT INTO visits VALUES ${rows.join()}`);
});

test('copies rows of all partitions, groups and joins too', async () => {
  const copied = await beside.both('INSERT INTO slow SELECT * FROM visits WHERE ms > 100');
  expect([copied.rowsAffected, copied.plan.kind]).toEqual([20, 'transaction']);
  await beside.both(
    "INSERT INTO slow SELECT v.tenant, 'sum of ' || count(*), sum(v.ms) / 10 FROM visits v JOIN slow s USING (tenant, page) GROUP BY v.tenant",
  );
  await beside.both([
    'INSERT INTO slow SELECT tenant, page || ?, ms FROM visits WHERE tenant IN (?, ?)',
    ' again',
    'ann',
    'hal',
  ]);
});

test('what the target refuses in one partition is done in none', async () => {
  await beside.both("UPDATE visits SET ms = 1000 WHERE tenant = 'eve' AND page = 'p1'");
  await beside.both('INSERT INTO slow SELECT * FROM visits');
  expect(await cluster.rows('SELECT count(*) FROM slow')).toEqual([[0]]);
});

test('rows in the way are of the same partition', async () => {
  await beside.both("INSERT INTO slow SELECT tenant, page, 1 FROM visits WHERE page = 'p1'");
  await beside.both('INSERT OR IGNORE INTO slow SELECT * FROM visits');
  await beside.both(
    'INSERT INTO slow SELECT * FROM visits WHERE true ON CONFLICT (tenant, page) DO UPDATE SET ms = ms + excluded.ms',
  );
  await beside.both('INSERT OR REPLACE INTO slow SELECT tenant, page, 5 FROM visits');
});

test('constraints over partitions hold', async () => {
  await beside.both("INSERT INTO named SELECT tenant, page || tenant FROM visits WHERE page = 'p0'");
  await beside.both("INSERT INTO named SELECT tenant, page FROM visits WHERE page = 'p2'");
  await beside.both('INSERT INTO owners SELECT DISTINCT tenant FROM visits');
  await beside.both("INSERT INTO owned VALUES ('p0', 'ann'), ('p1', 'bob')");
  await beside.both("INSERT INTO owned SELECT page, 'nobody' FROM owned");
  await beside.both("INSERT INTO owned SELECT page, 'cy' FROM owned");
});

test('a table may be copied into itself, and a view be read', async () => {
  await beside.both("INSERT INTO visits SELECT tenant, page || '!', ms + 1 FROM visits");
  await cluster.query('CREATE VIEW pages AS SELECT tenant, page AS p FROM visits WHERE ms % 2');
  const { json } = await cluster.query('INSERT INTO slow (page, tenant) SELECT p, tenant FROM pages');
  expect(json.rowsAffected).toBe((await cluster.rows('SELECT count(*) FROM pages'))[0]?.[0]);
  await cluster.query('DROP VIEW pages');
  await cluster.query('DELETE FROM slow');
});

test.each([
  ['INSERT INTO slow SELECT tenant, page, (SELECT max(ms) FROM visits) FROM visits', 'unsupported'],
  ["INSERT INTO slow SELECT tenant, page, 1 FROM visits UNION ALL SELECT name, 'p', 2 FROM owners", 'done'],
])('%s: %s', async (sql, code) => {
  const { json } = await cluster.post('/v1/query', { sql });
  expect(json.error?.code ?? 'done').toBe(code);
  if (code !== 'done') expect(await cluster.rows('SELECT count(*) FROM slow')).toEqual([[0]]);
  await cluster.query('DELETE FROM slow');
});

test('a batch archives: copies, then deletes', async () => {
  await beside.both(
    'INSERT INTO slow SELECT * FROM visits WHERE ms > 300',
    'DELETE FROM visits WHERE ms > 300',
  );
  expect(await cluster.rows('SELECT count(*) FROM slow')).toEqual([[14]]);
});

describe('ids', () => {
  test('are generated', async () => {
    const copy = 'INSERT INTO notes (tenant, body) SELECT tenant, page FROM visits RETURNING id';
    const { json } = await cluster.query(copy);
    const ids = json.rows.map(([id]: [number]) => id);
    expect(new Set(ids).size).toBe(TENANTS.length * 3);
  });

  test("of rows that random() lets through are one row's each", async () => {
    for (let i = 0; i < 15; i++)
      await cluster.query(
        "INSERT INTO notes (tenant, body) SELECT tenant, 'chance' FROM visits WHERE random() % 5 = 0",
      );
    const twice = 'SELECT id FROM notes GROUP BY id HAVING count(*) > 1';
    expect(await cluster.rows(twice)).toEqual([]);
    expect(await cluster.rows('SELECT count(*) FROM notes WHERE id < 1')).toEqual([[0]]);
  });

  test('of which the last is answered, wherever it was', async () => {
    for (const tenant of TENANTS) {
      const sql = `INSERT INTO notes (tenant, body) SELECT tenant, page FROM visits WHERE page = 'p1' AND ms / 100 = ${TENANTS.indexOf(tenant)} RETURNING id`;
      const { json } = await cluster.query(sql);
      expect(json.rows).toEqual([[json.lastInsertRowid]]);
    }
  });

  test('are generated where NULL is selected for them', async () => {
    const { json } = await cluster.query("INSERT INTO notes SELECT NULL, tenant, 'null' FROM visits");
    expect(json.rowsAffected).toBe(TENANTS.length * 3);
    expect(await cluster.rows("SELECT count(DISTINCT id) FROM notes WHERE body = 'null'")).toEqual([[24]]);
  });

  test('that are the partition key are copied, and take none that could be generated', async () => {
    await cluster.query('CREATE TABLE other (id INTEGER PRIMARY KEY, body TEXT)');
    await cluster.query('CREATE TABLE loose (uid INTEGER, body TEXT) PARTITION BY (uid)');
    // Near the end of each partition's range: docs/protocol.md.
    const ends = [1, 2, 3, 4, 5].flatMap((n) =>
      [8, 4, 2, 1].map((k) => String(2n ** 50n * BigInt(n) - BigInt(k))),
    );
    for (const id of ends) await cluster.query('INSERT INTO own VALUES (?, ?)', [{ $int: id }, 'end']);
    await cluster.query("INSERT INTO own (body) VALUES ('a'), ('b'), ('c')");
    const { json } = await cluster.query('INSERT INTO other SELECT * FROM own');
    expect(json.rowsAffected).toBe(ends.length + 3);
    for (let i = 0; i < 12; i++) await cluster.query("INSERT INTO other (body) VALUES ('new')");
    await cluster.query("INSERT INTO loose VALUES (700007, 'loose'), (NULL, 'loose'), (NULL, 'loose')");
    const moved = await cluster.query('INSERT INTO other SELECT uid, body FROM loose');
    expect(moved.json.rowsAffected).toBe(3);
    expect(await cluster.rows("SELECT count(DISTINCT id) FROM other WHERE body = 'loose'")).toEqual([[3]]);
    expect(await cluster.rows('SELECT body FROM other WHERE id = 700007')).toEqual([['loose']]);
  });

  test('that do not say where their row is are given', async () => {
    await cluster.query('INSERT INTO notes SELECT rowid, tenant, page FROM visits');
    const [ids, notes] = [
      await cluster.rows('SELECT rowid FROM visits'),
      await cluster.rows('SELECT id FROM notes'),
    ];
    expect(
      notes
        .flat()
        .filter((id) => ids.flat().includes(id))
        .sort(),
    ).toEqual(ids.flat().sort());
    await cluster.query('DELETE FROM notes');
  });
});

test('an interactive transaction copies what it has written itself, and takes it back', async () => {
  const { json } = await cluster.post('/v1/transactions', {});
  const run = (sql: string) => cluster.post(`/v1/transactions/${json.id}/query`, { sql });
  expect((await run("INSERT INTO visits VALUES ('new', 'p', 1), ('ann', 'new', 2)")).status).toBe(200);
  expect((await run('SAVEPOINT one')).status).toBe(200);
  const count = TENANTS.length * 3 + 2;
  const copied = await run('INSERT INTO slow SELECT * FROM visits');
  expect([copied.status, copied.json.rowsAffected]).toEqual([200, count]);
  expect((await run('SELECT count(*) FROM slow')).json.rows).toEqual([[count]]);
  expect((await run('ROLLBACK TO one')).status).toBe(200);
  expect((await run("INSERT INTO slow SELECT * FROM visits WHERE page = 'new'")).status).toBe(200);
  expect((await cluster.post(`/v1/transactions/${json.id}/commit`, {})).status).toBe(200);
  expect(await cluster.rows('SELECT * FROM slow')).toEqual([['ann', 'new', 2]]);
  await cluster.query("DELETE FROM visits WHERE tenant = 'new' OR page = 'new'");
  await cluster.query('DELETE FROM slow');
});

test('EXPLAIN says that it goes to all', async () => {
  const rows = await cluster.rows('EXPLAIN INSERT INTO slow SELECT * FROM visits');
  expect(JSON.stringify(rows)).toContain('each row stays in the partition that it is read in');
});

test('partition by partition, if asked to, and with the same time in all', async () => {
  const { json } = await cluster.query(
    "INSERT INTO slow SELECT tenant, strftime('%Y-%m-%d %H:%M:%f'), 1 FROM visits WHERE page = 'p0'",
    [],
    { atomicity: 'partition' },
  );
  expect(json.rowsAffected).toBe(TENANTS.length);
  expect(await cluster.rows('SELECT count(DISTINCT page) FROM slow')).toEqual([[1]]);
  await cluster.query('DELETE FROM slow');
});

test('an idempotency key applies it once', async () => {
  const key = { idempotencyKey: newKey() };
  const copy = { sql: "INSERT INTO notes (tenant, body) SELECT tenant, 'once' FROM visits", ...key };
  const [one, other] = [await cluster.post('/v1/query', copy), await cluster.post('/v1/query', copy)];
  expect([one.status, other.status, other.json.rowsAffected]).toEqual([200, 200, one.json.rowsAffected]);
  expect(await cluster.rows("SELECT count(*) FROM notes WHERE body = 'once'")).toEqual([
    [one.json.rowsAffected],
  ]);
});

test('while rows move and come, no copy has half of a transaction', async () => {
  await copyPairs(
    cluster,
    (i) => `INSERT INTO slow SELECT tenant, body || ' of copy ${i}', ${i} FROM notes WHERE body LIKE 'pair%'`,
  );
  const halves = 'SELECT ms FROM slow GROUP BY ms HAVING count(*) <> 2 OR count(DISTINCT page) <> 1';
  expect(await cluster.rows(halves)).toEqual([]);
  await cluster.query('DELETE FROM slow');
});
