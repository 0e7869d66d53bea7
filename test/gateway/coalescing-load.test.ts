import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { TestCluster } from '../cluster/cluster.ts';

/** V8 compiles what has run this often, and not only after some 10,000 requests: compiled code may make promises that lose their request (ARCHITECTURE.md, Decisions). */
const COMPILES_SOON = '--no-maglev --invocation-count-for-turbofan=20';
const REQUESTS = 3_000;
const IN_FLIGHT = 64;
const KEYS = 500;
let cluster: TestCluster;

beforeAll(async () => {
  vi.stubEnv('MINIFLARE_WORKERD_V8_FLAGS', COMPILES_SOON);
  cluster = await TestCluster.start({ partitions: 1 });
  await cluster.query('CREATE TABLE t (k TEXT PRIMARY KEY, n CHECK (n < 1000))');
  for (let i = 0; i < KEYS; i++) await cluster.query('INSERT INTO t VALUES (?, ?)', [`k${i}`, i]);
});

afterAll(() => cluster.dispose());
afterAll(() => vi.unstubAllEnvs());

/** One of four, whose right answer is known; what it was answered instead, else null. */
async function wrong(index: number): Promise<string | null> {
  const key = index % KEYS;
  const [sql, arg, right] = [
    ['SELECT k, n FROM t WHERE k = ?', `k${key}`, [[`k${key}`, key]]],
    ['UPDATE t SET n = n WHERE k = ?', `k${key}`, 1],
    ['INSERT INTO t VALUES (?, 1)', `new ${index}`, 1],
    ['INSERT INTO t VALUES (?, 1000)', `new ${index}`, 'constraint'],
  ][index % 4] as [string, string, unknown];
  const { json, text } = await cluster.post('/v1/query', { sql, args: [arg] });
  const answer = json.error?.code ?? (json.rows?.length > 0 ? json.rows : json.rowsAffected);
  return JSON.stringify(answer) === JSON.stringify(right) ? null : `${index}: ${text}`;
}

test('of many requests at a time each has its own answer, once their code is compiled', async () => {
  const failures: string[] = [];
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < REQUESTS) {
      const failure = await wrong(next++);
      if (failure !== null) failures.push(failure);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, client));
  expect(failures).toEqual([]);
  expect(await cluster.rows("SELECT count(*) FROM t WHERE k LIKE 'new %'")).toEqual([[REQUESTS / 4]]);
});

test('of those whose message is lost, each is told what that means for it', async () => {
  const codes: string[] = [];
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < REQUESTS) {
      const index = next++;
      if (index % 300 === 150) await cluster.rpc(1, 'fault', { fault: 'reset-after', on: 'execute-many' });
      const isRead = index % 2 === 0;
      const [sql, arg] = isRead
        ? ['SELECT n FROM t WHERE k = ?', `k${index % KEYS}`]
        : ['INSERT INTO t VALUES (?, 1)', `lost ${index}`];
      const { json, text } = await cluster.post('/v1/query', { sql, args: [arg] });
      if (isRead) expect(json.rows, text).toEqual([[index % KEYS]]);
      else codes.push(json.error?.code ?? 'done');
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, client));
  const done = codes.filter((code) => code === 'done').length;
  const unknown = codes.filter((code) => code === 'unknown-outcome').length;
  expect(done + unknown).toBe(codes.length);
  // Several by one fault: they had gone together.
  expect(unknown).toBeGreaterThan((2 * REQUESTS) / 300);
  const [[stored]] = (await cluster.rows("SELECT count(*) FROM t WHERE k LIKE 'lost %'")) as [[number]];
  expect(stored).toBeGreaterThanOrEqual(done);
  expect(stored).toBeLessThanOrEqual(codes.length);
});
