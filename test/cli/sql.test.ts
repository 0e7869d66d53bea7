import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeServer, failure, fakeServer } from '../client/fake-server.ts';
import { run, temporaryDirectory } from './process.ts';
import { sqliteServer, TOKEN } from './sqlite-server.ts';

let server: FakeServer;
let directory: ReturnType<typeof temporaryDirectory>;

beforeEach(async () => {
  server = await sqliteServer();
  directory = temporaryDirectory();
});

afterEach(async () => {
  await server.close();
  directory.remove();
});

function atoll(args: string[], more: { input?: string; env?: Record<string, string> } = {}) {
  const env = { ATOLL_URL: server.url, ATOLL_TOKEN: TOKEN, ...more.env };
  return run(args, { cwd: directory.path, ...more, env });
}

function file(name: string, text: string): string {
  const path = join(directory.path, name);
  writeFileSync(path, text);
  return path;
}

describe('atoll sql', () => {
  test('-e shows a table: numbers to the right, NULL, 64 bits and REALs exact, a footer', async () => {
    const { stdout, code } = await atoll([
      'sql',
      '-e',
      "SELECT 'Vík' AS name, 9223372036854775807 AS big, 4.0 AS real, NULL AS none UNION ALL SELECT 'x', 1, 0.5, NULL",
    ]);
    expect(code).toBe(0);
    const lines = stdout.split('\n');
    expect(lines.slice(0, 4)).toEqual([
      ' name │                 big │ real │ none',
      '──────┼─────────────────────┼──────┼──────',
      ' Vík  │ 9223372036854775807 │  4.0 │ NULL',
      ' x    │                   1 │  0.5 │ NULL',
    ]);
    expect(lines[4]).toMatch(/^2 rows · [\d.]+ ms · route → partition 2$/);
  });

  test('--json gives what import reads, --csv what spreadsheets read', async () => {
    const sql = `SELECT 1 AS a, 2.0 AS b, 'x,"y"' AS c, NULL AS d, '' AS e`;
    expect((await atoll(['sql', '--json', '-e', sql])).stdout).toBe(
      '{"a":1,"b":2.0,"c":"x,\\"y\\"","d":null,"e":""}\n',
    );
    expect((await atoll(['sql', '--csv', '-e', sql])).stdout).toBe('a,b,c,d,e\r\n1,2.0,"x,""y""",,""\r\n');
  });

  test('a file runs statement by statement, triggers whole, and stops at the failing line', async () => {
    const script = file(
      'script.sql',
      `CREATE TABLE t (a);
CREATE TRIGGER r AFTER INSERT ON t BEGIN UPDATE t SET a = a + 1; SELECT ';'; END;
INSERT INTO t VALUES (1);

INSERT INTO missing VALUES (1);
INSERT INTO t VALUES (2);`,
    );
    const { code, stderr } = await atoll(['sql', script]);
    expect(code).toBe(1);
    expect(stderr).toContain(`${script}:5: no such table: missing (sql)`);
    expect(stderr).toContain('the 3 statements before it were run');
    const { stdout } = await atoll(['sql', '--csv', '-e', 'SELECT * FROM t']);
    expect(stdout).toBe('a\r\n2\r\n');
  });

  test('a file that does not parse is refused before any of it runs', async () => {
    const { code, stderr } = await atoll(['sql', file('bad.sql', 'CREATE TABLE t (a);\nSELEC 1;')]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/bad\.sql:2: .*SELEC/);
    expect(server.requests).toHaveLength(0);
  });

  test('statements come over standard input as well', async () => {
    const { stdout } = await atoll(['sql', '--csv'], { input: 'SELECT 1 AS a; SELECT 2 AS b;' });
    expect(stdout).toBe('a\r\n1\r\nb\r\n2\r\n');
  });

  test('a missing or wrong token says where to give one', async () => {
    const { code, stderr } = await atoll(['sql', '-e', 'SELECT 1'], { env: { ATOLL_TOKEN: '' } });
    expect(code).toBe(1);
    expect(stderr).toMatch(/unauthorized[\s\S]*hint:.*--token or ATOLL_TOKEN/);
  });

  test('beside `atoll dev` its token is found, but never sent to another host', async () => {
    mkdirSync(join(directory.path, '.atoll'));
    file('.atoll/token', `${TOKEN}\n`);
    expect(await atoll(['sql', '-e', 'SELECT 1'], { env: { ATOLL_TOKEN: '' } })).toMatchObject({ code: 0 });
    const { connect } = await import('../../src/cli/connection.ts');
    const sent: unknown[] = [];
    const fetch = async (_url: string, init: RequestInit): Promise<Response> => {
      sent.push((init.headers as Record<string, string>).authorization);
      return Response.json({});
    };
    const data = join(directory.path, '.atoll');
    await connect({ url: 'https://atoll.example', data }, { fetch }).network();
    await connect({ url: 'http://localhost:1', data }, { fetch }).network();
    expect(sent).toEqual([undefined, `Bearer ${TOKEN}`]);
  });

  test('where nothing listens, the way to start a cluster is named', async () => {
    await server.close();
    const { code, stderr } = await atoll(['sql', '-e', 'SELECT 1']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/nothing answers at http[\s\S]*hint:.*atoll dev/);
  });
});

