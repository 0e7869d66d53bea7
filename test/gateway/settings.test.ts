import { beforeAll, describe, expect, test } from 'vitest';
import { READ_HOLD_MS } from '../../src/core/replica/open-reads.ts';
import { readRetention } from '../../src/core/replica/retention.ts';
import { QuietCluster } from '../simulation/quiet-cluster.ts';

let cluster: QuietCluster;

beforeAll(async () => {
  cluster = await QuietCluster.open(11, 2, [
    'CREATE TABLE t (k TEXT PRIMARY KEY, body TEXT)',
    'CREATE TABLE r (k TEXT PRIMARY KEY) REFERENCE',
  ]);
  for (let i = 0; i < 12; i++) await cluster.query('INSERT INTO t VALUES (?, ?)', [`k${i}`, 'b'.repeat(400)]);
});

const put = (body: object) => cluster.send('PUT', '/v1/settings', body);

describe('settings', () => {
  test('are what they are set to, in every partition, each by itself', async () => {
    const usual = { logRetentionSeconds: 3_600, logRetentionBytes: 268_435_456 };
    expect((await cluster.send('GET', '/v1/settings')).json).toEqual(usual);
    const once = await put({ logRetentionSeconds: 60 });
    expect([once.status, once.json]).toEqual([200, { ...usual, logRetentionSeconds: 60, pending: [] }]);
    const twice = await put({ logRetentionBytes: 1_048_576 });
    expect(twice.json).toEqual({ logRetentionSeconds: 60, logRetentionBytes: 1_048_576, pending: [] });
    expect((await cluster.send('GET', '/v1/settings')).json).toMatchObject({ logRetentionSeconds: 60 });
    for (const port of cluster.ports)
      expect(readRetention(port)).toEqual({ milliseconds: 60_000, bytes: 1_048_576 });
    // The feed goes on.
    await cluster.query("INSERT INTO r VALUES ('a')");
    expect(await cluster.rows('SELECT count(*) FROM t JOIN r')).toEqual([[12]]);
  });

  test.each([
    [{ logRetentionSeconds: 59 }, /logRetentionSeconds must be at least 60/],
    [{ logRetentionSeconds: 2_592_001 }, /at most 2592000/],
    [{ logRetentionBytes: 1_000 }, /at least 1048576/],
    [{ logRetentionBytes: 2 ** 31 + 1 }, /at most 2147483648/],
    [{ logRetentionSeconds: 1.5 }, /whole number/],
    [{ logRetention: 100 }, /there is no such field/],
    [{}, /say what to set/],
  ])('are not %j', async (body, message) => {
    const { status, json } = await put(body);
    expect([status, json.error.code]).toEqual([400, 'bad-request']);
    expect(json.error.message).toMatch(message);
  });
});

describe('the log past its retention', () => {
  /** Enough for partitions to look what they may forget. */
  async function write(): Promise<void> {
    for (let i = 0; i < 70; i++)
      await cluster.together(
        ['k0', 'k1', 'k2', 'k3'].map((k) => [
          '/v1/query',
          { sql: 'UPDATE t SET body = body WHERE k = ?', args: [k] },
        ]),
      );
  }

  test('is kept for the pages of an answer, but not for ever', async () => {
    await put({ logRetentionSeconds: 60 });
    const { json } = await cluster.post('/v1/query', { sql: 'SELECT k, body FROM t', pageBytes: 1024 });
    await cluster.pass(80_000);
    await write();
    const next = await cluster.post('/v1/query', { cursor: json.cursor });
    expect(next.status, JSON.stringify(next.json)).toBe(200);
    const rest = await cluster.post('/v1/query', { cursor: next.json.cursor, pageBytes: 100_000 });
    expect(json.rows.length + next.json.rows.length + rest.json.rows.length).toBe(12);
    await cluster.pass(READ_HOLD_MS);
    await write();
    const late = await cluster.post('/v1/query', { cursor: json.cursor });
    expect([late.status, late.json.error?.code]).toEqual([400, 'history-gone']);
    expect(late.json.error.detail.oldest > json.asOf).toBe(true);
  });
});
