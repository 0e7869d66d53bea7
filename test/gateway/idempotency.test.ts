import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createClient, newIdempotencyKey } from '../../src/client/index.ts';
import { KEY_AHEAD_MS, KEY_RETENTION_MS } from '../../src/protocol/idempotency-key.ts';
import { TestCluster, TOKEN } from '../cluster/cluster.ts';
import { anotherRouter, type Router } from '../cluster/router.ts';

/** One request, however often it is sent: what its key is good for. */
let cluster: TestCluster;
let router: Router;
/** The partition of the rows of key 'a'. */
let home: number;

beforeAll(async () => {
  cluster = await TestCluster.start();
  await cluster.query('CREATE TABLE t (k TEXT, n INTEGER, PRIMARY KEY (k, n)) PARTITION BY (k)');
  await cluster.query('CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)');
  await cluster.query('CREATE TABLE kinds (kind TEXT, n INTEGER) REFERENCE');
  home = Number((await cluster.query("SELECT 1 FROM t WHERE k = 'a'")).json.plan.partition);
  router = anotherRouter(cluster);
});

afterAll(() => cluster.dispose());

beforeEach(async () => {
  for (const table of ['t', 'notes'])
    await cluster.query(`DELETE FROM ${table}`, [], { atomicity: 'partition' });
  await cluster.query('DELETE FROM kinds');
});

const post = (body: Record<string, unknown>, path = '/v1/query') => cluster.post(path, body);
const insert = (idempotencyKey: string, n = 1, more = {}) =>
  post({ sql: 'INSERT INTO t VALUES (?, ?) RETURNING n', args: ['a', n], idempotencyKey, ...more });
const stored = () => cluster.rows('SELECT n FROM t ORDER BY n');
const count = async (table: string) => (await cluster.rows(`SELECT count(*) FROM ${table}`))[0]?.[0];
const fault = (partition: number, kind: string, on?: string) =>
  cluster.rpc(partition, 'fault', { fault: kind, ...(on && { on }) });
const error = (status: number, code: string, message: RegExp) => ({
  status,
  json: { error: { code, outcome: 'none', message: expect.stringMatching(message) } },
});

