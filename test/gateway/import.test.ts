import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestCluster } from '../cluster/cluster.ts';
import { type Body, countOf, importInto, lines, PEOPLE, people } from './loading.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start();
  for (const sql of [
    PEOPLE,
    'CREATE TABLE countries (code TEXT PRIMARY KEY, name TEXT) REFERENCE',
    'CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)',
    'CREATE TABLE items (k TEXT PRIMARY KEY, v, r REAL, i INTEGER, n NUMERIC, t TEXT)',
    "CREATE TABLE defaulted (k TEXT DEFAULT 'none', a INTEGER DEFAULT 7, b TEXT, c AS (a * 2), PRIMARY KEY (k, b)) PARTITION BY (k)",
    'CREATE TABLE loose (k INTEGER, v) PARTITION BY (k)',
  ]) {
    await cluster.query(sql);
  }
});

afterAll(() => cluster.dispose());

const csv = { 'content-type': 'text/csv' };
const load = (table: string, body: Body, query = '', headers: Record<string, string> = {}) =>
  importInto(cluster, table, body, query, headers);
const one = async (sql: string) => (await cluster.rows(sql))[0];

describe('rows arrive', () => {
  test('NDJSON, over all partitions, with ids that are unique', async () => {
    const reply = await load('people', people('a', 20_000));
    expect(reply.json).toMatchObject({ rows: 20_000, skipped: 0 });
    expect(reply.json.partitions).toHaveLength(4);
    expect(await one('SELECT count(*), count(DISTINCT id), min(name), max(age) FROM people')).toEqual([
      20_000,
      20_000,
      'person 1',
      99,
    ]);
    expect(await one("SELECT count(*) FROM people WHERE town = 'a7'")).toEqual([400]);
  });

  test('gzip, arrays, no line end at the end, blank lines, a byte order mark', async () => {
    const body = '\ufeff["b1","x",null]\n\n["b2","y",3]\r\n["b1","z",4]';
    const reply = await load('people', gzipSync(body), '?columns=town,name,age', {
      'content-encoding': 'gzip',
    });
    expect(reply.json).toMatchObject({ rows: 3 });
    expect(await cluster.rows("SELECT name, age FROM people WHERE town LIKE 'b%' ORDER BY name")).toEqual([
      ['x', null],
      ['y', 3],
      ['z', 4],
    ]);
  });

  test('a reference table is then in every partition', async () => {
    expect((await load('countries', '{"code":"IS","name":"Iceland"}\n')).json).toMatchObject({ rows: 1 });
    await load('people', '{"town":"IS","name":"someone"}\n');
    const sql = "SELECT c.name FROM people p JOIN countries c ON c.code = p.town WHERE p.town = 'IS'";
    expect(await cluster.rows(sql)).toEqual([['Iceland']]);
  });

  test('a table partitioned by its generated id: given ids where they belong, others generated', async () => {
    const body = lines(3_000, (line) =>
      line % 3 === 0 ? { id: 1_000_000 + line, body: 'given' } : { body: 'made' },
    );
    expect((await load('notes', body)).json).toMatchObject({ rows: 3_000 });
    expect(await one('SELECT count(*), count(DISTINCT id) FROM notes')).toEqual([3_000, 3_000]);
    expect(await one('SELECT body FROM notes WHERE id = 1000003')).toEqual(['given']);
    const [id] = (await one("SELECT max(id) FROM notes WHERE body = 'made'")) ?? [];
    expect(await one(`SELECT body FROM notes WHERE id = ${JSON.stringify(id)}`)).toEqual(['made']);
  });

  test('what a row leaves out has its default, or is NULL', async () => {
    const body = '{"b":"x"}\n{"b":"y","a":null}\n{"K":"z","B":"w","a":1}\n';
    expect((await load('defaulted', body)).json).toMatchObject({ rows: 3 });
    expect(await cluster.rows('SELECT k, a, b, c FROM defaulted ORDER BY b')).toEqual([
      ['z', 1, 'w', 2],
      ['none', 7, 'x', 14],
      ['none', null, 'y', null],
    ]);
    expect(await one("SELECT a FROM defaulted WHERE k = 'none' AND b = 'x'")).toEqual([7]);
  });
});

