import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestCluster } from '../cluster/cluster.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start();
  await cluster.query('CREATE TABLE kept (k TEXT PRIMARY KEY, v)');
  await cluster.query('CREATE TABLE notes (id INTEGER PRIMARY KEY, author TEXT, body) PARTITION BY (author)');
  await cluster.query('CREATE TABLE kinds (kind TEXT PRIMARY KEY, name TEXT) REFERENCE');
});

afterAll(() => cluster.dispose());

/** As they stand in JSON text, both ways: no parser of JavaScript's between. */
const VALUES = [
  ['null', 'null'],
  ['0', 'integer'],
  ['-1', 'integer'],
  ['9007199254740991', 'integer'],
  ['{"$int":"9007199254740993"}', 'integer'],
  ['{"$int":"-9223372036854775808"}', 'integer'],
  ['1.0', 'real'],
  ['-0.0', 'real'],
  ['0.1', 'real'],
  ['5e-324', 'real'],
  ['1.7976931348623157e+308', 'real'],
  ['{"$real":"inf"}', 'real'],
  ['{"$real":"-inf"}', 'real'],
  ['""', 'text'],
  ['"it\'s \\u0000 \\ud83d\\ude00"', 'text'],
  ['{"$text":"/w=="}', 'text'],
  ['{"$blob":""}', 'blob'],
  ['{"$blob":"AP8="}', 'blob'],
] as const;

test.each(VALUES)(
  '%s goes in and comes out as it is: array, name, read and RETURNING',
  async (json, type) => {
    const post = (sql: string, args: string) =>
      cluster.request('/v1/query', {
        method: 'POST',
        body: `{"sql":${JSON.stringify(sql)},"args":${args}}`,
        headers: { authorization: 'Bearer admin-of-the-tests' },
      });
    const rows = (text: string) => /"rows":\[\[(.*)\]\],"rowsAffected"/.exec(text)?.[1];
    const shown = json.startsWith('"') ? JSON.stringify(JSON.parse(json)) : json;
    const key = JSON.stringify(json);
    const insert = await post(
      'INSERT OR REPLACE INTO kept VALUES (?, ?) RETURNING v, typeof(v)',
      `[${key},${json}]`,
    );
    expect(insert.status).toBe(200);
    // A RETURNING cannot be read twice, so that text which is no UTF-8 is shown as best it can.
    if (!json.includes('$text')) expect(rows(insert.text)).toBe(`${shown},"${type}"`);
    const select = 'SELECT v, typeof(v), v IS :v AS same FROM kept WHERE k = :k';
    expect(rows((await post(select, `{"k":${key},":v":${json}}`)).text)).toBe(`${shown},"${type}",1`);
    const scattered = await post('SELECT v, typeof(v) FROM kept WHERE k >= ? AND k <= ?', `[${key},${key}]`);
    expect(rows(scattered.text)).toBe(`${shown},"${type}"`);
    expect(scattered.json.consistency).toBe('strong');
  },
);

test('numbers beyond what a double holds are taken from the text', async () => {
  const body = `{"sql":"SELECT ?, typeof(?1), true IS ?2","args":[9223372036854775807, true]}`;
  const headers = { authorization: 'Bearer admin-of-the-tests' };
  const { json } = await cluster.request('/v1/query', { method: 'POST', body, headers });
  expect(json.rows).toEqual([[{ $int: '9223372036854775807' }, 'integer', 1]]);
});

test('columns are named as SQLite names them, also where a parameter stands in them', async () => {
  const { json } = await cluster.query(
    'SELECT ? AS a, ?2 + 1, "k", kept.v, count(*) FROM kept WHERE k = ?3',
    [1, 2, 'x'],
  );
  expect(json.columns).toEqual(['a', '?2 + 1', 'k', 'v', 'count(*)']);
});

test('a write tells its rows, its last id and, by RETURNING, what it wrote', async () => {
  const sql = 'INSERT INTO notes (author, body) VALUES (?1, 1), (?1, 2.0) RETURNING id, body';
  const { json } = await cluster.query(sql, ['ann']);
  expect(json.rowsAffected).toBe(2);
  expect(json.rows.map(([id]: number[]) => id)).toEqual([json.lastInsertRowid - 1, json.lastInsertRowid]);
  const update = await cluster.query("UPDATE notes SET body = body + 1 WHERE author = 'ann' RETURNING body");
  expect(update.text).toContain('"rows":[[2],[3.0]]');
  expect((await cluster.query("DELETE FROM notes WHERE author = 'ann'")).json).toMatchObject({
    rowsAffected: 2,
    lastInsertRowid: null,
  });
});

