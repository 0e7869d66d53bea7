import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Running, run, start, temporaryDirectory } from './process.ts';

/** Bulk load and dump through the command line, against Atoll itself. */
const ROWS = 40_000;
let directory: ReturnType<typeof temporaryDirectory>;
let dev: Running;
let url = '';

beforeAll(async () => {
  directory = temporaryDirectory();
  dev = start(['dev', '--port', '0'], { cwd: directory.path });
  url = (await dev.seen(/^ready (http:\S+)$/m))[1] ?? '';
  await atoll(
    'sql',
    '-e',
    'CREATE TABLE events (tenant TEXT NOT NULL, n INTEGER, body TEXT) PARTITION BY (tenant)',
  );
});

afterAll(async () => {
  dev.child.kill('SIGTERM');
  await dev.ended;
  directory.remove();
});

function atoll(...args: string[]) {
  return run(args, { cwd: directory.path, env: { ATOLL_URL: url } });
}

function file(name: string, lines: readonly string[]): string {
  writeFileSync(join(directory.path, name), `${lines.join('\n')}\n`);
  return name;
}

/** 4 MB: several blocks in every lane. */
function events(from: number): string[] {
  return Array.from({ length: ROWS }, (_, index) => {
    const n = from + index;
    return JSON.stringify({ tenant: `tenant-${n % 97}`, n, body: 'x'.repeat(60) });
  });
}

async function totals(tenants: string): Promise<string> {
  const sql = `SELECT count(*) AS rows, count(DISTINCT n) AS n FROM events WHERE tenant IN (${tenants})`;
  return (await atoll('sql', '--csv', '-e', sql)).stdout.split('\r\n')[1] ?? '';
}

async function counted(): Promise<string> {
  return (
    (await atoll('sql', '--csv', '-e', 'SELECT count(*), sum(n) FROM events')).stdout.split('\r\n')[1] ?? ''
  );
}

test('an import run again under its id adds nothing, and continues what broke off', async () => {
  const lines = events(0);
  const whole = [...lines];
  const broken = 33_333;
  lines[broken - 1] = '{"tenant":"a","n":';
  file('events.ndjson', lines);
  const first = await atoll('import', 'events', 'events.ndjson', '--import-id', 'one');
  expect(first.code).toBe(1);
  expect(first.stderr).toContain(`line ${broken}`);
  expect(first.stderr).toContain('--import-id one');

  file('events.ndjson', whole);
  const second = await atoll('import', 'events', 'events.ndjson', '--import-id', 'one');
  expect(second.code).toBe(0);
  expect(second.stderr).toMatch(/[\d,]+ rows were there already/);
  const sum = (ROWS * (ROWS - 1)) / 2;
  expect(await counted()).toBe(`${ROWS},${sum}`);
  expect(await totals("'tenant-1','tenant-2'")).toMatch(/^(\d+),\1$/);

  const third = await atoll('import', 'events', 'events.ndjson', '--import-id', 'one');
  expect(third.stderr).toContain('40,000 rows were there already');
  expect(await counted()).toBe(`${ROWS},${sum}`);
});

test('CSV keeps quotes and line ends, and names the line of a row that the table refuses', async () => {
  file('more.csv', ['tenant,n,body', 'csv,1,"a ""quoted""', 'text"', 'csv,2,plain']);
  expect(await atoll('import', 'events', 'more.csv')).toMatchObject({ code: 0 });
  const { stdout } = await atoll(
    'sql',
    '--json',
    '-e',
    "SELECT n, body FROM events WHERE tenant = 'csv' ORDER BY n",
  );
  expect(stdout).toBe('{"n":1,"body":"a \\"quoted\\"\\ntext"}\n{"n":2,"body":"plain"}\n');

  file('bad.ndjson', ['{"tenant":"bad","n":1}', '{"n":2}']);
  const refused = await atoll('import', 'events', 'bad.ndjson');
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/line 2: /);
  expect(
    (await atoll('sql', '--csv', '-e', "SELECT count(*) AS n FROM events WHERE tenant = 'bad'")).stdout,
  ).toBe('n\r\n0\r\n');
});

test('an export loads in SQLite with every row and type', async () => {
  await atoll('sql', '-e', 'CREATE TABLE kinds (k TEXT PRIMARY KEY, v)');
  await atoll('sql', '-e', "INSERT INTO kinds VALUES ('i', 9223372036854775807)");
  await atoll('sql', '-e', "INSERT INTO kinds VALUES ('r', 4.0)");
  await atoll('sql', '-e', "INSERT INTO kinds VALUES ('b', x'00ff')");
  await atoll('sql', '-e', "INSERT INTO kinds VALUES ('t', 'it''s' || char(10, 8364))");
  expect(await atoll('export', '--out', 'dump.sql')).toMatchObject({ code: 0 });
  const { readFileSync } = await import('node:fs');
  const copy = new DatabaseSync(':memory:');
  copy.exec(readFileSync(join(directory.path, 'dump.sql'), 'utf8'));
  const all = copy
    .prepare('SELECT k, typeof(v) AS type, CAST(v AS TEXT) AS text FROM kinds ORDER BY k')
    .all();
  expect(all.map((row) => ({ ...row }))).toEqual([
    { k: 'b', type: 'blob', text: expect.anything() },
    { k: 'i', type: 'integer', text: '9223372036854775807' },
    { k: 'r', type: 'real', text: '4.0' },
    { k: 't', type: 'text', text: "it's\n€" },
  ]);
  const { n } = copy.prepare('SELECT count(*) AS n FROM events').get() as { n: number };
  copy.close();
  expect(`${n}`).toBe((await counted()).split(',')[0]);
});