describe('the same key', () => {
  test('and the same request: the same answer, applied once, by any router, however it is sent', async () => {
    const key = newIdempotencyKey();
    const first = await insert(key);
    expect(first).toMatchObject({ status: 200, json: { rows: [[1]], rowsAffected: 1 } });
    expect((await insert(key)).text).toBe(first.text);
    expect((await insert(key.toUpperCase(), 1, { timeoutMs: 5_000 })).text).toBe(first.text);
    const sql = 'INSERT INTO t VALUES (?, ?) RETURNING n';
    const elsewhere = await router.post('/v1/query', { idempotencyKey: key, args: ['a', 1], sql });
    expect(elsewhere.text).toBe(first.text);
    await insert(newIdempotencyKey(), 2);
    const { session, ...later } = (await insert(key)).json;
    expect(later).toEqual({ ...first.json, session: undefined });
    expect(await stored()).toEqual([[1], [2]]);
  });

  test('and another request is a conflict, and nothing is applied', async () => {
    const key = newIdempotencyKey();
    await insert(key);
    const sql = 'INSERT INTO t VALUES (?, ?) RETURNING n';
    const statements = [{ sql, args: ['a', 1] }];
    const conflict = error(409, 'idempotency-conflict', /another request.*new key/);
    expect(await insert(key, 2)).toMatchObject(conflict);
    expect(await post({ statements, idempotencyKey: key }, '/v1/batch')).toMatchObject(conflict);
    expect(await stored()).toEqual([[1]]);
  });

  test('of another token is another key', async () => {
    const { json } = await cluster.post('/v1/tokens', { role: 'write' });
    const key = newIdempotencyKey();
    await insert(key);
    const other = anotherRouter(cluster, json.token);
    const sql = 'INSERT INTO t VALUES (?, ?) RETURNING n';
    const reply = await other.post('/v1/query', { sql, args: ['a', 7], idempotencyKey: key });
    expect(reply).toMatchObject({ status: 200, json: { rows: [[7]] } });
  });

  test('at the same time: one is executed, all have its answer', async () => {
    const key = newIdempotencyKey();
    const replies = await Promise.all(Array.from({ length: 20 }, () => insert(key)));
    expect(new Set(replies.map(({ text }) => text)).size).toBe(1);
    expect(replies[0]?.status).toBe(200);
    expect(await stored()).toEqual([[1]]);
  });

  test('after an error may be used again: it is not recorded', async () => {
    const key = newIdempotencyKey();
    await insert(newIdempotencyKey());
    expect(await insert(key)).toMatchObject({ status: 409, json: { error: { code: 'constraint' } } });
    await cluster.query("DELETE FROM t WHERE k = 'a'");
    expect((await insert(key)).status).toBe(200);
  });

  test('is known after the object was evicted, and after a restart', async () => {
    const key = newIdempotencyKey();
    const first = await insert(key);
    await cluster.reset(home);
    expect((await insert(key)).json.rows).toEqual(first.json.rows);
    await cluster.restart();
    expect((await insert(key)).json.rows).toEqual(first.json.rows);
    expect(await stored()).toEqual([[1]]);
  });

  test('works for a batch, all or nothing', async () => {
    const idempotencyKey = `${Date.now()}-batch_0001`;
    const statements = [
      { sql: "INSERT INTO t VALUES ('a', 1)" },
      { sql: "SELECT count(*) FROM t WHERE k = 'a'" },
    ];
    const batch = () => post({ statements, idempotencyKey }, '/v1/batch');
    const first = await batch();
    expect(first.json.results[1].rows).toEqual([[1]]);
    await insert(newIdempotencyKey(), 2);
    expect((await batch()).json.results).toEqual(first.json.results);
  });
});

describe('a write that may run anywhere', () => {
  test('runs where its key says, at any router', async () => {
    const partitions = new Set<number>();
    for (let i = 0; i < 12; i++) {
      const idempotencyKey = newIdempotencyKey();
      const request = { sql: "INSERT INTO notes (body) VALUES ('x')", idempotencyKey };
      const first = await post(request);
      expect(await post(request)).toMatchObject({ text: first.text });
      expect((await router.post('/v1/query', request)).text).toBe(first.text);
      partitions.add(first.json.plan.partition);
    }
    expect(await count('notes')).toBe(12);
    expect(partitions.size).toBeGreaterThan(1);
  });

  test('of a reference table is the system partition’s', async () => {
    const idempotencyKey = newIdempotencyKey();
    const request = { sql: "INSERT INTO kinds VALUES ('x', 1)", idempotencyKey };
    await fault(0, 'reset-after');
    expect(await post(request)).toMatchObject({ status: 200, json: { rowsAffected: 1 } });
    expect(await router.post('/v1/query', request)).toMatchObject({ status: 200 });
    expect(await count('kinds')).toBe(1);
  });

  test('of a reference table, when a partition has not confirmed it, is delivered by the same request', async () => {
    const request = { sql: "INSERT INTO kinds VALUES ('x', 1)", idempotencyKey: newIdempotencyKey() };
    await fault(2, 'deaf', 'feed');
    const unknown = { status: 503, json: { error: { code: 'unavailable', outcome: 'unknown' } } };
    expect(await post(request)).toMatchObject(unknown);
    await fault(2, 'none');
    expect(await post(request)).toMatchObject({ status: 200, json: { rowsAffected: 1 } });
    expect(await count('kinds')).toBe(1);
  });
});