test('a batch in one partition sees its own writes, and EXPLAIN runs nothing', async () => {
  const { json } = await cluster.post('/v1/batch', {
    statements: [
      { sql: 'INSERT INTO notes (author, body) VALUES (?, ?)', args: ['ben', 'first'] },
      {
        sql: 'UPDATE notes SET body = body || :more WHERE author = :author',
        args: { more: '!', author: 'ben' },
      },
      { sql: "SELECT body FROM notes WHERE author = 'ben'" },
    ],
  });
  expect(json.results.map(({ rows }: { rows: unknown }) => rows)).toEqual([[], [], [['first!']]]);
  const explained = await cluster.query("EXPLAIN DELETE FROM notes WHERE author = 'ben'");
  expect(explained.json).toMatchObject({ columns: ['step', 'detail'], plan: { kind: 'explain' } });
  expect(await cluster.rows("SELECT count(*) FROM notes WHERE author = 'ben'")).toEqual([[1]]);
});

test('a reference table is read with every partition as soon as its write is answered', async () => {
  await cluster.query("INSERT INTO kinds VALUES ('note', 'Note')");
  for (let author = 0; author < 8; author++) {
    const args = [`a${author}`, 'note'];
    await cluster.query('INSERT INTO notes (author, body) VALUES (?, ?)', args);
    const joined = 'SELECT name FROM notes JOIN kinds ON kind = body WHERE author = ?';
    expect(await cluster.rows(joined, [args[0]])).toEqual([['Note']]);
  }
  const all = 'SELECT name, count(*) FROM notes JOIN kinds ON kind = body GROUP BY name';
  expect(await cluster.rows(all)).toEqual([['Note', 8]]);
});

test('hundreds of writes of a reference table reach a partition that was away, before the next is answered', async () => {
  await cluster.rpc(3, 'fault', { fault: 'deaf', on: 'feed' });
  const statements = Array.from({ length: 300 }, (_, n) => ({
    sql: 'INSERT INTO kinds VALUES (?, 1)',
    args: [`k${n}`],
  }));
  for (const reply of await Promise.all(statements.map((each) => cluster.post('/v1/query', each)))) {
    expect(reply).toMatchObject({
      status: 503,
      json: { error: { code: 'unavailable', outcome: 'unknown' } },
    });
  }
  await cluster.rpc(3, 'fault', { fault: 'none' });
  await cluster.query("INSERT INTO kinds VALUES ('back', 1)");
  const count = 'SELECT count(*) FROM kinds, kept WHERE kept.k = ?';
  for (let key = 0; key < 8; key++) {
    await cluster.query('INSERT INTO kept VALUES (?, 1)', [`for ${key}`]);
    expect(await cluster.rows(count, [`for ${key}`])).toEqual([[302]]);
  }
});

test("Atoll's own tables are read with SQL", async () => {
  expect(await cluster.rows('SELECT partition, status FROM atoll_partitions WHERE partition < 3')).toEqual([
    [1, 'write'],
    [2, 'write'],
  ]);
  expect(await cluster.rows('SELECT sum(end_token - start_token) FROM atoll_ranges')).toEqual([[2 ** 32]]);
  expect(await cluster.rows('SELECT host, kind FROM atoll_hosts')).toEqual([['edge', 'edge']]);
  expect(
    await cluster.rows("SELECT placement, partition_key FROM atoll_tables WHERE name = 'notes'"),
  ).toEqual([['partitioned', 'author']]);
});

test('concurrent writers of one row lose nothing', async () => {
  await cluster.query("INSERT INTO kept VALUES ('sum', 0)");
  const add = () => cluster.query("UPDATE kept SET v = v + 1 WHERE k = 'sum' RETURNING v");
  const seen = (await Promise.all(Array.from({ length: 60 }, add))).map(({ json }) => json.rows[0][0]);
  expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, index) => index + 1));
});

test('schema changes in one batch come together or not at all', async () => {
  const batch = (...statements: string[]) =>
    cluster.post('/v1/batch', { statements: statements.map((sql) => ({ sql })) });
  const failed = await batch('CREATE TABLE both_a (k)', 'CREATE INDEX nope ON both_a (missing)');
  expect(failed.status).toBe(400);
  expect((await cluster.post('/v1/query', { sql: 'SELECT * FROM both_a' })).json.error.code).toBe(
    'no-such-table',
  );
  const made = await batch('CREATE TABLE both_a (k)', 'CREATE INDEX there ON both_a (k)');
  expect(made).toMatchObject({ status: 200, json: { plan: { changed: true } } });
});