describe('atoll import and export', () => {
  test('NDJSON, CSV and packed files are loaded, and counted', async () => {
    await atoll(['sql', '-e', 'CREATE TABLE t (a INTEGER, b TEXT)']);
    const lines = Array.from({ length: 30_000 }, (_, a) => JSON.stringify({ a, b: 'x'.repeat(50) })).join(
      '\n',
    );
    const { stderr, code } = await atoll(['import', 't', file('t.ndjson', lines)]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^import t {2}30,000 rows in .* rows\/s\)$/m);
    await atoll(['import', 't', file('t.csv', 'a,b\n-1,csv\n')]);
    await atoll(['import', 't', '-', '--format', 'ndjson'], { input: '{"a":-2,"b":"stdin"}\n' });
    const { gzipSync } = await import('node:zlib');
    writeFileSync(join(directory.path, 'p.csv.gz'), gzipSync('a,b\n-3,packed\n'));
    await atoll(['import', 't', 'p.csv.gz']);
    const { stdout } = await atoll(['sql', '--csv', '-e', 'SELECT count(*) AS n, min(a) AS m FROM t']);
    expect(stdout).toBe('n,m\r\n30003,-3\r\n');
  });

  test('a bad line is named, with the command that continues', async () => {
    await atoll(['sql', '-e', 'CREATE TABLE t (a INTEGER)']);
    const { code, stderr } = await atoll(['import', 't', file('t.ndjson', '{"a":1}\n{"a":\n')]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/line 2: .*\(payload\)[\s\S]*hint:.*--import-id [0-9a-f-]{36}/);
  });

  test('a file whose format nobody can tell is refused', async () => {
    const { code, stderr } = await atoll(['import', 't', file('data', '')]);
    expect(code).toBe(2);
    expect(stderr).toContain('--format');
  });

  test('a broken package fails instead of ending early', async () => {
    await atoll(['sql', '-e', 'CREATE TABLE t (a)']);
    const { code, stderr } = await atoll(['import', 't', file('t.ndjson.gz', 'no gzip')]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/incorrect header check/);
  });

  test('an export goes to standard output or, whole, to a file', async () => {
    await atoll(['sql', '-e', "CREATE TABLE t (a); INSERT INTO t VALUES ('x')"]);
    const { stdout } = await atoll(['export']);
    expect(stdout).toContain(`INSERT INTO "t" VALUES ('x');`);
    const { stderr, code } = await atoll(['export', '--out', 'dump.sql']);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^export {2}\d+ B in/);
    const { readFileSync } = await import('node:fs');
    expect(readFileSync(join(directory.path, 'dump.sql'), 'utf8')).toBe(stdout);
  });
});

test('atoll status shows partitions, shares and versions', async () => {
  const { stdout } = await atoll(['status']);
  expect(stdout).toContain('2 partitions · schema version 7 · network version 3');
  expect(stdout).toMatch(/1 │ write {2}│ 00000000–7fffffff │ 50\.0 %$/m);
  expect(JSON.parse((await atoll(['status', '--json'])).stdout)).toMatchObject({ version: 3 });
});

describe('an answer that is too large to come at once', () => {
  const page = (rows: number[], cursor?: string) => ({
    body: {
      columns: ['a'],
      rows: rows.map((value) => [value]),
      rowsAffected: 0,
      lastInsertRowid: null,
      cursor,
    },
  });
  const asPaged = (body: string) => {
    const { pageBytes, cursor } = JSON.parse(body);
    if (cursor !== undefined) return page([3]);
    return pageBytes === undefined ? failure(413, { code: 'result-too-large' }) : page([1, 2], 'next');
  };

  test.each([
    [['--csv'], 'a\r\n1\r\n2\r\n3\r\n'],
    [['--json'], '{"a":1}\n{"a":2}\n{"a":3}\n'],
    [[], /2 rows and more: --json or --csv give them all/],
  ])('comes in pages: %j', async (options, expected) => {
    const paged = await fakeServer(({ body }) => asPaged(body));
    try {
      const { stdout, code } = await atoll(['sql', ...options, '-e', 'SELECT a FROM t'], {
        env: { ATOLL_URL: paged.url },
      });
      expect(code).toBe(0);
      if (typeof expected === 'string') expect(stdout).toBe(expected);
      else expect(stdout).toMatch(expected);
    } finally {
      await paged.close();
    }
  });
});

describe('atoll settings', () => {
  test('shows and changes them', async () => {
    const settings = { logRetentionSeconds: 3600, logRetentionBytes: 268435456 };
    const fake = await fakeServer(({ method, body }) => ({
      body: method === 'PUT' ? { ...settings, ...JSON.parse(body), pending: [2] } : settings,
    }));
    const env = { ATOLL_URL: fake.url };
    try {
      expect((await atoll(['settings'], { env })).stdout).toBe('log retention  1 h, 256 MB in a partition\n');
      const { stdout } = await atoll(['settings', '--log-retention', '7d', '--log-bytes', '1GB'], { env });
      expect(stdout).toMatch(/^log retention {2}7 d, 1 GB in a partition\npartition 2 has not confirmed/);
      expect(fake.requests.at(-1)?.body).toBe(
        '{"logRetentionSeconds":604800,"logRetentionBytes":1073741824}',
      );
      expect((await atoll(['settings', '--log-retention', 'long'], { env })).code).toBe(2);
    } finally {
      await fake.close();
    }
  });
});
