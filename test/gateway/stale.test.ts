import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { TestCluster } from '../cluster/cluster.ts';
import { anotherRouter, type Router } from '../cluster/router.ts';

/** Two routers over one cluster: `cluster` changes the schema, `router` still has the one before. */
let cluster: TestCluster;
let router: Router;
let tables = 0;
let table = '';

beforeAll(async () => {
  cluster = await TestCluster.start();
});

afterAll(() => cluster.dispose());

beforeEach(async () => {
  table = `t${++tables}`;
  await cluster.query(`CREATE TABLE ${table} (k TEXT PRIMARY KEY, v)`);
  await cluster.query(`INSERT INTO ${table} VALUES ('a', 1)`);
  router = anotherRouter(cluster);
  expect((await router.query(`SELECT v FROM ${table} WHERE k = 'a'`)).json.rows).toEqual([[1]]);
});

const ok = (rows: unknown[][]) => ({ status: 200, json: expect.objectContaining({ rows }) });

test('a changed table is read and written with its new columns', async () => {
  await cluster.query(`ALTER TABLE ${table} ADD COLUMN w DEFAULT 7`);
  expect(await router.query(`SELECT * FROM ${table} WHERE k = 'a'`)).toMatchObject(ok([['a', 1, 7]]));
  await cluster.query(`ALTER TABLE ${table} ADD COLUMN x`);
  const insert = `INSERT INTO ${table} VALUES ('b', 1, 2, 3) RETURNING x`;
  expect(await router.query(insert)).toMatchObject(ok([[3]]));
  await cluster.query(`ALTER TABLE ${table} RENAME COLUMN x TO y`);
  expect(await router.query(`SELECT sum(y) FROM ${table}`)).toMatchObject(ok([[3]]));
});

test('a new table is known, a column too, and EXPLAIN explains them', async () => {
  await cluster.query(`CREATE TABLE ${table}_new (k TEXT PRIMARY KEY)`);
  expect(await router.query(`SELECT count(*) FROM ${table}_new`)).toMatchObject(ok([[0]]));
  await cluster.query(`ALTER TABLE ${table} ADD COLUMN w`);
  const explained = await router.query(`EXPLAIN SELECT w FROM ${table} WHERE k = 'a'`);
  expect(explained.json.rows[0][0]).toBe('route');
});

test('a dropped table is refused, and a later one of its name is another one', async () => {
  await cluster.query(`DROP TABLE ${table}`);
  const gone = { status: 400, json: { error: { code: 'no-such-table' } } };
  expect(await router.query(`SELECT v FROM ${table} WHERE k = 'a'`)).toMatchObject(gone);
  await cluster.query(`CREATE TABLE ${table} (k TEXT, other TEXT) PARTITION BY (other)`);
  expect(await router.query(`INSERT INTO ${table} VALUES ('a', 'b') RETURNING *`)).toMatchObject(
    ok([['a', 'b']]),
  );
});

test('what one placement refuses and the newer one allows is done', async () => {
  const rows = `DELETE FROM ${table} LIMIT 1`;
  expect(await router.query(rows)).toMatchObject({ json: { error: { code: 'multi-partition-write' } } });
  await cluster.query(`DROP TABLE ${table}`);
  await cluster.query(`CREATE TABLE ${table} (k TEXT PRIMARY KEY, v) REFERENCE`);
  expect(await router.query(rows)).toMatchObject({ status: 200, json: { rowsAffected: 0 } });
  expect(await cluster.rows(`SELECT count(*) FROM ${table}`)).toEqual([[0]]);
});

test('all partitions of a scatter answer under one schema', async () => {
  const insert = (key: number) => cluster.query(`INSERT INTO ${table} VALUES (?, ?)`, [`k${key}`, key]);
  await Promise.all(Array.from({ length: 20 }, (_, key) => insert(key)));
  await cluster.query(`ALTER TABLE ${table} RENAME COLUMN v TO w`);
  const { json } = await router.query(`SELECT * FROM ${table} ORDER BY k LIMIT 2`);
  expect(json).toMatchObject({
    columns: ['k', 'w'],
    rows: [
      ['a', 1],
      ['k0', 0],
    ],
  });
});

test('a batch and a partial write are planned anew as a whole', async () => {
  await cluster.query(`ALTER TABLE ${table} ADD COLUMN w`);
  const statements = [
    { sql: `INSERT INTO ${table} VALUES ('z', 1, 2)` },
    { sql: `SELECT w FROM ${table} WHERE k = 'z'` },
  ];
  expect((await router.post('/v1/batch', { statements })).json.results[1].rows).toEqual([[2]]);
  await cluster.query(`ALTER TABLE ${table} ADD COLUMN x`);
  const sql = `UPDATE ${table} SET x = 5`;
  const partial = await router.post('/v1/query', { sql, atomicity: 'partition' });
  expect(partial.json).toMatchObject({ rowsAffected: 2 });
});

test('the router learns from the partition, and asks the system partition only where it must', async () => {
  await cluster.query(`ALTER TABLE ${table} ADD COLUMN w`);
  await router.query(`SELECT w, v FROM ${table} WHERE k = 'a'`);
  const before = router.sent.get('network') ?? 0;
  await cluster.query(`ALTER TABLE ${table} ADD COLUMN x`);
  expect((await router.query(`SELECT v FROM ${table} WHERE k = 'a'`)).status).toBe(200);
  expect(router.sent.get('network')).toBe(before);
});

test('a partition refuses another epoch, and an older schema, with what it knows', async () => {
  const { json: network } = await cluster.get('/v1/network?wake=no');
  const request = {
    epoch: 1,
    schema: network.schemaVersion,
    system: 0,
    shape: 'query',
    read: true,
    statements: [{ sql: 'SELECT 1' }],
  };
  expect((await cluster.rpc(1, 'execute', request)).status).toBe(200);
  const epoch = await cluster.rpc(1, 'execute', { ...request, epoch: 2 });
  expect(epoch).toMatchObject({ status: 421, json: { partition: 1, epoch: 1, history: network.history } });
  const schema = await cluster.rpc(1, 'execute', { ...request, schema: request.schema - 1 });
  expect(schema).toMatchObject({ status: 421, json: { catalogue: { version: network.schemaVersion } } });
});

test('schemas that change all the time stop no reader', async () => {
  const changes = (async () => {
    for (let column = 0; column < 8; column++) {
      await cluster.query(`ALTER TABLE ${table} ADD COLUMN c${column}`);
    }
  })();
  for (let read = 0; read < 30; read++) {
    expect(await router.query(`SELECT v FROM ${table} WHERE k = 'a'`)).toMatchObject(ok([[1]]));
  }
  await changes;
});