describe('values', () => {
  const values: [json: string, type: string, shown?: string][] = [
    ['null', 'null'],
    ['1', 'integer'],
    ['-0', 'integer', '0'],
    ['1.0', 'real'],
    ['-0.0', 'real'],
    ['1e2', 'real', '100.0'],
    ['0.1', 'real'],
    ['9007199254740992', 'integer', '{"$int":"9007199254740992"}'],
    ['9223372036854775807', 'integer', '{"$int":"9223372036854775807"}'],
    ['1e300', 'real', '1e+300'],
    ['true', 'integer', '1'],
    ['{"$int":"12"}', 'integer', '12'],
    ['{"$real":"-inf"}', 'real'],
    ['{"$blob":"AP8="}', 'blob'],
    ['{"$text":"/w=="}', 'text'],
    ['"a\\u0000b"', 'text'],
    ['"é😀\\"\\\\\\n"', 'text'],
    ['""', 'text'],
    ['"5"', 'text'],
  ];

  test('of every type arrive as they were sent', async () => {
    const body = values.map(([json], index) => `{"k":"v${index}","v":${json}}\n`).join('');
    expect((await load('items', body)).json).toMatchObject({ rows: values.length });
    for (const [index, [json, type, shown]] of values.entries()) {
      const { text } = await cluster.query(`SELECT v, typeof(v) FROM items WHERE k = 'v${index}'`);
      expect(text).toContain(`"rows":[[${shown ?? json},"${type}"]]`);
    }
  });

  test('take the affinity of their column', async () => {
    await load(
      'items',
      '{"k":"aff","r":1,"i":2.0,"n":3.0,"t":4.0}\n{"k":"aff2","r":"1.5","i":"x","n":" 7 ","t":4}\n',
    );
    const { text } = await cluster.query("SELECT r, i, n, t FROM items WHERE k = 'aff'");
    expect(text).toContain('[[1.0,2,3,"4.0"]]');
    expect((await cluster.query("SELECT r, i, n, t FROM items WHERE k = 'aff2'")).text).toContain(
      '[[1.5,"x",7,"4"]]',
    );
  });

  test.each([
    ['{"k":"z","v":1e400}', 'parameter'],
    ['{"k":"z","v":99999999999999999999}', 'parameter'],
    ['{"k":"z","v":{"a":1}}', 'parameter'],
    ['{"k":"z","v":[1]}', 'parameter'],
    ['{"k":"z","v":"\\ud800"}', 'parameter'],
    ['{"k":"z","v":1,"V":2}', 'payload'],
    ['[1]', 'payload'],
    ['7', 'payload'],
    ['{"k":"z"', 'payload'],
  ])('%s is refused', async (line, code) => {
    const reply = await load('items', `{"k":"before","v":1}\n${line}\n`);
    expect(reply).toMatchObject({
      status: 400,
      json: { error: { code, outcome: 'none', detail: { line: 2 } } },
    });
    expect(await one("SELECT count(*) FROM items WHERE k = 'before'")).toEqual([0]);
  });

  test('CSV: quotes, affinity, NULL', async () => {
    const body = 'k,v,i,t\r\nc1,"a ""b"", c\nd",12,\r\nc2,,,""\r\n"c3","",x,\\N\n';
    expect((await load('items', body, '', csv)).json).toMatchObject({ rows: 3 });
    const rows = async (k: string) => one(`SELECT v, i, t FROM items WHERE k = '${k}'`);
    expect(await rows('c1')).toEqual(['a "b", c\nd', 12, '']);
    expect(await rows('c2')).toEqual([null, null, '']);
    expect(await rows('c3')).toEqual(['', 'x', '\\N']);
    await load('items', 'c4,\\N,5,"\\N"\nc5,,,', '?columns=k,v,i,t&null=%5CN', csv);
    expect(await rows('c4')).toEqual([null, 5, '\\N']);
    expect(await rows('c5')).toEqual(['', '', '']);
  });

  test('CSV: numbers of lines count those between quotes', async () => {
    const body = 'town,name,age\nc,"a\nb",1\nc,d,2\nc,e,3,4\n';
    const reply = await load('people', body, '', csv);
    expect(reply.json.error).toMatchObject({ code: 'payload', detail: { line: 5, through: 1 } });
  });
});