describe('a lost answer', () => {
  test.each(['reset-before', 'reset-after'])('is settled by the router itself (%s)', async (kind) => {
    await fault(home, kind);
    expect(await insert(newIdempotencyKey())).toMatchObject({ status: 200, json: { rowsAffected: 1 } });
    expect(await stored()).toEqual([[1]]);
    const { text } = await cluster.get('/metrics');
    expect(text).toMatch(/atoll_retries_total\{reason="lost-write"\} [1-9]/);
  });

  test('is unknown without a key, as ever, and when tries end; the same request settles it', async () => {
    const unknown = { status: 503, json: { error: { code: 'unknown-outcome', outcome: 'unknown' } } };
    await fault(home, 'reset-after');
    expect(await post({ sql: "INSERT INTO t VALUES ('a', 5)" })).toMatchObject(unknown);
    const key = newIdempotencyKey();
    await fault(home, 'deaf');
    expect(await insert(key)).toMatchObject(unknown);
    await fault(home, 'none');
    expect(await insert(key)).toMatchObject({ status: 200, json: { rows: [[1]] } });
    expect(await stored()).toEqual([[1], [5]]);
  });

  test('and then a refusal leaves the outcome unknown', async () => {
    const key = newIdempotencyKey();
    const partition = home;
    let lost = 0;
    const losing = anotherRouter(cluster, TOKEN, async ({ type, partition: to }, send) => {
      if (to !== partition || type !== 'execute' || lost++ > 0) return send();
      await cluster.query("INSERT INTO t VALUES ('a', 1)");
      throw new Error('lost');
    });
    const sql = 'INSERT INTO t VALUES (?, ?) RETURNING n';
    const reply = await losing.post('/v1/query', { sql, args: ['a', 1], idempotencyKey: key });
    expect(reply).toMatchObject({ status: 409, json: { error: { code: 'constraint', outcome: 'unknown' } } });
    expect(lost).toBe(2);
  });

  test('by the deadline is unknown; the same request has the answer', async () => {
    const key = newIdempotencyKey();
    const partition = home;
    await fault(partition, 'hang');
    const timeout = { status: 504, json: { error: { code: 'timeout', outcome: 'unknown' } } };
    expect(await insert(key, 1, { timeoutMs: 300 })).toMatchObject(timeout);
    await cluster.reset(partition);
    expect(await insert(key)).toMatchObject({ status: 200, json: { rows: [[1]] } });
    expect(await stored()).toEqual([[1]]);
  });

  test('by kill -9 of workerd under load: the client settles every write, each applied once', async () => {
    const db = createClient({ url: cluster.url, token: TOKEN, attemptsMax: 20 });
    const writes = Array.from({ length: 60 }, async (_, n) => {
      await new Promise((resolve) => setTimeout(resolve, 5 * n));
      return db.query('INSERT INTO t VALUES (?, ?)', [`k${n}`, n]);
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    await cluster.kill();
    const results = await Promise.all(writes);
    expect(results.map(({ rowsAffected }) => rowsAffected)).toEqual(results.map(() => 1));
    expect(await stored()).toEqual(results.map((_, n) => [n]));
  });
});

describe('a schema change in between', () => {
  test('that takes the table away: the answer is found, and nothing is said of another request', async () => {
    await cluster.query('CREATE TABLE gone (k TEXT PRIMARY KEY)');
    const request = (idempotencyKey: string) => ({
      sql: "INSERT INTO gone VALUES ('x') RETURNING k",
      idempotencyKey,
    });
    const key = newIdempotencyKey();
    const first = await post(request(key));
    await cluster.query('DROP TABLE gone');
    const { session, ...again } = (await post(request(key))).json;
    expect({ ...again, session: first.json.session }).toEqual(first.json);
    expect((await router.post('/v1/query', request(key))).json.rows).toEqual([['x']]);
    const unknown = error(400, 'no-such-table', /gone/);
    expect(await post(request(newIdempotencyKey()))).toMatchObject(unknown);
    const other = { ...request(key), sql: "INSERT INTO gone VALUES ('y')" };
    expect(await post(other)).toMatchObject(error(409, 'idempotency-conflict', /another request/));
  });

  test('that cannot be ruled out, since a partition does not answer, refuses nothing for good', async () => {
    await fault(3, 'deaf', 'answered');
    const reply = await post({ sql: 'INSERT INTO nowhere VALUES (1)', idempotencyKey: newIdempotencyKey() });
    await fault(3, 'none');
    expect(reply).toMatchObject({ status: 503, json: { error: { code: 'unavailable', retryable: true } } });
  });

  test('that the statement would not stand: the answer comes before the statement is looked at', async () => {
    await cluster.query('CREATE TABLE wide (k TEXT PRIMARY KEY)');
    const request = { sql: "INSERT INTO wide VALUES ('x')", idempotencyKey: newIdempotencyKey() };
    await post(request);
    await cluster.query('ALTER TABLE wide ADD COLUMN v');
    expect(await post(request)).toMatchObject({ status: 200, json: { rowsAffected: 1 } });
    expect(await count('wide')).toBe(1);
  });
});

describe('is refused', () => {
  const at = (ms: number) => `${Date.now() + ms}-abcdefgh`;

  test('a key that is none, or of too long ago, or of the future', async () => {
    expect(await insert('x')).toMatchObject(error(400, 'bad-request', /UUIDv7/));
    expect(await post({ sql: 'SELECT 1', idempotencyKey: 5 })).toMatchObject(
      error(400, 'bad-request', /idempotencyKey must be a string/),
    );
    expect(await insert(at(-KEY_RETENTION_MS - 1_000))).toMatchObject(
      error(409, 'idempotency-conflict', /expired.*24 hours/),
    );
    expect(await insert(at(KEY_AHEAD_MS + 60_000))).toMatchObject(error(400, 'bad-request', /clock/));
    expect(await stored()).toEqual([]);
    expect((await insert(at(-KEY_RETENTION_MS + 60_000), 1)).status).toBe(200);
    expect((await insert(at(KEY_AHEAD_MS - 60_000), 2)).status).toBe(200);
  });

  test('a key of a schema change, and of what is done by partition', async () => {
    const idempotencyKey = newIdempotencyKey();
    expect(await post({ sql: 'CREATE TABLE keyed (a)', idempotencyKey })).toMatchObject(
      error(400, 'unsupported', /leave idempotencyKey out.*schema changes/),
    );
    const partial = { sql: 'DELETE FROM t', atomicity: 'partition', idempotencyKey };
    expect(await post(partial)).toMatchObject(
      error(400, 'unsupported', /leave idempotencyKey out.*atomicity/),
    );
    const db = createClient({ url: cluster.url, token: TOKEN });
    await db.batch([0, 1, 2, 3].map((n) => ({ sql: 'INSERT INTO t VALUES (?, ?)', args: [`k${n}`, n] })));
    expect((await db.query('DELETE FROM t')).rowsAffected).toBe(4);
  });

  test('an answer that is too large to keep, and its write is undone', async () => {
    const sql = "INSERT INTO t VALUES ('a', 1) RETURNING hex(zeroblob(150000))";
    expect(await post({ sql, idempotencyKey: newIdempotencyKey() })).toMatchObject(
      error(413, 'result-too-large', /262144.*without a key/),
    );
    expect(await stored()).toEqual([]);
    expect((await post({ sql })).status).toBe(200);
  });
});

test('a read passes over its key, whatever its age', async () => {
  const idempotencyKey = '1-abcdefgh';
  const read = (sql: string) => post({ sql, idempotencyKey });
  expect((await read('SELECT count(*) FROM t')).json.rows).toEqual([[0]]);
  expect((await read("SELECT count(*) FROM t WHERE k = 'a'")).json.rows).toEqual([[0]]);
  await insert(newIdempotencyKey());
  expect((await read("SELECT count(*) FROM t WHERE k = 'a'")).json.rows).toEqual([[1]]);
});
