import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { HostsView, HostView } from '../../src/protocol/host-view.ts';
import { type Running, run, start, temporaryDirectory } from './process.ts';

/** `atoll dev --agents 2`, as a user has it. */
let directory: ReturnType<typeof temporaryDirectory>;
let dev: Running;
let url = '';
let agentUrl = '';

const ROWS = 200;

beforeAll(async () => {
  directory = temporaryDirectory();
  dev = start(['dev', '--port', '0', '--agents', '2'], { cwd: directory.path });
  url = (await dev.seen(/^ready (http:\S+)$/m))[1] ?? '';
  agentUrl = (await dev.seen(/^agent (http:\S+)$/m))[1] ?? '';
  await atoll('sql', '-e', 'CREATE TABLE notes (author TEXT, body TEXT) PARTITION BY (author)');
  const numbers = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS / 4}) SELECT i FROM n`;
  for (const author of ['ann', 'bob', 'cyd', 'dan']) {
    await atoll('sql', '-e', `INSERT INTO notes SELECT '${author}', 'note ' || i FROM (${numbers})`);
  }
});

afterAll(async () => {
  dev.child.kill('SIGTERM');
  const ended = await dev.ended;
  directory.remove();
  expect(ended).toMatchObject({ code: 0, signal: null });
});

const atoll = (...args: string[]) => run(args, { cwd: directory.path, env: { ATOLL_URL: url } });

async function agents(): Promise<HostView[]> {
  const { stdout } = await atoll('hosts', 'list', '--json');
  return (JSON.parse(stdout) as HostsView).hosts.filter(({ kind }) => kind === 'agent');
}

const statuses = async () => (await agents()).map(({ name, status }) => `${name} ${status}`).sort();
const inSync = async () =>
  (await agents()).every(
    ({ replicas }) => replicas.length === 5 && replicas.every((each) => each.state === 'in-sync'),
  );

/** Rows in the files of an agent, read past Atoll. */
function rowsIn(agent: number): number {
  const files = join(directory.path, '.atoll', 'agents', String(agent), 'main');
  return readdirSync(files)
    .filter((name) => /^[1-9]\.sqlite$/.test(name))
    .map((name) => {
      const database = new DatabaseSync(join(files, name), { readOnly: true });
      const { count } = database.prepare('SELECT count(*) AS count FROM notes').get() as { count: number };
      database.close();
      return count;
    })
    .reduce((sum, count) => sum + count, 0);
}

const SOON = { timeout: 30_000, interval: 200 };

test('agents propose themselves, are voted in, catch up and are read from', async () => {
  await expect.poll(statuses, SOON).toEqual(['a1 read', 'a2 read']);
  await expect.poll(inSync, SOON).toBe(true);
  // A commit that an agent has yet to acknowledge is shown as its lag.
  const status = async () => (await atoll('status')).stdout;
  await expect.poll(status, SOON).toMatch(/ a1 +│ learner of 5 │ read +│ none/);
  await expect.poll(status, SOON).toMatch(/1 │ write +│ edge +│ a[12] a[12] /);
});

test("an agent's port answers the same API, and its files are SQLite databases with the rows", async () => {
  const count = ['sql', '--csv', '-e', 'SELECT count(*) AS n FROM notes'];
  expect((await atoll(...count, '--url', agentUrl)).stdout).toBe(`n\r\n${ROWS}\r\n`);
  await expect.poll(() => [rowsIn(1), rowsIn(2)], SOON).toEqual([ROWS, ROWS]);
  const write = ['sql', '-e', "INSERT INTO notes VALUES ('eve', 'by an agent')", '--url', agentUrl];
  expect(await atoll(...write)).toMatchObject({ code: 0, stderr: '' });
  expect((await atoll(...count)).stdout).toBe(`n\r\n${ROWS + 1}\r\n`);
});

test('an agent that is killed is started again and catches up with what was written meanwhile', async () => {
  const running = join(directory.path, '.atoll', 'agents', '1', 'running');
  process.kill(JSON.parse(readFileSync(running, 'utf8')).pid, 'SIGKILL');
  await atoll('sql', '-e', "INSERT INTO notes VALUES ('fay', 'while one was away')");
  await expect.poll(() => [rowsIn(1), rowsIn(2)], SOON).toEqual([ROWS + 2, ROWS + 2]);
});

test('an agent is drained, and removed', async () => {
  const a2 = async () => (await agents()).find(({ name }) => name === 'a2');
  expect((await atoll('hosts', 'drain', 'a2')).stdout).toContain('draining');
  await expect.poll(async () => (await a2())?.replicas.map(({ partition }) => partition), SOON).toEqual([0]);
  expect((await atoll('hosts', 'remove', 'a2')).stdout).toContain('a2 is removed');
});
