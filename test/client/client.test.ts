import { afterEach, describe, expect, test } from 'vitest';
import { AtollError, createClient, real } from '../../src/client/index.ts';
import { type FakeHandler, type FakeServer, failure, fakeServer } from './fake-server.ts';

let server: FakeServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

const KEY = '019a0000-0000-7000-8000-000000000001';

async function client(handler: FakeHandler, options: { attemptsMax?: number; timeoutMs?: number } = {}) {
  server = await fakeServer(handler);
  return {
    db: createClient({
      url: `${server.url}/`,
      token: 'secret',
      newIdempotencyKey: () => KEY,
      ...options,
    }),
    requests: server.requests,
  };
}

async function errorOf(promise: Promise<unknown>): Promise<AtollError> {
  const error = await promise.then(
    () => undefined,
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(AtollError);
  return error as AtollError;
}

const EMPTY = { body: { columns: [], rows: [], rowsAffected: 0, lastInsertRowid: null } };

describe('query and batch', () => {
  test('a query carries the token, typed arguments and options, and no option that was not given', async () => {
    const { db, requests } = await client(() => EMPTY);
    await db.query('SELECT ?, ?', [1, real(2)], { consistency: 'strong' });
    await db.query('SELECT 1');
    expect(requests[0]).toMatchObject({ method: 'POST', path: '/v1/query' });
    expect(requests[0]?.headers.authorization).toBe('Bearer secret');
    expect(requests[0]?.body).toBe('{"sql":"SELECT ?, ?","args":[1,2.0],"consistency":"strong"}');
    expect(requests[1]?.body).toBe('{"sql":"SELECT 1"}');
  });

  test('an answer gives rows, objects, the first row and a single value', async () => {
    const { db } = await client(() => ({
      body: '{"columns":["id","name"],"rows":[[{"$int":"9007199254740993"},"a"],[2,"b"]],"rowsAffected":0,"lastInsertRowid":{"$int":"9007199254740995"},"session":"s1","plan":{"kind":"route"}}',
    }));
    const result = await db.query('SELECT id, name FROM t');
    expect(result.rows[1]).toEqual([2, 'b']);
    expect(result.objects()).toEqual([
      { id: 9007199254740993n, name: 'a' },
      { id: 2, name: 'b' },
    ]);
    expect(result.first()).toEqual({ id: 9007199254740993n, name: 'a' });
    expect(result.value()).toBe(9007199254740993n);
    expect(result).toMatchObject({
      lastInsertRowid: 9007199254740995n,
      session: 's1',
      plan: { kind: 'route' },
    });
  });

  test('in mode bigint the values are bigint, and counts and plans stay numbers', async () => {
    const { requests } = await client(() => ({
      body: '{"columns":["a"],"rows":[[1]],"rowsAffected":3,"lastInsertRowid":9,"plan":{"kind":"route","partition":2}}',
    }));
    const db = createClient({ url: server?.url ?? '', integers: 'bigint' });
    const result = await db.query('SELECT 1');
    expect(result).toMatchObject({
      rowsAffected: 3,
      lastInsertRowid: 9n,
      plan: { kind: 'route', partition: 2 },
    });
    expect(result.rows).toEqual([[1n]]);
    expect(requests).toHaveLength(1);
  });

  test('a batch takes statements with and without arguments', async () => {
    const { db, requests } = await client(() => ({
      body: { results: [EMPTY.body, EMPTY.body], session: 's' },
    }));
    const { results } = await db.batch(['DELETE FROM t', { sql: 'SELECT :a', args: { a: null } }]);
    expect(results).toHaveLength(2);
    expect(requests[0]?.body).toBe(
      `{"statements":[{"sql":"DELETE FROM t"},{"sql":"SELECT :a","args":{"a":null}}],"idempotencyKey":"${KEY}"}`,
    );
  });

  test('a base URL may name a database; anything but http is refused', async () => {
    const { requests } = await client(() => EMPTY);
    await createClient({ url: `${server?.url}/other` }).query('SELECT 1');
    expect(requests[0]?.path).toBe('/other/v1/query');
    expect(requests[0]?.headers.authorization).toBeUndefined();
    expect(() => createClient({ url: 'libsql://x' })).toThrow(/looks like http/);
  });
});

describe('errors', () => {
  test('an Atoll error keeps every field', async () => {
    const { db } = await client(() =>
      failure(409, { code: 'constraint', message: 'UNIQUE failed', detail: { line: 7 } }),
    );
    const error = await errorOf(db.query('INSERT …'));
    expect(error).toMatchObject({
      code: 'constraint',
      message: 'UNIQUE failed',
      status: 409,
      outcome: 'none',
    });
    expect(error.detail).toEqual({ line: 7 });
  });

  test('a proxy that answers HTML with 502 leaves the outcome unknown', async () => {
    const { db, requests } = await client(() => ({ status: 502, body: '<html>bad gateway</html>' }));
    expect(await errorOf(db.query('SELECT 1'))).toMatchObject({ code: 'http-502', outcome: 'unknown' });
    expect(requests).toHaveLength(1);
  });

  test('a broken connection is unknown', async () => {
    const { db } = await client(() => ({ body: null }));
    expect(await errorOf(db.query('DELETE FROM t'))).toMatchObject({ code: 'network', outcome: 'unknown' });
  });

  test('silence is a timeout with outcome unknown', async () => {
    const { db } = await client(() => new Promise(() => undefined), { timeoutMs: 50 });
    expect(await errorOf(db.query('SELECT 1'))).toMatchObject({
      code: 'timeout',
      outcome: 'unknown',
      status: 0,
    });
  });

  test('an address where nothing listens is unreachable, with nothing applied', async () => {
    const { db } = await client(() => EMPTY, { attemptsMax: 2 });
    await server?.close();
    expect(await errorOf(db.query('SELECT 1'))).toMatchObject({ code: 'unreachable', outcome: 'none' });
  });
});

describe('retries', () => {
  test('what is retryable without effect is tried again', async () => {
    let calls = 0;
    const { db } = await client(() =>
      ++calls < 3 ? failure(503, { code: 'stale', retryable: true }, { 'retry-after': '0' }) : EMPTY,
    );
    await db.query('INSERT …');
    expect(calls).toBe(3);
  });

  test.each([
    ['retryable with outcome unknown, without a key', 'CREATE …', { retryable: true, outcome: 'unknown' }],
    ['not retryable', 'INSERT …', { retryable: false, outcome: 'none' }],
    ['a defect', 'INSERT …', { code: 'internal', retryable: false, outcome: 'unknown' }],
    ['done in part', 'INSERT …', { retryable: true, outcome: 'partial' }],
  ])('what is %s is not', async (_, sql, fields) => {
    const { db, requests } = await client(() => failure(503, { code: 'x', ...fields }));
    await errorOf(db.query(sql));
    expect(requests).toHaveLength(1);
  });

  test('tries end at attemptsMax, and at once when the server asks for more time than is left', async () => {
    const { db, requests } = await client(() => failure(503, { code: 'busy', retryable: true }), {
      attemptsMax: 2,
    });
    await errorOf(db.query('SELECT 1'));
    expect(requests).toHaveLength(2);
    await server?.close();
    const patient = await client(() =>
      failure(429, { code: 'slow', retryable: true }, { 'retry-after': '3600' }),
    );
    expect(await errorOf(patient.db.query('SELECT 1'))).toMatchObject({ retryAfterMs: 3_600_000 });
    expect(patient.requests).toHaveLength(1);
  });
});

test('an export streams', async () => {
  const { db } = await client(() => ({ body: 'CREATE TABLE t (a);\n' }));
  let text = '';
  for await (const bytes of await db.export()) text += new TextDecoder().decode(bytes);
  expect(text).toBe('CREATE TABLE t (a);\n');
});

describe('pages', () => {
  test('are asked for one after another, as they are taken', async () => {
    const page = (rows: number[][], cursor?: string) => ({
      body: { columns: ['a'], rows, rowsAffected: 0, lastInsertRowid: null, asOf: 't', cursor },
    });
    const answers = [page([[1], [2]], 'c1'), page([[3]], 'c2'), page([[4]])];
    const { db, requests } = await client(() => answers[requests.length - 1] ?? EMPTY);
    const found: unknown[] = [];
    for await (const { rows, asOf } of db.pages('SELECT a FROM t WHERE b = ?', [7], {
      pageBytes: 2048,
      timeoutMs: 900,
    })) {
      expect(asOf).toBe('t');
      found.push(...rows.flat());
      expect(requests).toHaveLength(found.length < 3 ? 1 : found.length - 1);
    }
    expect(found).toEqual([1, 2, 3, 4]);
    expect(requests.map(({ body }) => body)).toEqual([
      '{"sql":"SELECT a FROM t WHERE b = ?","args":[7],"pageBytes":2048,"timeoutMs":900}',
      '{"cursor":"c1","timeoutMs":900}',
      '{"cursor":"c2","timeoutMs":900}',
    ]);
  });

  test('of a write are refused by the server, and nothing is sent twice', async () => {
    const { db, requests } = await client(() => failure(400, { code: 'bad-request' }));
    await errorOf(db.pages('DELETE FROM t').next());
    expect(requests).toHaveLength(1);
  });
});
