import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { TestCluster } from '../cluster/cluster.ts';
import { anotherRouter } from '../cluster/router.ts';

/** What a client is told became of its request when not all goes well. */
let cluster: TestCluster;
/** A key for each partition, by its number less one. */
let keys: string[];

beforeAll(async () => {
  cluster = await TestCluster.start();
  await cluster.query('CREATE TABLE t (k TEXT PRIMARY KEY, v INTEGER CHECK (v < 100))');
  const found = new Map<number, string>();
  for (let i = 0; found.size < 4; i++) {
    const { json } = await cluster.query('SELECT v FROM t WHERE k = ?', [`key ${i}`]);
    if (!found.has(json.plan.partition)) found.set(json.plan.partition, `key ${i}`);
  }
  keys = [1, 2, 3, 4].map((partition) => found.get(partition) ?? '');
});

afterAll(() => cluster.dispose());

beforeEach(async () => {
  await cluster.query('DELETE FROM t', [], { atomicity: 'partition' });
});

const key = (partition: number) => keys[partition - 1] ?? '';
const insert = (partition: number, v = 1, more = {}) =>
  cluster.post('/v1/query', { sql: 'INSERT INTO t VALUES (?, ?)', args: [key(partition), v], ...more });
const stored = async () =>
  (await cluster.rows('SELECT k FROM t')).map(([k]) => keys.indexOf(String(k)) + 1).sort();
const fault = (partition: number, kind: string, on?: string) =>
  cluster.rpc(partition, 'fault', { fault: kind, ...(on && { on }) });

describe('a lost answer', () => {
  const unknown = {
    status: 503,
    json: { error: { code: 'unknown-outcome', outcome: 'unknown', retryable: true } },
  };

  test('of a write that was applied is unknown, never failed', async () => {
    await fault(1, 'reset-after');
    const reply = await insert(1);
    expect(reply).toMatchObject(unknown);
    expect(reply.headers.get('retry-after')).toBe('1');
    expect(await stored()).toEqual([1]);
  });

  test('of a write that never arrived is unknown as well: the router cannot tell', async () => {
    await fault(1, 'reset-before');
    expect(await insert(1)).toMatchObject(unknown);
    expect(await stored()).toEqual([]);
    expect((await insert(1)).status).toBe(200);
  });

  test('of a read is asked for again', async () => {
    await insert(1);
    await fault(1, 'reset-before');
    expect(await cluster.rows('SELECT v FROM t WHERE k = ?', [key(1)])).toEqual([[1]]);
    await fault(1, 'reset-before');
    await fault(3, 'reset-after');
    expect(await cluster.rows('SELECT count(*) FROM t')).toEqual([[1]]);
    const { text } = await cluster.get('/metrics');
    expect(text).toMatch(/atoll_retries_total\{reason="lost-read"\} [3-9]/);
  });

  test('of a schema change tells where to look', async () => {
    await fault(0, 'reset-before', 'schema-change');
    const { json } = await cluster.post('/v1/query', { sql: 'CREATE TABLE lost (a)' });
    expect(json.error).toMatchObject({
      code: 'unknown-outcome',
      message: expect.stringContaining('/v1/schema'),
    });
    expect((await cluster.post('/v1/query', { sql: 'CREATE TABLE lost (a)' })).status).toBe(200);
  });
});

