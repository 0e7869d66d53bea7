import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { temporaryDirectory } from '../cli/process.ts';
import { call, TestEdge, TOKEN } from './edge.ts';
import { type AgentProcess, startAgent, until } from './process.ts';

const PARTITIONS = 3;
const ALL = 'SELECT tenant, name FROM post JOIN kind USING (code) ORDER BY tenant';

let edge: TestEdge;
let directory: ReturnType<typeof temporaryDirectory>;
let agent: AgentProcess;
let url: string;

beforeAll(async () => {
  edge = await TestEdge.start(PARTITIONS);
  directory = temporaryDirectory();
  await edge.rows('CREATE TABLE kind (code TEXT PRIMARY KEY, name TEXT) REFERENCE');
  await edge.rows('CREATE TABLE post (id INTEGER PRIMARY KEY, tenant TEXT, code TEXT) PARTITION BY (tenant)');
  await edge.rows("INSERT INTO kind VALUES ('x', 'old')");
  for (let i = 0; i < 12; i++) await edge.rows("INSERT INTO post (tenant, code) VALUES (?, 'x')", [`t${i}`]);
  agent = startAgent(edge, join(directory.path, 'a1'));
  url = await agent.ready();
});

afterAll(async () => {
  agent.running.child.kill('SIGKILL');
  await agent.running.ended;
  await edge.close();
  directory.remove();
});

async function answeredBy(who: 'local' | 'leader'): Promise<number> {
  const reply = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } });
  const count = new RegExp(`atoll_agent_messages_total\\{by="${who}"\\} (\\d+)`).exec(
    await reply.text(),
  )?.[1];
  return Number(count);
}

test('an agent reads the past from its own copies once they have passed it, and before that at the leaders', async () => {
  const read = { sql: ALL, asOf: Date.now() };
  // Nothing was written since: only the leaders can tell that nothing of then is still to come.
  const first = await call(url, '/v1/query', read);
  expect(first).toMatchObject({ consistency: 'snapshot', plan: { kind: 'scatter' } });
  expect(first.rows).toHaveLength(12);
  await edge.rows("UPDATE kind SET name = 'new'");
  await edge.rows("DELETE FROM post WHERE tenant = 't3'");
  await until('answered here alone', async () => {
    const [local, leader] = [await answeredBy('local'), await answeredBy('leader')];
    expect((await call(url, '/v1/query', { sql: ALL, asOf: first.asOf })).rows).toEqual(first.rows);
    const here = (await answeredBy('local')) - local;
    return here === PARTITIONS + 1 && (await answeredBy('leader')) === leader ? true : null;
  });
  const now = await call(url, '/v1/query', { sql: ALL });
  expect(now.rows).toHaveLength(11);
  expect(now.rows[0][1]).toBe('new');
});

test('without the leaders, an agent reads the past that it has, and no other', async () => {
  const { asOf, rows } = await call(edge.url, '/v1/query', { sql: ALL, asOf: Date.now() });
  await until('the agent has passed the moment', async () => {
    const leader = await answeredBy('leader');
    await call(url, '/v1/query', { sql: ALL, asOf });
    return (await answeredBy('leader')) === leader ? true : null;
  });
  edge.cut();
  try {
    expect((await call(url, '/v1/query', { sql: ALL, asOf })).rows).toEqual(rows);
    const reply = await fetch(`${url}/v1/query`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify({ sql: ALL, asOf: Date.now() }),
    });
    expect(reply.status).toBe(503);
  } finally {
    edge.mend();
  }
});
