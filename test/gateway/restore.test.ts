import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestCluster } from '../cluster/cluster.ts';
import { importInto, lines } from './loading.ts';
import { restore } from './restoring.ts';

/** A dump of every kind of table and value goes into a cluster with another number of partitions. */

let source: TestCluster;
let target: TestCluster;
let dump = '';

const DDL = [
  'CREATE TABLE countries (code TEXT PRIMARY KEY, name TEXT) REFERENCE',
  'CREATE TABLE kinds (id INTEGER PRIMARY KEY, kind TEXT, within INTEGER REFERENCES kinds) REFERENCE',
  'CREATE TABLE towns (town TEXT PRIMARY KEY, country TEXT REFERENCES countries, note) PARTITION BY (town)',
  `CREATE TABLE people (
     id INTEGER PRIMARY KEY, -- the id; a comment
     town TEXT REFERENCES towns, name TEXT, upper_name AS (upper(name)), weight REAL)`,
  'CREATE TABLE staff (town TEXT, no INTEGER, boss INTEGER, PRIMARY KEY (town, no), FOREIGN KEY (town, boss) REFERENCES staff (town, no)) PARTITION BY (town)',
  'CREATE TABLE "odd ""name" ("the key" INTEGER, v, PRIMARY KEY ("the key", v)) WITHOUT ROWID PARTITION BY ("the key")',
  'CREATE TABLE strict_one (k TEXT PRIMARY KEY, any_value ANY) STRICT',
  'CREATE TABLE keyless (v)',
  'CREATE TABLE events (id INTEGER PRIMARY KEY, what TEXT)',
  'CREATE TABLE audit (k TEXT, what TEXT, PRIMARY KEY (k, what)) WITHOUT ROWID PARTITION BY (k)',
  'CREATE INDEX people_name ON people (name) WHERE name IS NOT NULL',
  'CREATE VIEW heavy AS SELECT name, weight FROM people WHERE weight > 50',
  `CREATE TRIGGER noted AFTER INSERT ON strict_one WHEN NEW.any_value IS NOT NULL
     BEGIN INSERT OR IGNORE INTO audit VALUES (NEW.k, CASE WHEN 1 THEN 'noted; END;' END); END`,
];

/** Types and bytes, so that equal means equal. */
const EXACT: Record<string, string> = {
  countries: 'SELECT code, name FROM countries ORDER BY code',
  kinds: 'SELECT id, kind, within FROM kinds ORDER BY id',
  towns: 'SELECT town, country, note FROM towns ORDER BY town',
  people: 'SELECT id, town, name, upper_name, hex(weight) FROM people ORDER BY id',
  staff: 'SELECT town, no, boss FROM staff ORDER BY town, no',
  odd: 'SELECT "the key", typeof(v), hex(v) FROM "odd ""name" ORDER BY "the key"',
  strict_one: 'SELECT k, typeof(any_value), hex(any_value) FROM strict_one ORDER BY k',
  keyless: 'SELECT rowid, v FROM keyless ORDER BY rowid',
  events: 'SELECT id, what FROM events ORDER BY id',
  audit: 'SELECT k, what FROM audit ORDER BY k',
  heavy: 'SELECT count(*), min(name) FROM heavy',
};

const VALUES = [
  '1',
  '1.0',
  '-0.0',
  "''",
  "'it''s'",
  "x'00ff'",
  "x''",
  "CAST(x'610062' AS TEXT)",
  "CAST(x'ff' AS TEXT)",
  '9e999',
  '-9e999',
  '9223372036854775807',
  '-9223372036854775808',
  '0.1',
  '1e300',
  '9007199254740993.0',
  '5e-324',
  'NULL',
  "'\n; -- /* 😀'",
];