describe('a reset of the system partition', () => {
  const REPEATED = [
    ['/v1/tokens', 'tokens'],
    ['/v1/network', 'network'],
    ['/v1/schema', 'network'],
    ['/v1/schema', 'execute'],
    ['/v1/export', 'network'],
    ['/v1/export', 'export-page'],
  ] as const;

  test.each(REPEATED)('is not seen by GET %s, whose %s is asked for again', async (path, message) => {
    for (const kind of ['reset-before', 'reset-after']) {
      await fault(0, kind, message);
      expect((await cluster.get(path)).status).toBe(200);
    }
  });

  test('that lasts makes a read unavailable, with nothing changed', async () => {
    for (const [path, message] of REPEATED) {
      await fault(0, 'deaf', message);
      const reply = await cluster.get(path);
      await fault(0, 'none');
      expect(reply).toMatchObject({
        status: 503,
        json: { error: { code: 'unavailable', outcome: 'none', retryable: true } },
      });
    }
  });

  test.each(['reset-before', 'reset-after'])('makes a write unknown (%s)', async (kind) => {
    const { json } = await cluster.post('/v1/tokens', { role: 'read' });
    const lost = { status: 503, json: { error: { code: 'unknown-outcome', outcome: 'unknown' } } };
    await fault(0, kind, 'token-made');
    expect(await cluster.post('/v1/tokens', { role: 'read' })).toMatchObject(lost);
    await fault(0, kind, 'token-revoke');
    expect(await cluster.request(`/v1/tokens/${json.id}`, { method: 'DELETE' })).toMatchObject(lost);
    await fault(0, kind, 'found');
    expect(await cluster.post('/v1/init', { partitions: 4 })).toMatchObject(lost);
    expect((await cluster.post('/v1/init', { partitions: 4 })).status).toBe(200);
  });

  test('does not make init take a signed token for an unknown one', async () => {
    const router = anotherRouter(cluster);
    await fault(0, 'deaf', 'network');
    const reply = await router.post('/v1/init', { partitions: 4 });
    await fault(0, 'none');
    expect(reply).toMatchObject({ status: 503, json: { error: { outcome: 'none' } } });
    expect(router.sent.get('found')).toBe(undefined);
  });

  test('after a write that it has confirmed does not take the write back', async () => {
    const { json } = await cluster.post('/v1/tokens', { role: 'read' });
    const headers = { authorization: `Bearer ${json.token}` };
    await fault(0, 'deaf', 'network');
    const created = await cluster.post('/v1/query', { sql: 'CREATE TABLE confirmed (a)' });
    const revoked = await cluster.request(`/v1/tokens/${json.id}`, { method: 'DELETE' });
    await fault(0, 'none');
    expect([created.status, revoked.status]).toEqual([200, 200]);
    expect((await cluster.post('/v1/query', { sql: 'SELECT 1' }, { headers })).status).toBe(401);
    expect(await cluster.rows('SELECT count(*) FROM confirmed')).toEqual([[0]]);
  });
});

describe('a deadline', () => {
  test('that passes while a partition is silent: a read changed nothing, a write may have', async () => {
    await fault(1, 'hang');
    const started = Date.now();
    const read = { sql: 'SELECT v FROM t WHERE k = ?', args: [key(1)], timeoutMs: 100 };
    expect(await cluster.post('/v1/query', read)).toMatchObject({
      status: 504,
      json: { error: { code: 'timeout', outcome: 'none' } },
    });
    await fault(1, 'hang');
    expect(await insert(1, 1, { timeoutMs: 100 })).toMatchObject({
      status: 504,
      json: { error: { code: 'timeout', outcome: 'unknown' } },
    });
    expect(Date.now() - started).toBeLessThan(2_000);
    await cluster.reset(1);
  });

  test('of a scatter ends it as soon as one partition is late', async () => {
    await fault(2, 'hang');
    const reply = await cluster.post('/v1/query', { sql: 'SELECT count(*) FROM t', timeoutMs: 100 });
    expect(reply).toMatchObject({ status: 504, json: { error: { outcome: 'none' } } });
    await cluster.reset(2);
  });
});

describe('while a schema change is being decided', () => {
  /** Partition 2 does not answer the check until `release`, so that the others hold their writes. */
  async function held<T>(during: () => Promise<T>): Promise<T> {
    await fault(2, 'hang', 'schema-check');
    const change = cluster.post('/v1/query', { sql: 'ALTER TABLE t ADD COLUMN w' });
    await expect.poll(async () => (await cluster.rpc(1, 'status')).json.hold).not.toBeNull();
    try {
      return await during();
    } finally {
      await cluster.reset(2);
      expect(await change).toMatchObject({
        status: 503,
        json: { error: { code: 'unavailable', outcome: 'none' } },
      });
    }
  }

  test('a write that cannot wait is told so in time, and nothing of it is applied', async () => {
    const reply = await held(() => insert(1, 1, { timeoutMs: 400 }));
    expect(reply).toMatchObject({ status: 503, json: { error: { code: 'busy', outcome: 'none' } } });
    expect(await stored()).toEqual([]);
  });

  test('a write waits and goes through when the change is given up; reads do not wait', async () => {
    const { write, read } = await held(async () => {
      const waiting = insert(1);
      return { write: waiting, read: await cluster.rows('SELECT v FROM t WHERE k = ?', [key(1)]) };
    });
    expect(read).toEqual([]);
    expect((await write).status).toBe(200);
    const { migrations } = (await cluster.get('/v1/schema')).json;
    expect(migrations.at(-1)).toMatchObject({
      state: 'withdrawn',
      error: expect.stringContaining('partition 2'),
    });
  });
});

