import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { temporaryDirectory } from '../cli/process.ts';
import { TestEdge, TOKEN } from './edge.ts';
import { type AgentProcess, startAgent, until } from './process.ts';

let edge: TestEdge;
let directory: ReturnType<typeof temporaryDirectory>;
let agent: AgentProcess;
let url: string;

beforeAll(async () => {
  directory = temporaryDirectory();
  edge = await TestEdge.start(2);
  await edge.rows('CREATE TABLE country (code TEXT PRIMARY KEY) REFERENCE');
  await edge.rows('CREATE TABLE post (id INTEGER PRIMARY KEY, tenant TEXT) PARTITION BY (tenant)');
  await edge.rows(`INSERT INTO country VALUES ('DE')`);
  for (let i = 0; i < 20; i++) await edge.rows('INSERT INTO post (tenant) VALUES (?)', [`tenant ${i}`]);
  agent = startAgent(edge, join(directory.path, 'a'));
  url = await agent.ready();
});
afterAll(async () => {
  agent.running.child.kill('SIGKILL');
  await agent.running.ended;
  await edge.close();
  directory.remove();
});

async function exported(): Promise<string> {
  const reply = await fetch(`${url}/v1/export`, { headers: { authorization: `Bearer ${TOKEN}` } });
  expect(reply.status).toBe(200);
  return reply.text();
}

test('an export without a network says up to which commit each partition goes', async () => {
  const whole = await exported();
  expect(whole).not.toContain('out of reach');
  edge.cut();
  const dump = await until('the agent knows that it is cut off', async () => {
    const text = await exported();
    return text.includes('out of reach') ? text : null;
  });
  for (const partition of [0, 1, 2]) {
    const file = new DatabaseSync(join(directory.path, 'a', 'main', `${partition}.sqlite`), {
      readOnly: true,
    });
    const head = file.prepare('SELECT last_commit_id AS id FROM _atoll_head').get() as { id: number };
    file.close();
    expect(dump).toMatch(new RegExp(`^-- Partition ${partition}: up to commit ${head.id}, 20.*Z\\.$`, 'm'));
  }
  const copy = new DatabaseSync(':memory:');
  copy.exec(dump);
  expect(copy.prepare('SELECT count(*) AS n FROM post').get()).toEqual({ n: 20 });
  expect(copy.prepare('SELECT code FROM country').get()).toEqual({ code: 'DE' });
  edge.mend();
});