beforeAll(async () => {
  [source, target] = await Promise.all([TestCluster.start(), TestCluster.start({ partitions: 3 })]);
  for (const sql of DDL) await source.query(sql);
  const load = (table: string, count: number, row: (line: number) => unknown) =>
    importInto(source, table, lines(count, row));
  await load('countries', 1, () => ({ code: 'IS', name: "Ice'land" }));
  await load('kinds', 3, (line) => ({ kind: `k${line}`, within: 1 }));
  await load('towns', 40, (line) => ({ town: `t${line}`, country: 'IS' }));
  await load('people', 9_000, (line) => ({
    town: `t${1 + (line % 40)}`,
    name: `n ${line}`,
    weight: line / 7,
  }));
  await load('keyless', 50, (line) => ({ v: line }));
  await load('events', 500, (line) => ({ what: `e${line}` }));
  // Half of them get a boss behind them, many in another chunk.
  await load('staff', 6_000, (line) => ({ town: 't1', no: line, boss: null }));
  await source.query("UPDATE staff SET boss = 6001 - no WHERE town = 't1'");
  for (const [index, value] of VALUES.entries()) {
    await source.query(`INSERT INTO strict_one VALUES ('k${index}', ${value})`);
    if (value !== 'NULL') await source.query(`INSERT INTO "odd ""name" VALUES (${index}, ${value})`);
  }
  dump = (await source.get('/v1/export')).text;
});

afterAll(() => Promise.all([source.dispose(), target.dispose()]));

const linesOf = (text: string): string[] => text.split('\n').filter((line) => !line.startsWith('--'));

test('everything is equal in a cluster with another number of partitions', async () => {
  const reply = await restore(target, gzipSync(dump), { 'content-encoding': 'gzip' });
  expect(reply.json).toMatchObject({ tables: 10 });
  expect(reply.status).toBe(200);
  expect(reply.json.rows).toBe(dump.match(/^INSERT INTO/gm)?.length);
  for (const [name, sql] of Object.entries(EXACT)) {
    expect([name, await target.rows(sql)]).toEqual([name, await source.rows(sql)]);
  }
  const again = (await target.get('/v1/export')).text;
  expect(linesOf(again).sort()).toEqual(linesOf(dump).sort());
});

test('generated ids never meet restored ones', async () => {
  const ids = new Set((await target.rows('SELECT id FROM people')).map(([id]) => id));
  for (let n = 1; n <= 40; n++) {
    const { json } = await target.query('INSERT INTO people (town, name) VALUES (?, ?)', [`t${n}`, 'new']);
    expect(ids.has(json.lastInsertRowid)).toBe(false);
    ids.add(json.lastInsertRowid);
  }
  for (let n = 0; n < 20; n++) await target.query("INSERT INTO events (what) VALUES ('new')");
  await target.query("INSERT INTO kinds (kind) VALUES ('new')");
  expect(await target.rows('SELECT count(*), count(DISTINCT id) FROM people')).toEqual([[9_040, 9_040]]);
  expect(await target.rows('SELECT count(*), count(DISTINCT id) FROM events')).toEqual([[520, 520]]);
});

test('keys, triggers and constraints are in force', async () => {
  const orphan = await target.post('/v1/query', { sql: "INSERT INTO people (town) VALUES ('nowhere')" });
  expect(orphan.json.error).toMatchObject({ code: 'constraint' });
  await target.query("INSERT INTO strict_one VALUES ('later', 1)");
  expect(await target.rows("SELECT what FROM audit WHERE k = 'later'")).toEqual([['noted; END;']]);
});

test('a second restore is refused, and so is a token that may only write', async () => {
  expect(await restore(target, dump)).toMatchObject({
    status: 409,
    json: {
      error: { code: 'already-exists', outcome: 'none', message: expect.stringContaining('new cluster') },
    },
  });
  const made = await target.post('/v1/tokens', { role: 'write' });
  const refused = await restore(target, dump, { authorization: `Bearer ${made.json.token}` });
  expect(refused).toMatchObject({ status: 403, json: { error: { code: 'forbidden' } } });
  expect(await target.rows('SELECT count(*) FROM towns')).toEqual([[40]]);
});

test('the ledger tells of the restore, and every partition has confirmed it', async () => {
  const { json } = await target.get('/v1/schema');
  expect(json.migrations.at(-1)).toMatchObject({ state: 'published', appliedBy: [1, 2, 3] });
});
