import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Running, start, temporaryDirectory } from '../cli/process.ts';
import { TestCluster, TOKEN } from '../cluster/cluster.ts';
import { call } from './edge.ts';
import { until } from './process.ts';

// Worker and objects in workerd, and an agent that has all partitions.

const PARTITIONS = [1, 2];
const ALL = 'SELECT k, v FROM t ORDER BY k';

let cluster: TestCluster;
let directory: ReturnType<typeof temporaryDirectory>;
let agent: Running;
let url: string;

beforeAll(async () => {
  cluster = await TestCluster.start({ partitions: PARTITIONS.length });
  directory = temporaryDirectory();
  await cluster.query('CREATE TABLE t (k TEXT PRIMARY KEY, v INTEGER)');
  for (let i = 0; i < 10; i++) await cluster.query('INSERT INTO t VALUES (?, ?)', [`k${i}`, i]);
  agent = start(['agent', '--join', cluster.url, '--data', join(directory.path, 'a'), '--port', '0'], {
    env: { ATOLL_SECRET: 'secret', ATOLL_TOKEN: TOKEN },
  });
  url = (await agent.seen(/^ready (\S+)$/m))[1] as string;
  await until('the Worker knowing an agent that serves', async () => {
    const { hosts } = await call(cluster.url, '/v1/network');
    return hosts.some(
      ({ kind, status }: { kind: string; status: string }) => kind === 'agent' && status === 'read',
    )
      ? true
      : null;
  });
});

afterAll(async () => {
  agent.child.kill('SIGKILL');
  await agent.ended;
  await cluster.dispose();
  directory.remove();
});

async function eachObject(fault: string): Promise<void> {
  for (const partition of PARTITIONS) await cluster.rpc(partition, 'fault', { fault });
}

const answeredElsewhere = async () => {
  const { text } = await cluster.get('/metrics');
  return Number(/atoll_retries_total\{reason="elsewhere"\} (\d+)/.exec(text)?.[1] ?? 0);
};

test('with objects that cannot be reached, the Worker has reads answered by an agent, but strong ones', async () => {
  const { json } = await cluster.query('INSERT INTO t VALUES (?, ?)', ['last', 99]);
  const rows = await cluster.rows(ALL);
  await until('the last write at the agent', async () => {
    const { rows: there } = await call(url, '/v1/query', { sql: ALL, consistency: 'eventual' });
    return there.length === rows.length ? true : null;
  });
  await eachObject('deaf');
  try {
    const read = (demand: object) => cluster.post('/v1/query', { sql: ALL, ...demand });
    for (const demand of [{ consistency: 'eventual' }, { consistency: 'session', session: json.session }]) {
      const before = await answeredElsewhere();
      const reply = await read(demand);
      expect([reply.status, reply.json.rows]).toEqual([200, rows]);
      expect(await answeredElsewhere()).toBe(before + 1);
    }
    const routed = { sql: 'SELECT v FROM t WHERE k = ?', args: ['k3'], consistency: 'eventual' };
    expect((await cluster.post('/v1/query', routed)).json.rows).toEqual([[3]]);
    expect(await read({})).toMatchObject({ status: 503, json: { error: { code: 'unavailable' } } });
    const write = { sql: "INSERT INTO t VALUES ('lost', 0)", consistency: 'eventual' };
    expect((await cluster.post('/v1/query', write)).status).toBe(503);
  } finally {
    await eachObject('none');
  }
  expect(await cluster.rows(ALL)).toEqual(rows);
});
