import { afterEach, describe, expect, test } from 'vitest';
import { AtollError, type ClientOptions, createClient, newIdempotencyKey } from '../../src/client/index.ts';
import { readIdempotencyKey } from '../../src/protocol/idempotency-key.ts';
import { type FakeHandler, type FakeServer, failure, fakeServer } from './fake-server.ts';

const EMPTY = { body: { columns: [], rows: [], rowsAffected: 0, lastInsertRowid: null } };
const LOST = failure(
  503,
  { code: 'unknown-outcome', retryable: true, outcome: 'unknown' },
  { 'retry-after': '0' },
);

let server: FakeServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

/** Answers the first requests as `replies` say, and the others well. */
async function client(replies: readonly ReturnType<FakeHandler>[], options: Partial<ClientOptions> = {}) {
  let asked = 0;
  let made = 0;
  server = await fakeServer(() => replies[asked++] ?? EMPTY);
  const { requests } = server;
  const db = createClient({ url: server.url, newIdempotencyKey: () => `key ${++made}`, ...options });
  const keys = () => requests.map(({ body }) => JSON.parse(body).idempotencyKey);
  return { db, requests, keys };
}

const errorOf = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error);

describe('a key of the client’s own', () => {
  test.each([
    'INSERT INTO t VALUES (1)',
    'update t SET a = 1',
    ' \n-- a comment\n/* * another /*/ DELETE FROM t',
    'REPLACE INTO t VALUES (1)',
    'WITH c AS (SELECT 1) INSERT INTO t SELECT * FROM c',
    ';INSERT INTO t VALUES (1)',
  ])('goes with a write: %s', async (sql) => {
    const { db, keys } = await client([]);
    await db.query(sql);
    expect(keys()).toEqual(['key 1']);
  });

  test.each([
    'SELECT 1',
    'CREATE TABLE t (a)',
    'EXPLAIN DELETE FROM t',
    '-- INSERT INTO t VALUES (1)',
    `${'/**/'.repeat(1_000)}(`,
  ])('goes with nothing else: %s', async (sql) => {
    const { db, keys } = await client([]);
    await db.query(sql);
    expect(keys()).toEqual([undefined]);
  });

  test('goes with a batch that writes, each its own; not with one that is done by partition', async () => {
    const { db, keys } = await client([]);
    await db.batch(['SELECT 1', { sql: 'DELETE FROM t' }]).catch(() => undefined);
    await db.batch(['SELECT 1']).catch(() => undefined);
    await db.query('DELETE FROM t', [], { atomicity: 'partition' });
    await db.session().query('DELETE FROM t');
    expect(keys()).toEqual(['key 1', undefined, undefined, 'key 2']);
  });

  test('gives way to the caller’s, and null is none', async () => {
    const { db, requests, keys } = await client([LOST]);
    await db.query('DELETE FROM t', [], { idempotencyKey: 'mine' });
    await errorOf(db.query('DELETE FROM t', [], { idempotencyKey: null }));
    expect(keys()).toEqual(['mine', 'mine', undefined]);
    expect(requests[2]?.body).toBe('{"sql":"DELETE FROM t"}');
  });

  test('is left out where the server takes none, unless an answer was lost or the key is the caller’s', async () => {
    const none = failure(400, { code: 'unsupported', detail: { field: 'idempotencyKey' } });
    const { db, keys } = await client([none, EMPTY, LOST, LOST, none, none]);
    await db.query('DELETE FROM t');
    expect(await errorOf(db.query('DELETE FROM t'))).toMatchObject({ outcome: 'unknown' });
    expect(await errorOf(db.query('DELETE FROM t', [], { idempotencyKey: 'mine' }))).toMatchObject({
      code: 'unsupported',
    });
    expect(keys()).toEqual(['key 1', undefined, 'key 2', 'key 2', 'key 2', 'mine']);
  });

  test('is a UUIDv7 of now, and never the same', () => {
    const keys = Array.from({ length: 100 }, newIdempotencyKey);
    expect(new Set(keys).size).toBe(100);
    const ages = keys.map((key) => Date.now() - readIdempotencyKey(key).issuedMs);
    expect(ages.every((age) => age >= 0 && age < 60_000)).toBe(true);
  });
});

describe('a write whose reply was lost is sent again under its key', () => {
  test.each([
    ['the server says so', LOST],
    ['the connection breaks', { body: null }],
    ['a proxy answers', { status: 502, body: '<html>' }],
    ['the server ran out of time', failure(504, { code: 'timeout', retryable: true, outcome: 'unknown' })],
  ])('when %s', async (_, reply) => {
    const { db, requests } = await client([reply, reply]);
    await db.query('INSERT INTO t VALUES (?)', [1]);
    expect(requests).toHaveLength(3);
    expect(new Set(requests.map(({ body }) => body)).size).toBe(1);
  });

  test('when the reply breaks off in the middle', async () => {
    const { requests } = await client([]);
    let calls = 0;
    const broken = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('{"columns":'));
        controller.error(new TypeError('terminated'));
      },
    });
    const db = createClient({
      url: server?.url ?? '',
      fetch: (url, init) => (++calls === 1 ? Promise.resolve(new Response(broken)) : fetch(url, init)),
    });
    await db.query('DELETE FROM t');
    expect([calls, requests.length]).toEqual([2, 1]);
  });

  test('and stays unknown when tries end, or when the last one came to nothing', async () => {
    const ended = await client([LOST, LOST], { attemptsMax: 2 });
    expect(await errorOf(ended.db.query('DELETE FROM t'))).toMatchObject({ outcome: 'unknown' });
    expect(ended.requests).toHaveLength(2);
    await server?.close();
    const refused = failure(409, { code: 'constraint', message: 'UNIQUE failed', detail: { line: 7 } });
    const { db } = await client([LOST, refused]);
    const error = await errorOf(db.query('DELETE FROM t'));
    expect(error).toBeInstanceOf(AtollError);
    expect(error).toMatchObject({
      code: 'constraint',
      message: 'UNIQUE failed',
      outcome: 'unknown',
      detail: { line: 7 },
      status: 409,
    });
  });

  test('not when the caller has given up', async () => {
    const stop = new AbortController();
    const { requests } = await client([]);
    const db = createClient({
      url: server?.url ?? '',
      fetch: async () => {
        stop.abort(new Error('enough'));
        throw new Error('broke');
      },
    });
    await expect(db.query('DELETE FROM t', [], { signal: stop.signal })).rejects.toThrow('broke');
    expect(requests).toHaveLength(0);
  });
});
