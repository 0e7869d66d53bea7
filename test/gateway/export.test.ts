import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { splitScript } from '../../src/client/index.ts';
import { TestCluster, TOKEN } from '../cluster/cluster.ts';

let cluster: TestCluster;

const DDL = [
  'CREATE TABLE countries (code TEXT PRIMARY KEY, name TEXT) REFERENCE',
  'CREATE TABLE towns (town TEXT PRIMARY KEY, country TEXT REFERENCES countries, note) PARTITION BY (town)',
  `CREATE TABLE people (
     id INTEGER PRIMARY KEY, -- the id; a comment
     town TEXT REFERENCES towns, name TEXT, upper_name AS (upper(name)), weight REAL)`,
  'CREATE TABLE "odd ""name" ("the key" INTEGER, v, PRIMARY KEY ("the key", v)) WITHOUT ROWID PARTITION BY ("the key")',
  'CREATE TABLE strict_one (k TEXT PRIMARY KEY, any_value ANY) STRICT',
  'CREATE TABLE keyless (v)',
  'CREATE TABLE audit (k TEXT, what TEXT, PRIMARY KEY (k, what)) WITHOUT ROWID PARTITION BY (k)',
  'CREATE INDEX people_name ON people (name) WHERE name IS NOT NULL',
  'CREATE VIEW heavy AS SELECT name, weight FROM people WHERE weight > 50',
  `CREATE TRIGGER noted AFTER INSERT ON strict_one WHEN NEW.any_value IS NOT NULL
     BEGIN INSERT OR IGNORE INTO audit VALUES (NEW.k, 'noted; END'); END`,
];

beforeAll(async () => {
  cluster = await TestCluster.start();
  for (const sql of DDL) await cluster.query(sql);
  await load('countries', [{ code: 'IS', name: "Ice'land" }]);
  await load(
    'towns',
    Array.from({ length: 40 }, (_, i) => ({ town: `t${i}`, country: 'IS' })),
  );
  await load(
    'people',
    Array.from({ length: 5_000 }, (_, i) => ({ town: `t${i % 40}`, name: `n ${i}`, weight: i / 7 })),
  );
  await load(
    'keyless',
    Array.from({ length: 50 }, (_, i) => ({ v: i })),
  );
  const values = [
    '1',
    '1.0',
    '-0.0',
    "''",
    "'it''s'",
    "x'00ff'",
    "CAST(x'610062' AS TEXT)",
    "CAST(x'ff' AS TEXT)",
    '9e999',
  ];
  for (const [index, value] of [
    ...values,
    '-9e999',
    '9223372036854775807',
    'NULL',
    '5e-324',
    "'\n;'",
  ].entries()) {
    await cluster.query(`INSERT INTO strict_one VALUES ('k${index}', ${value})`);
    if (value !== 'NULL') await cluster.query(`INSERT INTO "odd ""name" VALUES (${index}, ${value})`);
  }
});

afterAll(() => cluster.dispose());

async function load(table: string, rows: readonly object[]): Promise<void> {
  const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/x-ndjson' };
  const body = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  const reply = await cluster.request(`/v1/import/${table}`, { method: 'POST', headers, body });
  expect(reply.json).toMatchObject({ rows: rows.length });
}

/** Types and bytes, so that equal means equal. */
const EXACT: Record<string, string> = {
  countries: 'SELECT code, name FROM countries ORDER BY code',
  towns: 'SELECT town, country, note FROM towns ORDER BY town',
  people: 'SELECT id, town, name, upper_name, hex(weight) FROM people ORDER BY id',
  odd: 'SELECT "the key", typeof(v), hex(v) FROM "odd ""name" ORDER BY "the key"',
  strict_one: 'SELECT k, typeof(any_value), hex(any_value) FROM strict_one ORDER BY k',
  keyless: 'SELECT rowid, v FROM keyless ORDER BY rowid',
  audit: 'SELECT k, what FROM audit ORDER BY k',
  heavy: 'SELECT count(*), min(name) FROM heavy',
};

async function dumpOf(query = ''): Promise<string> {
  const reply = await cluster.get(`/v1/export${query}`);
  expect(reply.status).toBe(200);
  expect(reply.headers.get('content-type')).toMatch(/^application\/sql/);
  return reply.text;
}

