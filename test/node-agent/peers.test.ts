import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cable } from '../agents/cable.ts';
import { temporaryDirectory } from '../cli/process.ts';
import { call, TestEdge, TOKEN } from './edge.ts';
import { type AgentProcess, events, startAgent, until } from './process.ts';

// Two agents, each with replicas that the other lacks, and each on a cable to the edge of its own. The second one has no
// address: the first one calls it over the link that it has dialled.

/** So many that each agent gets some, whatever their ids. */
const PARTITIONS = 16;
const ALL = 'SELECT id, tenant, body FROM post ORDER BY id';
const INSERT = 'INSERT INTO post (tenant, body) VALUES (?, ?)';

let edge: TestEdge;
let directory: ReturnType<typeof temporaryDirectory>;
const cables: Cable[] = [];
/** By which they reach each other. */
let between: Cable | null = null;
const agents: AgentProcess[] = [];
const urls: string[] = [];

beforeAll(async () => {
  edge = await TestEdge.start(PARTITIONS, 1);
  directory = temporaryDirectory();
  await edge.rows('CREATE TABLE post (id INTEGER PRIMARY KEY, tenant TEXT, body TEXT) PARTITION BY (tenant)');
  for (let i = 0; i < 40; i++) await edge.rows(INSERT, [`tenant ${i}`, `body ${i}`]);
  for (const name of ['a', 'b']) {
    const cable = await Cable.start(Number(new URL(edge.url).port));
    cables.push(cable);
    const more = ['--join', cable.url, '--name', name];
    if (name === 'a') {
      const port = await freePort();
      between = await Cable.start(port);
      more.push('--port', `${port}`, '--address', between.url);
    } else {
      // By this name it cannot know that the cluster is on its machine, and so gives no address there.
      more[1] = cable.url.replace('127.0.0.1', '0.0.0.0');
    }
    const agent = startAgent(edge, join(directory.path, name), more);
    agents.push(agent);
    urls.push(await agent.ready());
  }
  await until('each partition at one agent, and some at each', async () => {
    const held = await Promise.all(urls.map((url) => metric(url, /^atoll_agent_replicas (\d+)$/m)));
    const inSync = (await holders()).length === PARTITIONS;
    // Both have the system partition besides.
    return inSync && held.every((count) => count > 1) && held.reduce((a, b) => a + b) === PARTITIONS + 2
      ? true
      : null;
  });
});

afterAll(async () => {
  for (const { running } of agents) {
    running.child.kill('SIGKILL');
    await running.ended;
  }
  for (const cable of [...cables, between]) await cable?.close();
  await edge.close();
  directory.remove();
});

/** For a host whose address others must know before it listens. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Replicas of users' partitions that agents have in sync. */
async function holders(): Promise<{ name: string; partition: number }[]> {
  const { hosts } = await call(edge.url, '/v1/hosts');
  type Host = { name: string; kind: string; replicas: { partition: number; state: string }[] };
  return hosts.flatMap(({ name, kind, replicas }: Host) =>
    replicas
      .filter(({ partition, state }) => kind === 'agent' && partition > 0 && state === 'in-sync')
      .map(({ partition }) => ({ name, partition })),
  );
}

async function metric(url: string, pattern: RegExp): Promise<number> {
  const reply = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } });
  return Number(pattern.exec(await reply.text())?.[1]);
}

const byPeer = (url: string) => metric(url, /atoll_agent_messages_total\{by="peer"\} (\d+)/);
const networkOf = (url: string) => call(url, '/v1/network?wake=no');

describe('two agents', () => {
  test('know how far they are from each other', async () => {
    await until('a measured distance between them', async () => {
      const { hosts } = await call(edge.url, '/v1/hosts');
      const [one, other] = hosts.filter(({ kind }: { kind: string }) => kind === 'agent');
      expect([one.addresses.length, other.addresses.length].sort()).toEqual([0, 1]);
      const ms = one.latencies[other.host];
      return ms > 0 && other.latencies[one.host] === ms && one.direction !== null ? true : null;
    });
  });

  test('cut off from the edge answer from each other what they lack, and refuse what must be strong', async () => {
    const rows = await edge.rows(ALL);
    const { session } = await call(edge.url, '/v1/query', { sql: INSERT, args: ['tenant 0', 'last'] });
    const after = await until('the last write at both', async () => {
      const seen = await Promise.all(
        urls.map(async (url) => (await call(url, '/v1/query', { sql: ALL, consistency: 'eventual' })).rows),
      );
      return seen.every((each) => each.length === rows.length + 1) ? seen[0] : null;
    });
    for (const cable of cables) cable.set('cut');
    try {
      for (const url of urls) {
        const before = await byPeer(url);
        const read = (more: object) => call(url, '/v1/query', { sql: ALL, timeoutMs: 20_000, ...more });
        expect((await read({ consistency: 'eventual' })).rows).toEqual(after);
        expect((await read({ consistency: 'session', session })).rows).toEqual(after);
        expect(await byPeer(url)).toBeGreaterThan(before);
        await expect(read({ timeoutMs: 3_000 })).rejects.toThrow(/unavailable|timeout/);
        for (let i = 0; i < 40; i += 7) {
          const one = { sql: 'SELECT body FROM post WHERE tenant = ?', args: [`tenant ${i}`] };
          const { rows: found } = await call(url, '/v1/query', { ...one, consistency: 'eventual' });
          expect(found[0]).toEqual([`body ${i}`]);
        }
      }
    } finally {
      for (const cable of cables) cable.set('open');
    }
  });

  test('that one cannot ask the edge, it learns the newest network from the other', async () => {
    const [a, b] = urls as [string, string];
    await until('both linked', async () =>
      (await metric(b, /atoll_agent_link_open\{partition="0"\} (\d)/)) === 1 ? true : null,
    );
    cables[1]?.set('cut');
    try {
      const { schemaVersion } = await networkOf(b);
      await edge.rows('CREATE TABLE later (k TEXT PRIMARY KEY, v TEXT)');
      await edge.rows("INSERT INTO later VALUES ('x', 'y')");
      const learnt = await until('the newest network', async () => {
        const [mine, theirs] = [await networkOf(b), await networkOf(a)];
        return mine.schemaVersion > schemaVersion && mine.version === theirs.version ? mine : null;
      });
      expect(learnt.schemaVersion).toBe((await call(edge.url, '/v1/network')).schemaVersion);
    } finally {
      cables[1]?.set('open');
    }
  });

  test('that one does not hear from the other any more asks the edge, and not first the other again', async () => {
    const [a] = urls as [string];
    // Whatever else there is to tell has been told: from here on the way between them is asked for by reads alone.
    const read = async () => (await call(a, '/v1/query', { sql: ALL, consistency: 'eventual' })).rows;
    await until('a way to the edge', async () =>
      (await metric(a, /atoll_agent_link_open\{partition="0"\} (\d)/)) === 1 ? true : null,
    );
    const rows = await edge.rows(ALL);
    between?.set('frozen');
    try {
      expect(await read()).toEqual(rows);
      const asked = await byPeer(a);
      expect(await read()).toEqual(rows);
      expect(await byPeer(a)).toBe(asked);
    } finally {
      between?.set('open');
    }
  });

  test('never take what has another text under the same version', async () => {
    for (const { running } of agents.splice(0)) {
      running.child.kill('SIGTERM');
      const { stderr, code } = await running.ended;
      expect(code).toBe(0);
      const all = events(stderr);
      expect(all.filter(({ event }) => /^gossip-(conflict|defect)/.test(event))).toEqual([]);
    }
  });
});
