import { beforeEach, describe, expect, test } from 'vitest';
import { recordedReply } from '../../src/core/replica/requests.ts';
import type { SqlitePort } from '../../src/core/sqlite/port.ts';
import { QuietCluster } from '../simulation/quiet-cluster.ts';

/** A request under a key that is planned in another way when it is sent again, since the schema has changed. */
let cluster: QuietCluster;
let keys = 0;

beforeEach(async () => {
  cluster = await QuietCluster.open(1, 3, ['CREATE TABLE t (k TEXT PRIMARY KEY, n INTEGER)']);
});

function newKey(): string {
  return `1700000001000-key_of_a_test_${String(++keys).padStart(6, '0')}`;
}

const KEYS = ['a', 'b', 'c', 'd', 'e', 'f'];
const inserts = KEYS.map((k, n) => ({ sql: 'INSERT INTO t VALUES (?, ?)', args: [k, n] }));

// `npm run simulate -- --from 7061 --seeds 1`, once.
test('a transaction whose table is gone: it is said to be committed, and not to have failed', async () => {
  const body = { statements: inserts, idempotencyKey: newKey() };
  const first = await cluster.post('/v1/batch', body);
  expect(first.status).toBe(200);
  expect(first.json.plan.kind).toBe('transaction');
  await cluster.query('DROP TABLE t');
  const again = await cluster.post('/v1/batch', body);
  expect(again).toMatchObject({
    status: 409,
    json: {
      error: { code: 'schema-conflict', outcome: 'unknown', message: expect.stringMatching(/committed/) },
    },
  });
});

test('an anchor that finds a record of another kind does not take it for its own', async () => {
  await cluster.query('INSERT INTO t VALUES (?, 1)', ['a']);
  const body = { sql: 'UPDATE t SET n = n + 1 WHERE k = ?', args: ['a'], idempotencyKey: newKey() };
  expect((await cluster.post('/v1/query', body)).status).toBe(200);
  const [home] = cluster.ports.flatMap(
    (port) => port.query('SELECT request_id, request_hash FROM _atoll_requests').rows,
  );
  const [id, hash] = (home ?? []).map(String) as [string, string];
  const idempotency = { id, hash, issuedMs: 1_700_000_001_000 };
  const [port] = cluster.ports.filter((each) => each.query('SELECT 1 FROM _atoll_requests').rows.length > 0);
  expect(() => recordedReply(port as SqlitePort, idempotency, 'transaction')).toThrow(
    /is committed under its key/,
  );
  expect(recordedReply(port as SqlitePort, idempotency, 'partition')).toMatch(/"rowsAffected":1/);
});

describe('a write that was executed in one partition, and is a transaction by now,', () => {
  const update = (k: string) => ({
    sql: 'UPDATE t SET n = n + 10 WHERE k = ?',
    args: [k],
    idempotencyKey: newKey(),
  });

  test('is not applied again, and has its answer', async () => {
    for (const { sql, args } of inserts) await cluster.query(sql, args);
    const sent = KEYS.map(update);
    const answers = [];
    for (const body of sent) answers.push((await cluster.post('/v1/query', body)).json);
    await cluster.query('CREATE UNIQUE INDEX t_n ON t (n)');
    for (const [index, body] of sent.entries()) {
      const { status, json } = await cluster.post('/v1/query', body);
      expect([status, json.rowsAffected, json.plan]).toEqual([200, 1, answers[index].plan]);
    }
    expect(await cluster.rows('SELECT n FROM t ORDER BY n')).toEqual(KEYS.map((_, n) => [n + 10]));
  });

  test('nor the other way round: nobody can make its answer any more', async () => {
    for (const { sql, args } of inserts) await cluster.query(sql, args);
    await cluster.query('CREATE UNIQUE INDEX t_n ON t (n)');
    const sent = KEYS.map(update);
    for (const body of sent) expect((await cluster.post('/v1/query', body)).status).toBe(200);
    await cluster.query('CREATE TABLE another (x TEXT PRIMARY KEY)');
    for (const body of sent)
      expect(await cluster.post('/v1/query', body)).toMatchObject({ status: 200, json: { rowsAffected: 1 } });
    await cluster.query('DROP INDEX t_n');
    for (const body of sent)
      expect(await cluster.post('/v1/query', body)).toMatchObject({
        status: 409,
        json: { error: { code: 'schema-conflict', outcome: 'unknown' } },
      });
    expect(await cluster.rows('SELECT n FROM t ORDER BY n')).toEqual(KEYS.map((_, n) => [n + 10]));
  });
});
