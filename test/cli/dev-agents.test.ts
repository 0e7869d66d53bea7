import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { restartPause, startLocalAgents } from '../../src/cli/cluster/local-agents.ts';
import { ROOT, type Running, run, STAND_IN, start, temporaryDirectory } from './process.ts';

/** The processes that `atoll dev --agents N` starts; what an agent does itself is the business of other tests. */
let directory: ReturnType<typeof temporaryDirectory>;
let started: Running[] = [];

beforeEach(() => {
  directory = temporaryDirectory();
});

afterEach(async () => {
  for (const { child } of started) child.kill('SIGTERM');
  await Promise.all(started.map(({ ended }) => ended));
  started = [];
  directory.remove();
});

const AGENT = join(ROOT, 'test', 'cli', 'stand-in', 'agent.ts');
const data = () => join(directory.path, 'data');
const args = (...more: string[]) => ['dev', '--config', STAND_IN, '--data', data(), ...more];
const startsOf = (agent: number) =>
  readFileSync(join(data(), 'agents', String(agent), 'starts'), 'utf8')
    .trim()
    .split('\n');

async function dev(env: Record<string, string> = {}, agents = 2) {
  const options = ['--port', '0', '--agents', String(agents), '--agent-program', process.execPath, AGENT];
  const running = start(args(...options), { cwd: directory.path, env });
  started.push(running);
  const [, ...urls] = await running.seen(
    new RegExp(`${'^agent (http:.*)\\n[^]*'.repeat(agents)}^ready http:`, 'm'),
  );
  return { ...running, urls };
}

async function told(url: string | undefined): Promise<Record<string, string>> {
  return (await fetch(`${url}`)).json() as Promise<Record<string, string>>;
}

test('each agent is a process with a directory of its own, and has what it takes to join', async () => {
  const { child, ended, urls, seen } = await dev();
  const [, token] = await seen(/^token {2}(\S+)$/m);
  const [, secret] = await seen(/^secret (\S+)$/m);
  const [, url] = await seen(/^ready (\S+)$/m);
  const agents = await Promise.all(urls.map(told));
  for (const agent of agents) expect(agent).toMatchObject({ join: url, token, secret });
  expect(agents.map(({ name }) => name).sort()).toEqual(['a1', 'a2']);
  const pids = agents.map(({ pid }) => String(pid));
  expect(new Set([...startsOf(1), ...startsOf(2)])).toEqual(new Set(pids));
  expect(new Set(pids).size).toBe(2);

  child.kill('SIGINT');
  expect(await ended).toMatchObject({ code: 0, signal: null });
  for (const agent of [1, 2]) expect(startsOf(agent)).toEqual([expect.stringMatching(/^\d+$/), 'stopped']);
});

test("ATOLL_SECRET is the cluster's secret, and is not written down", async () => {
  const { urls, seen } = await dev({ ATOLL_SECRET: 'from-outside' }, 1);
  expect(await told(urls[0])).toMatchObject({ secret: 'from-outside' });
  await seen(/^secret from ATOLL_SECRET$/m);
  expect(existsSync(join(data(), 'secret'))).toBe(false);
});

test('an agent that ends unasked is started again, at the same address; the others go on', async () => {
  const { urls } = await dev();
  const before = await Promise.all(urls.map(told));
  await expect(fetch(`${urls[0]}/end`)).rejects.toThrow();
  await expect.poll(() => told(urls[0]).catch(() => 'away')).not.toBe('away');
  const after = await Promise.all(urls.map(told));
  expect(after[0]?.pid).not.toBe(before[0]?.pid);
  expect(after[1]?.pid).toBe(before[1]?.pid);
});

test('an agent that does not stop when it is told is killed', async () => {
  const agents = startLocalAgents({
    count: 1,
    firstPort: 0,
    join: 'http://127.0.0.1:1',
    directory: directory.path,
    token: '',
    secret: '',
    log: () => undefined,
    drainMs: 50,
    program: [process.execPath, AGENT],
  });
  const url = (await agents.serving[0]) ?? '';
  await fetch(`${url}/deaf`);
  await agents.stop();
  await expect(fetch(url)).rejects.toThrow();
});

test('when `atoll dev` is killed outright, its agents stop as well', async () => {
  const { child, ended, urls } = await dev({}, 1);
  child.kill('SIGKILL');
  await ended;
  await expect
    .poll(() =>
      fetch(`${urls[0]}`).then(
        () => 'serves',
        () => 'gone',
      ),
    )
    .toBe('gone');
});

test('an agent port that is taken is refused before anything starts', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const refused = await run(args('--port', String(port - 1), '--agents', '1'));
  server.close();
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain(`port ${port} is in use`);
  expect(existsSync(data())).toBe(false);
});

test('the pause before a start grows with ends in a row, to a bound', () => {
  expect([1, 2, 3, 6, 7, 60].map(restartPause)).toEqual([250, 500, 1_000, 8_000, 10_000, 10_000]);
});
