import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { CertifyRequest } from '../../src/protocol/certify.ts';
import { TestCluster } from '../cluster/cluster.ts';
import { anotherRouter, type Router } from '../cluster/router.ts';

// Reads over several partitions while others write: what comes between is put there by the router's transport.

let cluster: TestCluster;
/** Whose messages wait for what is to come before them. */
let router: Router;
/** Done before a message leaves, and once. */
let before: { type: string; partition: number; task: () => Promise<unknown> }[] = [];
/** The messages that were answered: `type partition`. */
let answered: Set<string>;
/** The body of the last `certify`. */
let question: CertifyRequest;
/** A key for each partition, by its number. */
const keys = new Map<number, string>();

const COUNT = 'SELECT count(*), sum(v) FROM t';

beforeAll(async () => {
  cluster = await TestCluster.start();
  await cluster.query('CREATE TABLE t (k TEXT PRIMARY KEY, v INTEGER)');
  await cluster.query('CREATE TABLE other (k TEXT PRIMARY KEY)');
  await cluster.query('CREATE TABLE ref (k TEXT PRIMARY KEY, r INTEGER) REFERENCE');
  for (let i = 0; keys.size < 4; i++) {
    const { json } = await cluster.query('SELECT v FROM t WHERE k = ?', [`key ${i}`]);
    if (!keys.has(json.plan.partition)) keys.set(json.plan.partition, `key ${i}`);
  }
});

afterAll(() => cluster.dispose());

afterEach(async () => {
  for (const partition of [1, 2, 3, 4]) await cluster.rpc(partition, 'fault', { fault: 'none' });
});

beforeEach(async () => {
  before = [];
  for (const table of ['t', 'other']) {
    await cluster.query(`DELETE FROM ${table}`, [], { atomicity: 'partition' });
  }
  await cluster.query('DELETE FROM ref');
  answered = new Set();
  router = anotherRouter(cluster, undefined, async ({ type, partition, body }, send) => {
    if (type === 'certify') question = JSON.parse(body) as CertifyRequest;
    const index = before.findIndex((each) => each.type === type && each.partition === partition);
    if (index >= 0) await before.splice(index, 1)[0]?.task();
    const response = await send();
    // The object was reset; its own Worker would get an exception.
    if (response.status === 500) throw new Error('lost');
    answered.add(`${type} ${partition}`);
    return response;
  });
});

function beforeNext(type: string, partition: number, task: () => Promise<unknown>): void {
  before.push({ type, partition, task });
}

const insert = (partition: number, v = 1) =>
  cluster.query('INSERT INTO t VALUES (?, ?)', [keys.get(partition), v]);
const update = (partition: number, v: number) =>
  cluster.query('UPDATE t SET v = ? WHERE k = ?', [v, keys.get(partition)]);

const read = async (sql: string, consistency?: string) => {
  const reply = await router.post('/v1/query', { sql, ...(consistency && { consistency }) });
  expect(reply.status, reply.text).toBe(200);
  return reply.json;
};

