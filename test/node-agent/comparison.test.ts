import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { temporaryDirectory } from '../cli/process.ts';
import { call, TestEdge, TOKEN } from './edge.ts';
import { type AgentProcess, events, rowsInFiles, startAgent, until } from './process.ts';

const PARTITIONS = 2;
const ALL = 'SELECT id, tenant, body FROM post ORDER BY id';

let edge: TestEdge;
let directory: ReturnType<typeof temporaryDirectory>;
let data: string;
let agent: AgentProcess;
let url: string;
/** What the agent has written to standard error so far. */
let log: string;

beforeAll(async () => {
  edge = await TestEdge.start(PARTITIONS);
  await edge.rows('CREATE TABLE post (id INTEGER PRIMARY KEY, tenant TEXT, body TEXT) PARTITION BY (tenant)');
  for (let i = 0; i < 60; i++) await write(i);
});
afterAll(() => edge.close());
beforeEach(async () => {
  directory = temporaryDirectory();
  data = join(directory.path, 'a1');
  agent = startAgent(edge, data, [], { env: { ATOLL_COMPARE_SECONDS: '0.2' } });
  log = '';
  agent.running.child.stderr?.on('data', (text: string) => {
    log += text;
  });
  url = await agent.ready();
});
afterEach(async () => {
  agent.running.child.kill('SIGKILL');
  await agent.running.ended;
  directory.remove();
  await edge.removeAgents();
});

async function write(index: number): Promise<void> {
  const args = [`tenant ${index % 7}`, `body ${index}`];
  await edge.rows('INSERT INTO post (tenant, body) VALUES (?, ?)', args);
}

async function count(result: string): Promise<number> {
  const reply = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } });
  const found = new RegExp(`^atoll_agent_comparisons_total\\{result="${result}"\\} (\\d+)$`, 'm').exec(
    await reply.text(),
  );
  return Number(found?.[1]);
}

/** As of now, and three rounds of all replicas later, nothing but equal ones. */
async function areEqual(): Promise<void> {
  const [equal, different] = [await count('equal'), await count('different')];
  const enough = equal + 3 * (PARTITIONS + 1);
  await until('comparisons', async () => ((await count('equal')) >= enough ? true : null));
  expect(await count('different')).toBe(different);
}

/** Past Atoll and its triggers, as a disk would: nothing of it is in the log. */
function damage(partition: number, sql: string): void {
  const database = new DatabaseSync(join(data, 'main', `${partition}.sqlite`), { timeout: 5_000 });
  const triggers = database.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").all();
  database.exec('BEGIN IMMEDIATE');
  for (const { name } of triggers) database.exec(`DROP TRIGGER "${name}"`);
  database.exec(sql);
  for (const trigger of triggers) database.exec(String(trigger.sql));
  database.exec('COMMIT');
  database.close();
}

function happened(event: string): { [field: string]: unknown }[] {
  return events(log.slice(0, log.lastIndexOf('\n') + 1)).filter((each) => each.event === event);
}

test('equal replicas are found equal while writes and schema changes go on', async () => {
  let isDone = false;
  const writing = (async () => {
    for (let i = 0; !isDone; i++) {
      await write(i);
      if (i % 40 === 20) await edge.rows(`ALTER TABLE post ADD COLUMN extra${i} INTEGER DEFAULT ${i}`);
    }
  })();
  try {
    await areEqual();
  } finally {
    isDone = true;
    await writing;
  }
  expect(await count('different')).toBe(0);
  expect(happened('replica-differs')).toEqual([]);
});

test.each([
  ['changed', "UPDATE post SET body = 'rotten' WHERE id = (SELECT max(id) FROM post)"],
  ['lost', 'DELETE FROM post WHERE id = (SELECT min(id) FROM post)'],
  ['added', "INSERT INTO post (id, tenant, body) SELECT max(id) + 1, tenant, 'rotten' FROM post"],
])('a row that was %s in the file is found, said, and the replica made anew', async (_, sql) => {
  const rows = await edge.rows(ALL);
  damage(1, sql);
  await until('the difference is found', () => (happened('replica-differs').length > 0 ? true : null));
  expect(happened('replica-differs')).toEqual([
    expect.objectContaining({ level: 'error', partition: 1, tables: ['post'], ranges: 1 }),
  ]);
  // From here on nobody is told what was in the file, wherever the answer comes from.
  const read = { sql: ALL, consistency: 'eventual' };
  expect((await call(url, '/v1/query', read)).rows).toEqual(rows);
  await until('the replica is made anew', () => {
    expect(rowsInFiles(data, PARTITIONS, ALL)).toEqual(rows);
    return true;
  });
  await areEqual();
  expect((await call(url, '/v1/query', read)).rows).toEqual(rows);
  expect(await edge.rows(ALL)).toEqual(rows);
  expect(
    readdirSync(join(data, 'main')).filter((name) => /^1\.sqlite\.corrupt-\d+T\d+Z$/.test(name)),
  ).toHaveLength(1);
  const told = "SELECT reason FROM atoll_host_events WHERE event = 'differed' ORDER BY at DESC LIMIT 1";
  await until('the system partition knows', async () => {
    const host = happened('started')[0]?.host;
    expect(
      await edge.rows("SELECT host FROM atoll_host_events WHERE event = 'differed' AND host = ?", [host]),
    ).toEqual([[host]]);
    expect(await edge.rows(told)).toEqual([[expect.stringMatching(/partition 1 .*: post$/)]]);
    return true;
  });
});