describe('what is wrong is named', () => {
  test('a broken line in the middle: what was confirmed stays, nothing of its chunk', async () => {
    const good = people('d', 40_000).split('\n');
    good[30_000] = '{"town":"d1",';
    const reply = await load('people', good.join('\n'), '?importId=d');
    const { error } = reply.json;
    expect(reply.status).toBe(400);
    expect(error).toMatchObject({ code: 'payload', outcome: 'partial', detail: { line: 30_001 } });
    expect(await countOf(cluster, 'd')).toBe(error.detail.rows);
    expect(error.detail.through).toBeLessThan(30_001);
    const through = good.slice(0, error.detail.through).join('\n');
    expect((await load('people', through, '?importId=d')).json).toMatchObject({
      rows: 0,
      skipped: error.detail.through,
    });
    good[30_000] = '{"town":"d1","name":"mended"}';
    expect((await load('people', good.join('\n'), '?importId=d')).json.rows).toBe(40_000 - error.detail.rows);
    expect(await countOf(cluster, 'd')).toBe(40_000);
  });

  test('a failed constraint, by the line that the caller counts', async () => {
    const row = (age: number) => ({ town: 'e', name: 'x', age });
    const bad = lines(200, (line) => row(line === 101 ? 200 : 1));
    const reply = await load('people', bad, '?line=1001');
    expect(reply.status).toBe(409);
    const detail = { line: 1_101, rows: 0, through: 1_000 };
    expect(reply.json.error).toMatchObject({ code: 'constraint', outcome: 'none', detail });
    expect(await countOf(cluster, 'e')).toBe(0);
  });

  test('a failed constraint in one partition: the others keep their chunks', async () => {
    const reply = await load('people', `${people('q', 100)}{"town":"q1","name":"x","age":200}\n`);
    const { rows, partitions, line } = reply.json.error.detail;
    expect(reply.json.error).toMatchObject({ code: 'constraint', outcome: 'partial' });
    expect(line).toBe(101);
    expect(partitions.filter((each: { rows: number }) => each.rows === 0)).toHaveLength(1);
    expect(await countOf(cluster, 'q')).toBe(rows);
  });

  test.each<[string, string, string, Record<string, string>, number, string]>([
    ['nowhere', '{}\n', '', {}, 400, 'no-such-table'],
    ['people', '{"town":"f","nme":1}\n', '', {}, 400, 'no-such-column'],
    ['people', 'town,nme\na,b\n', '', csv, 400, 'no-such-column'],
    ['loose', '{"k":1,"rowid":5}\n', '', {}, 400, 'needs-global-index'],
    ['people', '{}\n', '', { 'content-type': 'text/plain' }, 400, 'bad-request'],
    ['people', '{}\n', '?line=0', {}, 400, 'bad-request'],
    ['people', '{}\n', '?wrong=0', {}, 400, 'bad-request'],
    ['people', '{}\n', '?restore=1', {}, 400, 'unsupported'],
    ['people', '{}\n', '', { 'content-encoding': 'br' }, 400, 'payload'],
    ['people', '{}\n', '', { 'content-encoding': 'gzip' }, 400, 'payload'],
    ['people', 'a,"b\n', '?columns=town,name', csv, 400, 'payload'],
    ['people', 'a,"b"c\n', '?columns=town,name', csv, 400, 'payload'],
    ['people', `"${'x'.repeat(3 << 20)}"\n`, '', {}, 413, 'too-large'],
    ['people', '{}\n', '', { authorization: 'Bearer wrong' }, 401, 'unauthorized'],
  ])('%s %#%s', async (table, body, query, headers, status, code) => {
    const reply = await load(table, body, query, headers);
    expect(reply).toMatchObject({ status, json: { error: { code, outcome: 'none' } } });
    expect(await countOf(cluster, 'f')).toBe(0);
  });

  test('a truncated gzip', async () => {
    const whole = gzipSync(people('g', 50_000));
    const half = Uint8Array.from(whole.subarray(0, whole.length / 2));
    const reply = await load('people', half, '?importId=g', { 'content-encoding': 'gzip' });
    expect(reply).toMatchObject({ status: 400, json: { error: { code: 'payload' } } });
    expect(await countOf(cluster, 'g')).toBe(reply.json.error.detail.rows);
  });

  test('bytes that are no UTF-8', async () => {
    const body = new Uint8Array([
      ...Buffer.from('{"town":"h","name":"x"}\n{"town":"h","name":"'),
      0xff,
      0x22,
      0x7d,
    ]);
    const reply = await load('people', body);
    expect(reply).toMatchObject({ status: 400, json: { error: { code: 'payload', detail: { line: 2 } } } });
  });

  test('a bad line first in a large body is answered', async () => {
    const reply = await load('people', `x\n${people('i', 200_000)}`);
    expect(reply).toMatchObject({ status: 400, json: { error: { detail: { line: 1, through: 0 } } } });
  });

  test('a role that may not write', async () => {
    const made = await cluster.post('/v1/tokens', { role: 'read' });
    const reply = await load('people', '{}\n', '', { authorization: `Bearer ${made.json.token}` });
    expect(reply.json.error.code).toBe('forbidden');
  });
});

