import { abortAllDurableObjects, evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { describe, expect, test } from 'vitest';
import { partition, Router, statusOf, tell } from '../workerd/router.ts';

const PARTITIONS = 3;

/** Each step leaves something behind, and the last ones read all of it. */
const SCRIPT: readonly ((router: Router) => Promise<unknown>)[] = [
  (router) => router.rows('CREATE TABLE note (id INTEGER PRIMARY KEY, owner TEXT, v) PARTITION BY (owner)'),
  (router) => router.rows('CREATE TABLE country (code TEXT PRIMARY KEY, name) REFERENCE'),
  (router) => router.rows('INSERT INTO note (owner, v) VALUES (?, ?)', 'a', 1),
  (router) => router.rows('INSERT INTO country VALUES (?, ?)', 'de', 'Germany'),
  (router) => router.rows('INSERT INTO note (owner, v) VALUES (?1, ?2), (?1, ?2)', 'b', 2),
  (router) => router.rows('ALTER TABLE note ADD COLUMN more DEFAULT 7'),
  (router) => router.rows('UPDATE note SET v = v + 1, more = ? WHERE owner = ?', 8, 'b'),
  async (router) => expect((await router.query('ALTER TABLE note ADD COLUMN x NOT NULL')).status).toBe(400),
  (router) => router.rows('UPDATE country SET name = ? WHERE code = ?', 'Allemagne', 'de'),
  (router) => router.rows('INSERT INTO note (owner, v) VALUES (?, ?)', 'a', 3),
  (router) => router.rows('DELETE FROM note WHERE owner = ? AND v = ?', 'a', 1),
];

async function outcome(router: Router): Promise<unknown> {
  const notes = [];
  for (const owner of ['a', 'b']) {
    const sql = 'SELECT owner, v, more, name, n.id > 0 FROM note n, country WHERE owner = ? ORDER BY n.id';
    notes.push(await router.rows(sql, owner));
  }
  return notes;
}

describe('evicted between any two steps, objects lose nothing', () => {
  const expected = [
    [['a', 3, 7, 'Allemagne', 1]],
    [
      ['b', 3, 8, 'Allemagne', 1],
      ['b', 3, 8, 'Allemagne', 1],
    ],
  ];

  test('one of them, gracefully, after some steps', async () => {
    const router = await Router.found(PARTITIONS);
    for (const [index, step] of SCRIPT.entries()) {
      await step(router);
      // The plugin takes seconds for an eviction.
      if (index % 5 === 3) await evictDurableObject(partition(index === 3 ? 0 : 1));
    }
    expect(await outcome(router)).toEqual(expected);
  });

  test('all of them, without a warning, after every step', async () => {
    const router = await Router.found(PARTITIONS);
    for (const step of SCRIPT) {
      await step(router);
      await abortAllDurableObjects();
    }
    expect(await outcome(router)).toEqual(expected);
  });

  test('the router too', async () => {
    await Router.found(PARTITIONS);
    for (const step of SCRIPT) await step(new Router());
    expect(await outcome(new Router())).toEqual(expected);
  });

  test('generated ids go on, and none comes twice', async () => {
    const router = await Router.found(PARTITIONS);
    await router.rows('CREATE TABLE t (id INTEGER PRIMARY KEY, v)');
    const ids = new Set<unknown>();
    for (let i = 0; i < 12; i++) {
      const [[id] = []] = await router.rows('INSERT INTO t (v) VALUES (?) RETURNING id', i);
      ids.add(id);
      if (i % 3 === 0) await router.rows('DELETE FROM t WHERE id = ?', id);
      if (i % 2 === 0) await abortAllDurableObjects();
    }
    expect(ids.size).toBe(12);
  });
});

test('aborted in the middle of writes: what was acknowledged is there, nothing is there twice', async () => {
  const router = await Router.found(1);
  await router.rows('CREATE TABLE t (k TEXT, n INTEGER, PRIMARY KEY (k, n)) PARTITION BY (k)');
  const acknowledged = new Set<number>();
  const writes = Array.from({ length: 60 }, async (_, n) => {
    if (n >= 30) await scheduler.wait(n % 7);
    const { status } = await router.query('INSERT INTO t VALUES (?, ?)', 'k', n);
    if (status === 200) acknowledged.add(n);
  });
  await scheduler.wait(3);
  await abortAllDurableObjects();
  await Promise.allSettled(writes);
  const found = (await new Router().rows('SELECT n FROM t WHERE k = ? ORDER BY n', 'k')).map(([n]) =>
    Number(n),
  );
  expect(new Set(found).size).toBe(found.length);
  for (const n of acknowledged) expect(found).toContain(n);
  expect((await router.query('INSERT INTO t VALUES (?, ?)', 'k', 1000)).status).toBe(200);
});

test('a partition that has slept through changes catches up when it is touched', async () => {
  const router = await Router.found(PARTITIONS);
  await router.rows('CREATE TABLE country (code TEXT PRIMARY KEY, name) REFERENCE');
  await router.rows('CREATE TABLE t (k INTEGER PRIMARY KEY, v)');
  await runInDurableObject(partition(2), (instance) => {
    const object = instance as unknown as { fetch(request: Request): Promise<Response> };
    const fetch = object.fetch.bind(object);
    object.fetch = async (request) =>
      request.url.endsWith('/feed')
        ? new Response('{"error":{"code":"unavailable","message":"asleep"}}', { status: 503 })
        : fetch(request);
  });
  const write = await router.query('INSERT INTO country VALUES (?, ?)', 'fr', 'France');
  expect(write.body.error).toMatchObject({ code: 'unavailable', outcome: 'unknown' });
  const before = await statusOf(2);
  const ddl = await router.query('ALTER TABLE t ADD COLUMN w DEFAULT 1');
  expect(ddl.body.plan).toMatchObject({ changed: true, pending: [2] });
  expect((await statusOf(2)).schema).toBe(before.schema);
  await evictDurableObject(partition(2));
  const fresh = new Router();
  for (let k = 1; k <= 12; k++) await fresh.rows('INSERT INTO t (k) VALUES (?)', k);
  for (let k = 1; k <= 12; k++) {
    expect(await fresh.rows('SELECT w, name FROM t, country WHERE k = ?', k)).toEqual([[1, 'France']]);
  }
  expect((await statusOf(2)).schema).toBe((await statusOf(1)).schema);
});

test('a change that fails on one partition leaves every partition as it was', async () => {
  const router = await Router.found(PARTITIONS);
  await router.rows('CREATE TABLE t (k TEXT, v, PRIMARY KEY (k, v)) PARTITION BY (k)');
  await router.rows('INSERT INTO t VALUES (?1, 1), (?1, 2)', 'a');
  const schemas = async () => (await Promise.all([0, 1, 2, 3].map(statusOf))).map(({ schema }) => schema);
  const before = await schemas();
  for (const sql of [
    'CREATE UNIQUE INDEX i ON t (k)',
    'ALTER TABLE t ADD COLUMN w NOT NULL',
    'ALTER TABLE t REFERENCE',
  ]) {
    const { status, body } = await router.query(sql);
    expect([status, body.error.outcome]).toEqual([body.error.code === 'constraint' ? 409 : 400, 'none']);
    expect(await schemas()).toEqual(before);
  }
  // And nobody waits.
  expect((await Promise.all([0, 1, 2, 3].map(statusOf))).map(({ hold }) => hold)).toEqual([
    null,
    null,
    null,
    null,
  ]);
  expect(await router.rows('INSERT INTO t VALUES (?, 3) RETURNING v', 'a')).toEqual([[3]]);
  expect(await router.rows('SELECT name FROM pragma_index_list(?)', 't').catch(() => [])).toEqual([]);
});

describe('planned with what is no longer so', () => {
  test('an old schema is refused with the new one, and the router goes on', async () => {
    const [router, other] = [await Router.found(PARTITIONS), new Router()];
    await router.rows('CREATE TABLE t (k TEXT PRIMARY KEY, v)');
    await router.rows('INSERT INTO t VALUES (?, 1)', 'a');
    await other.rows('SELECT * FROM t WHERE k = ?', 'a');
    await router.rows('ALTER TABLE t ADD COLUMN w DEFAULT 2');
    expect(await other.rows('SELECT * FROM t WHERE k = ?', 'a')).toEqual([['a', 1, 2]]);
    await router.rows('ALTER TABLE t RENAME COLUMN v TO x');
    const gone = await other.query('UPDATE t SET v = 5 WHERE k = ?', 'a');
    expect(gone.body.error).toMatchObject({ outcome: 'none' });
    expect(await other.rows('UPDATE t SET x = 5 WHERE k = ? RETURNING x', 'a')).toEqual([[5]]);
    expect(await router.rows('SELECT * FROM t WHERE k = ?', 'a')).toEqual([['a', 5, 2]]);
  });

  test('the refusal carries what is newer', async () => {
    const router = await Router.found(1);
    await router.rows('CREATE TABLE t (k TEXT PRIMARY KEY, v)');
    const request = {
      epoch: 1,
      schema: 1,
      system: 0,
      shape: 'query',
      read: false,
      statements: [{ sql: "INSERT INTO t VALUES ('a', 1)" }],
    };
    for (const stale of [{ schema: 0 }, { epoch: 2 }, { epoch: 0 }]) {
      const { status, body } = await tell(1, 'execute', { ...request, ...stale });
      expect(status).toBe(421);
      expect(body).toMatchObject({ partition: 1, epoch: 1, catalogue: { version: 1 } });
    }
    expect(await router.rows('SELECT * FROM t WHERE k = ?', 'a')).toEqual([]);
    expect((await tell(1, 'execute', request)).status).toBe(200);
  });
});

test('writes wait while a schema change is decided, and go through when nobody knows of it any more', async () => {
  const router = await Router.found(1);
  await router.rows('CREATE TABLE t (k TEXT PRIMARY KEY, v)');
  const { body } = await tell(0, 'network', {});
  const change = {
    version: 2,
    statements: ['CREATE INDEX i ON t (v)'],
    mustBeEmpty: [],
    catalogue: { ...body.network.catalogue, version: 2 },
  };
  expect((await tell(1, 'schema-check', { proposal: 77, change, system: 0 })).status).toBe(200);
  expect((await statusOf(1)).hold).toBe(77);
  await evictDurableObject(partition(1));
  expect((await statusOf(1)).hold).toBe(77);
  expect(await router.rows('SELECT count(*) FROM t WHERE k = ?', 'a')).toEqual([[0]]);
  const started = Date.now();
  await Promise.all(['a', 'b', 'c'].map((k) => router.rows('INSERT INTO t VALUES (?, 1)', k)));
  expect(Date.now() - started).toBeGreaterThan(150);
  expect((await statusOf(1)).hold).toBe(null);
  // A check that comes late, after a newer proposal's, does not take its hold away.
  await tell(1, 'schema-check', { proposal: 80, change, system: 0 });
  expect((await tell(1, 'schema-check', { proposal: 79, change, system: 0 })).body.error.code).toBe(
    'schema-conflict',
  );
  expect((await statusOf(1)).hold).toBe(80);
});

test('a group of writes: those that fail do so alone', async () => {
  const router = await Router.found(1);
  await router.rows(
    'CREATE TABLE t (k TEXT, n INTEGER CHECK (n % 3 > 0), PRIMARY KEY (k, n)) PARTITION BY (k)',
  );
  const statuses = await Promise.all(
    Array.from(
      { length: 90 },
      async (_, n) => (await router.query('INSERT INTO t VALUES (?, ?)', 'k', n % 80)).status,
    ),
  );
  expect(statuses.filter((status) => status === 200).length).toBe(53);
  expect(statuses.filter((status) => status === 409).length).toBe(37);
  expect(await router.rows('SELECT count(*), sum(n % 3 = 0) FROM t WHERE k = ?', 'k')).toEqual([[53, 0]]);
});