const counted = async (name: string, label: string): Promise<number> => {
  const { text } = await router.get('/metrics');
  return Number(new RegExp(`^${name}\\{${label}\\} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
};
const metrics = async () => ({
  certified: await counted('atoll_certifications_total', 'result="certified"'),
  failed: await counted('atoll_certifications_total', 'result="failed"'),
  reruns: await counted('atoll_retries_total', 'reason="uncertified"'),
});
const sent = (type: string) => router.sent.get(type) ?? 0;

describe('a strong read of several partitions', () => {
  test('asks each once more, and says that it is strong', async () => {
    await insert(1);
    expect(await read(COUNT)).toMatchObject({ rows: [[1, 1]], consistency: 'strong' });
    expect([sent('execute'), sent('certify')]).toEqual([4, 4]);
    expect(await metrics()).toEqual({ certified: 1, failed: 0, reruns: 0 });
  });

  test.each(['session', 'bounded', 'eventual'])('that is %s asks once, and says so', async (consistency) => {
    const more = consistency === 'bounded' ? { maxStalenessMs: 1000 } : {};
    const { json } = await router.post('/v1/query', { sql: COUNT, consistency, ...more });
    expect(json).toMatchObject({ rows: [[0, null]], consistency: 'per-partition' });
    expect([sent('execute'), sent('certify')]).toEqual([4, 0]);
  });

  test('of which one partition alone is asked is strong as it is', async () => {
    const key = keys.get(2);
    const { rows, consistency, plan } = await read(`SELECT count(*) FROM t WHERE k IN ('${key}', '${key}')`);
    expect({ rows, consistency, plan }).toEqual({
      rows: [[0]],
      consistency: 'strong',
      plan: { kind: 'scatter', partitions: [2] },
    });
    expect([sent('execute'), sent('certify')]).toEqual([1, 0]);
  });

  test('is read anew when a row has changed between the rounds, and shows it', async () => {
    await insert(1);
    beforeNext('certify', 3, () => insert(3, 10));
    expect(await read(COUNT)).toMatchObject({ rows: [[2, 11]], consistency: 'strong' });
    expect([sent('execute'), sent('certify')]).toEqual([8, 8]);
    expect(await metrics()).toEqual({ certified: 1, failed: 1, reruns: 1 });
  });

  test('is not read anew for the rows of another table', async () => {
    beforeNext('certify', 3, () => cluster.query('INSERT INTO other VALUES (?)', [keys.get(3)]));
    await read(COUNT);
    expect(await metrics()).toEqual({ certified: 1, failed: 0, reruns: 0 });
  });

  test('that is merged row by row is read anew as well, in the order that it asks for', async () => {
    for (const partition of [1, 2]) await insert(partition, partition);
    beforeNext('certify', 1, () => update(1, 7));
    expect(await read('SELECT v FROM t ORDER BY v')).toMatchObject({ rows: [[2], [7]] });
    beforeNext('certify', 1, () => update(1, 8));
    const { rows } = await read('SELECT v FROM t');
    expect(rows.sort()).toEqual([[2], [8]]);
    expect(await metrics()).toEqual({ certified: 2, failed: 2, reruns: 2 });
  });

  test('runs under locks when rows have changed in every attempt', async () => {
    await insert(1, 0);
    for (let v = 1; v <= 3; v++) beforeNext('certify', 1, () => update(1, v));
    expect(await read(COUNT)).toMatchObject({
      rows: [[1, 3]],
      consistency: 'strong',
      plan: { kind: 'transaction', partitions: [1, 2, 3, 4] },
    });
    expect([sent('execute'), sent('certify'), sent('transact')]).toEqual([12, 12, 1]);
    expect(await metrics()).toEqual({ certified: 0, failed: 3, reruns: 2 });
    // It leaves no lock behind.
    await update(1, 9);
    expect(await read(COUNT)).toMatchObject({ rows: [[1, 9]] });
  });

  test('gives its session what the last attempt has seen', async () => {
    await insert(1, 0);
    const first = await read(COUNT);
    beforeNext('certify', 1, () => update(1, 5));
    const { session } = await read(COUNT);
    expect(session).not.toBe(first.session);
    const { json } = await cluster.query('SELECT v FROM t WHERE k = ?', [keys.get(1)], { session });
    expect([json.rows, json.session]).toEqual([[[5]], session]);
  });
});

describe('a later write is seen without an earlier one', () => {
  /** Partition 1 has answered; then two writes are made, one after the other, and then partition 4 answers. */
  const twoWrites = () =>
    beforeNext('execute', 4, async () => {
      await expect.poll(() => answered.has('execute 1')).toBe(true);
      await insert(1, 1);
      await insert(4, 4);
    });

  test('by a read that is not certified', async () => {
    twoWrites();
    expect((await read('SELECT v FROM t ORDER BY v', 'eventual')).rows).toEqual([[4]]);
  });

  test('never by one that is', async () => {
    twoWrites();
    expect((await read('SELECT v FROM t ORDER BY v')).rows).toEqual([[1], [4]]);
    expect(await metrics()).toEqual({ certified: 1, failed: 1, reruns: 1 });
  });
});

describe('a transaction over several partitions', () => {
  /** Partition 1 has answered; then 1 is moved from there to partition 4, and then that one answers. */
  const moved = () =>
    beforeNext('execute', 4, async () => {
      await expect.poll(() => answered.has('execute 1')).toBe(true);
      const sql = 'UPDATE t SET v = v + ? WHERE k = ?';
      const statements = [
        { sql, args: [-1, keys.get(1)] },
        { sql, args: [1, keys.get(4)] },
      ];
      expect(await cluster.post('/v1/batch', { statements })).toMatchObject({ status: 200 });
    });

  test('is seen in part by a read that is not certified', async () => {
    for (const partition of [1, 4]) await insert(partition, 100);
    moved();
    expect((await read(COUNT, 'eventual')).rows).toEqual([[2, 201]]);
  });

  test('is seen as a whole by one that is', async () => {
    for (const partition of [1, 4]) await insert(partition, 100);
    moved();
    expect((await read(COUNT)).rows).toEqual([[2, 200]]);
  });
});

describe('what owns the rows or describes them', () => {
  test('in another epoch certifies nothing, nor from a commit that is not there', async () => {
    await read(COUNT);
    const { json: status } = await cluster.rpc(4, 'status');
    const asked = async (more: object) =>
      (await cluster.rpc(4, 'certify', { ...question, since: status.commit, ...more })).json.certified;
    expect(await asked({})).toBe(true);
    expect(await asked({ epoch: 2 })).toBe(false);
    expect(await asked({ schema: question.schema - 1 })).toBe(false);
    expect(await asked({ since: 999_999 })).toBe(false);
  });

  test('and has changed between the rounds makes the read be planned anew', async () => {
    await insert(1);
    beforeNext('certify', 2, () => cluster.query('ALTER TABLE t ADD COLUMN w DEFAULT 9'));
    expect(await read('SELECT * FROM t ORDER BY k')).toMatchObject({
      columns: ['k', 'v', 'w'],
      rows: [[keys.get(1), 1, 9]],
      consistency: 'strong',
    });
    await cluster.query('ALTER TABLE t DROP COLUMN w');
  });
});

describe('a certification that is lost', () => {
  test.each(['reset-before', 'reset-after'])('is asked for again (%s)', async (fault) => {
    await insert(1);
    await cluster.rpc(2, 'fault', { fault, on: 'certify' });
    expect(await read(COUNT)).toMatchObject({ rows: [[1, 1]], consistency: 'strong' });
    expect([sent('execute'), sent('certify')]).toEqual([4, 5]);
    expect(await metrics()).toEqual({ certified: 1, failed: 0, reruns: 0 });
  });

  test('for good makes the read unavailable: nothing is shown that is not certain', async () => {
    await cluster.rpc(2, 'fault', { fault: 'deaf', on: 'certify' });
    expect(await router.query(COUNT)).toMatchObject({
      status: 503,
      json: { error: { code: 'unavailable', outcome: 'none', retryable: true } },
    });
    expect(sent('execute')).toBe(4);
  });

  test('until the deadline ends with it', async () => {
    await cluster.rpc(2, 'fault', { fault: 'hang', on: 'certify' });
    expect(await router.post('/v1/query', { sql: COUNT, timeoutMs: 200 })).toMatchObject({
      status: 504,
      json: { error: { code: 'timeout', outcome: 'none' } },
    });
    await cluster.reset(2);
  });
});

describe('a read with a reference table', () => {
  const JOIN = 'SELECT count(*), max(r) FROM t, ref';

  beforeEach(async () => {
    for (const partition of [1, 2, 3, 4]) await insert(partition);
    await cluster.query("INSERT INTO ref VALUES ('a', 1)");
  });

  test('never shows a row of it in one partition alone', async () => {
    beforeNext('execute', 4, async () => {
      await expect.poll(() => answered.has('execute 1')).toBe(true);
      await cluster.query("INSERT INTO ref VALUES ('b', 2)");
    });
    expect((await read(JOIN)).rows).toEqual([[8, 2]]);
    expect((await metrics()).failed).toBe(1);
  });

  /** One partition's row beside the reference table. */
  const joined = (partition: number) =>
    cluster.rows('SELECT max(r) FROM t JOIN ref WHERE t.k = ?', [keys.get(partition)]);

  /** Written, and visible in the system partition, while delivery fails to these. */
  async function writeUndelivered(partitions: readonly number[]): Promise<void> {
    for (const partition of partitions) await cluster.rpc(partition, 'fault', { fault: 'deaf', on: 'feed' });
    const written = await cluster.post('/v1/query', { sql: "INSERT INTO ref VALUES ('b', 2)" });
    expect(written.json.error).toMatchObject({ code: 'unavailable', outcome: 'unknown' });
    expect((await read('SELECT max(r) FROM ref')).rows).toEqual([[2]]);
  }

  test('shows what a read before it has seen, when no copy has it yet', async () => {
    await writeUndelivered([1, 2, 3, 4]);
    expect((await read(JOIN)).rows).toEqual([[8, 2]]);
  });

  test('in one partition alone shows it too', async () => {
    await writeUndelivered([3, 4]);
    expect(await joined(1)).toEqual([[2]]);
    expect(await joined(4)).toEqual([[2]]);
  });

  test('in an object that has just started shows it too', async () => {
    await writeUndelivered([4]);
    await cluster.reset(4);
    expect(await joined(4)).toEqual([[2]]);
  });

  test('in a batch over partitions shows it too', async () => {
    await writeUndelivered([2, 4]);
    const statements = [2, 4].flatMap((partition) => [
      { sql: 'UPDATE t SET v = 5 WHERE k = ?', args: [keys.get(partition)] },
      { sql: 'SELECT max(r) FROM t JOIN ref WHERE t.k = ?', args: [keys.get(partition)] },
    ]);
    const { json } = await cluster.post('/v1/batch', { statements });
    expect([json.results[1].rows, json.results[3].rows]).toEqual([[[2]], [[2]]]);
  });

  test('waits for nothing when the write is given up, since a partition cannot be told of it', async () => {
    await cluster.rpc(4, 'fault', { fault: 'deaf', on: 'freeze' });
    const written = await cluster.post('/v1/query', { sql: "INSERT INTO ref VALUES ('b', 2)" });
    expect(written).toMatchObject({
      status: 503,
      json: {
        error: {
          code: 'unavailable',
          outcome: 'none',
          message: expect.stringMatching(/partition 4 .* nothing is written/),
        },
      },
    });
    for (const partition of [1, 4]) expect(await joined(partition)).toEqual([[1]]);
    await cluster.rpc(4, 'fault', { fault: 'none' });
    await cluster.query("INSERT INTO ref VALUES ('b', 2)");
    for (const partition of [1, 4]) expect(await joined(partition)).toEqual([[2]]);
  });

  test('is certified whatever else the feed has brought since', async () => {
    await cluster.query('CREATE TABLE IF NOT EXISTS ref2 (k TEXT PRIMARY KEY) REFERENCE');
    beforeNext('certify', 1, () => cluster.query("INSERT OR REPLACE INTO ref2 VALUES ('x')"));
    expect((await read(JOIN)).rows).toEqual([[4, 1]]);
    expect(await metrics()).toEqual({ certified: 1, failed: 0, reruns: 0 });
  });
});
