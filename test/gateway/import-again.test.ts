import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createClient } from '../../src/client/index.ts';
import { TestCluster, TOKEN } from '../cluster/cluster.ts';
import { AS_NDJSON, type Body, countOf, importInto, PEOPLE, people } from './loading.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start();
  await cluster.query(PEOPLE);
});

afterAll(() => cluster.dispose());

const load = (body: Body, query = '') => importInto(cluster, 'people', body, query);
const one = async (sql: string) => (await cluster.rows(sql))[0];

describe('exactly once', () => {
  test('a rerun under the same id adds nothing; under another it does', async () => {
    const body = people('k', 10_000);
    expect((await load(body, '?importId=k')).json).toMatchObject({ rows: 10_000, skipped: 0 });
    expect((await load(body, '?importId=k')).json).toMatchObject({ rows: 0, skipped: 10_000 });
    expect((await load(body, '?importId=k2')).json).toMatchObject({ rows: 10_000, skipped: 0 });
  });

  test('the same import twice at the same time', async () => {
    const body = people('l', 20_000);
    const replies = await Promise.all([0, 1, 2].map(() => load(body, '?importId=l')));
    expect(replies.reduce((sum, { json }) => sum + json.rows, 0)).toBe(20_000);
    expect(await countOf(cluster, 'l')).toBe(20_000);
  });

  test('a client that hangs up, then runs again', async () => {
    const text = new TextEncoder().encode(people('m', 60_000));
    const hangUp = new AbortController();
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        controller.enqueue(text.slice(0, 1_500_000));
        await new Promise((resolve) => setTimeout(resolve, 300));
        hangUp.abort();
      },
    });
    const url = `${cluster.url}/v1/import/people?importId=m`;
    const sent = fetch(url, {
      method: 'POST',
      headers: AS_NDJSON,
      body,
      duplex: 'half',
      signal: hangUp.signal,
    } as RequestInit);
    await expect(sent).rejects.toThrow();
    const again = await load(text, '?importId=m');
    expect(again.json.skipped).toBeGreaterThan(0);
    expect(await countOf(cluster, 'm')).toBe(60_000);
  });

  test.each(['reset-before', 'reset-after'])(
    'objects that lose a chunk, or its answer: %s',
    async (fault) => {
      await cluster.query("DELETE FROM people WHERE town LIKE 'n%'", undefined, { atomicity: 'partition' });
      const body = people('n', 30_000);
      for (const partition of [1, 2, 3, 4]) await cluster.rpc(partition, 'fault', { fault });
      const running = load(body, `?importId=n-${fault}`);
      expect((await running).json).toMatchObject({ rows: expect.any(Number) });
      expect(await countOf(cluster, 'n')).toBe(30_000);
    },
  );

  test('kill -9 of workerd in the middle of the client’s import, then the same again', async () => {
    const client = createClient({ url: cluster.url, token: TOKEN });
    const text = people('o', 120_000);
    const source = () => [text.slice(0, 3_000_000), text.slice(3_000_000)];
    let confirmed = 0;
    const running = client.import('people', source(), {
      importId: 'o',
      onProgress: ({ rows }) => {
        if (confirmed === 0) void cluster.kill();
        confirmed = rows;
      },
    });
    await expect(running).rejects.toMatchObject({ outcome: 'unknown' });
    expect(confirmed).toBeGreaterThan(0);
    await expect
      .poll(
        () =>
          cluster.get('/healthz').then(
            (reply) => reply.status,
            () => 0,
          ),
        { timeout: 10_000 },
      )
      .toBe(200);
    const again = await createClient({ url: cluster.url, token: TOKEN }).import('people', source(), {
      importId: 'o',
    });
    expect(again.rows + again.skipped).toBe(120_000);
    expect(again.skipped).toBeGreaterThanOrEqual(confirmed);
    expect(await one("SELECT count(*), count(DISTINCT name) FROM people WHERE town LIKE 'o%'")).toEqual([
      120_000, 120_000,
    ]);
  });
});

test('the body is read no faster than rows go in', async () => {
  for (const partition of [1, 2, 3, 4]) await cluster.rpc(partition, 'fault', { fault: 'hang' });
  const piece = new TextEncoder().encode(people('p', 2_000));
  const offered = 200 * 1024 * 1024;
  let pulled = 0;
  const stop = new AbortController();
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (pulled > offered) controller.close();
      else controller.enqueue(piece);
      pulled += piece.length;
    },
  });
  const init = {
    method: 'POST',
    headers: AS_NDJSON,
    body,
    duplex: 'half',
    signal: stop.signal,
  } as RequestInit;
  const sent = fetch(`${cluster.url}/v1/import/people`, init).catch((error: Error) => error.name);
  let before = -1;
  for (; before < pulled; await new Promise((resolve) => setTimeout(resolve, 500))) before = pulled;
  expect(pulled).toBeLessThan(16 * 1024 * 1024);
  stop.abort();
  // The first partition to hang has stopped the rest before all were reached.
  for (const partition of [1, 2, 3, 4]) await cluster.rpc(partition, 'fault', { fault: null });
  expect(await sent).toBe('AbortError');
  expect((await load(people('r', 1_000))).json).toMatchObject({ rows: 1_000 });
}, 30_000);