describe('atomicity "partition"', () => {
  const insertAll = (values: number[]) => {
    const args = values.flatMap((v, index) => [key(index + 1), v]);
    const rows = values.map(() => '(?, ?)').join(', ');
    return cluster.post('/v1/query', { sql: `INSERT INTO t VALUES ${rows}`, args, atomicity: 'partition' });
  };

  test('writes every partition by itself', async () => {
    expect((await insertAll([1, 2, 3, 4])).json).toMatchObject({
      rowsAffected: 4,
      plan: { kind: 'per-partition' },
    });
    expect(await stored()).toEqual([1, 2, 3, 4]);
  });

  test('cuts an INSERT by rows whose arguments have names, or are used twice', async () => {
    const sql = 'INSERT INTO t VALUES (:a, :v), (:b, :v) RETURNING k, v';
    const args = { b: key(4), a: key(1), v: 7 };
    const { json } = await cluster.post('/v1/query', { sql, args, atomicity: 'partition' });
    expect(json.rows).toEqual([
      [key(1), 7],
      [key(4), 7],
    ]);
  });

  test('keeps the type of what RETURNING shows', async () => {
    await insertAll([1, 2, 3, 4]);
    const sql = 'UPDATE t SET v = v RETURNING v * 1.0, v';
    const { text } = await cluster.post('/v1/query', { sql, atomicity: 'partition' });
    expect(text).toContain('"rows":[[1.0,1],[2.0,2],[3.0,3],[4.0,4]]');
  });

  test('lists what became of each partition when one fails', async () => {
    const { status, json } = await insertAll([1, 2, 100, 4]);
    expect(status).toBe(409);
    expect(json.error).toMatchObject({ code: 'constraint', outcome: 'partial' });
    expect(json.error.detail.partitions).toMatchObject([
      { partition: 1, outcome: 'applied' },
      { partition: 2, outcome: 'applied' },
      { partition: 3, outcome: 'none', code: 'constraint' },
      { partition: 4, outcome: 'applied' },
    ]);
    expect(await stored()).toEqual([1, 2, 4]);
  });

  test('is partial when an answer is lost, and none when all refuse', async () => {
    await fault(4, 'reset-after');
    const lost = (await insertAll([1, 2, 3, 4])).json.error;
    expect(lost).toMatchObject({ code: 'unknown-outcome', outcome: 'partial' });
    expect(lost.detail.partitions[3]).toMatchObject({ partition: 4, outcome: 'unknown' });
    const refused = (await insertAll([1, 2, 3, 4])).json.error;
    expect(refused).toMatchObject({ code: 'constraint', outcome: 'none' });
  });

  test('is asked for: without it all is written, or nothing anywhere', async () => {
    const sql = 'INSERT INTO t VALUES (?, 1), (?, 1)';
    expect(await cluster.post('/v1/query', { sql, args: [key(1), key(2)] })).toMatchObject({ status: 200 });
    const before = await stored();
    const reply = await cluster.post('/v1/query', { sql, args: [key(1), key(3)] });
    expect(reply).toMatchObject({ status: 409, json: { error: { code: 'constraint', outcome: 'none' } } });
    expect(await stored()).toEqual(before);
  });
});

test('a partition that is gone shows in the network as such, and the others go on', async () => {
  await fault(4, 'hang', 'status');
  const { json } = await cluster.get('/v1/network');
  expect(json.partitions[3]).toMatchObject({ partition: 4, error: expect.stringContaining('deadline') });
  expect(json.partitions[0]).toMatchObject({ partition: 1, sizeBytes: expect.any(Number) });
  await cluster.reset(4);
});