function inSqlite(dump: string): (sql: string) => unknown[][] {
  const database = new DatabaseSync(':memory:');
  database.exec(dump);
  expect(database.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
  expect(database.prepare('PRAGMA foreign_key_check').all()).toEqual([]);
  return (sql) => {
    const statement = database.prepare(sql);
    statement.setReturnArrays(true);
    return statement.all() as unknown as unknown[][];
  };
}

/** Hex of a REAL's text in workerd and in Node is the same: both carry one version of SQLite. */
const inAtoll = async (target: TestCluster, sql: string) => (await target.rows(sql)) as unknown[][];

test('a dump loads in SQLite, and everything is equal', async () => {
  const dump = await dumpOf();
  const rows = inSqlite(dump);
  for (const [name, sql] of Object.entries(EXACT)) {
    expect([name, rows(sql)]).toEqual([name, await inAtoll(cluster, sql)]);
  }
  const triggers = rows("SELECT sql FROM sqlite_schema WHERE type = 'trigger'");
  expect(triggers).toEqual([[DDL.at(-1)]]);
  expect(dump).not.toContain('_atoll_');
  expect(dump.endsWith('COMMIT;\n')).toBe(true);
});

test('Atoll reads its own clauses in a dump', async () => {
  const dump = await dumpOf();
  const fresh = await TestCluster.start({ partitions: 2 });
  try {
    // Ids of `people` were generated and are not its key: only a restore could bring them back.
    const statements = splitScript(dump)
      .map(({ sql }) => sql)
      .filter((sql) => !/^(PRAGMA|BEGIN|COMMIT|INSERT INTO "people")/.test(sql));
    for (const sql of statements) await fresh.query(sql);
    for (const [name, sql] of Object.entries(EXACT)) {
      if (name === 'people' || name === 'heavy') continue;
      expect([name, await inAtoll(fresh, sql)]).toEqual([name, await inAtoll(cluster, sql)]);
    }
    const placements = async (target: TestCluster) =>
      (await target.get('/v1/schema')).json.tables
        .map(({ name, placement }: { name: string; placement: unknown }) => JSON.stringify([name, placement]))
        .sort();
    expect(await placements(fresh)).toEqual(await placements(cluster));
  } finally {
    await fresh.dispose();
  }
});

test('one table', async () => {
  const rows = inSqlite(await dumpOf('?table=Strict_one'));
  expect(rows('SELECT type, name FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type')).toEqual([
    ['table', 'strict_one'],
    ['trigger', 'noted'],
  ]);
  expect(rows('SELECT count(*) FROM strict_one')).toEqual([[14]]);
});

test('what is not there is refused before the first byte', async () => {
  expect(await cluster.get('/v1/export?table=none')).toMatchObject({
    status: 400,
    json: { error: { code: 'no-such-table' } },
  });
  expect(await cluster.get('/v1/export?format=csv')).toMatchObject({
    status: 400,
    json: { error: { code: 'unsupported' } },
  });
  expect(await cluster.get('/v1/export?all=1')).toMatchObject({
    status: 400,
    json: { error: { code: 'bad-request' } },
  });
  expect((await cluster.get('/v1/export', { headers: {} })).status).toBe(401);
});

test('a token with the role read may export', async () => {
  const made = await cluster.post('/v1/tokens', { role: 'read' });
  const reply = await cluster.get('/v1/export', { headers: { authorization: `Bearer ${made.json.token}` } });
  expect(reply.status).toBe(200);
});

test('a client that takes little is given little, and one that leaves disturbs nobody', async () => {
  await cluster.query('CREATE TABLE blobs (k INTEGER PRIMARY KEY, b BLOB)');
  for (let k = 0; k < 60; k++) await cluster.query(`INSERT INTO blobs VALUES (${k}, zeroblob(500000))`);
  const leave = new AbortController();
  const headers = { authorization: `Bearer ${TOKEN}` };
  const reply = await fetch(`${cluster.url}/v1/export?table=blobs`, { headers, signal: leave.signal });
  const reader = reply.body?.getReader();
  await reader?.read();
  await new Promise((resolve) => setTimeout(resolve, 500));
  leave.abort();
  await expect(reader?.read().then(() => reader.closed)).rejects.toThrow();
  expect((await dumpOf('?table=blobs')).match(/^INSERT/gm)).toHaveLength(60);
});