describe('a schema that changes', () => {
  test('a column that was added meanwhile is known', async () => {
    await load('loose', '{"k":1,"v":1}\n');
    await cluster.query('ALTER TABLE loose ADD COLUMN w TEXT');
    expect((await load('loose', '{"k":2,"v":1}\n{"k":2,"w":"new"}\n')).json).toMatchObject({ rows: 2 });
  });

  test('a column that is dropped in the middle: said so, and what is in is in once', async () => {
    const text = lines(20_000, (line) => ({ k: line, gone: 'dropped' }));
    await cluster.query('ALTER TABLE loose ADD COLUMN gone');
    const encoder = new TextEncoder();
    const body = new ReadableStream<Uint8Array>({
      async start(controller) {
        controller.enqueue(encoder.encode(text));
        await new Promise((resolve) => setTimeout(resolve, 300));
        await cluster.query('ALTER TABLE loose DROP COLUMN gone');
        controller.enqueue(encoder.encode(text));
        controller.close();
      },
    });
    const { error } = (await load('loose', body)).json;
    expect(error).toMatchObject({ code: 'schema-conflict', outcome: 'partial', retryable: true });
    const [count] = (await one('SELECT count(*) FROM loose WHERE k > 2')) ?? [];
    expect(count).toBeGreaterThanOrEqual(error.detail.rows - 2);
    await cluster.query('DELETE FROM loose', undefined, { atomicity: 'partition' });
  });

  test('in the middle of an import neither loses nor doubles rows', async () => {
    const encoder = new TextEncoder();
    const text = lines(60_000, (line) => ({ k: line, v: 'during' }));
    let change: Promise<unknown> = Promise.resolve();
    const body = new ReadableStream<Uint8Array>({
      async start(controller) {
        for (let at = 0; at < text.length; at += 100_000) {
          controller.enqueue(encoder.encode(text.slice(at, at + 100_000)));
          if (at === 500_000) change = cluster.query('CREATE INDEX loose_v ON loose (v)');
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        controller.close();
      },
    });
    expect((await load('loose', body, '?importId=during')).json).toMatchObject({ rows: 60_000 });
    await change;
    expect(await one("SELECT count(*), count(DISTINCT k) FROM loose WHERE v = 'during'")).toEqual([
      60_000, 60_000,
    ]);
  });
});
