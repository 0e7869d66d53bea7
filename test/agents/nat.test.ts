import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Relay } from '../../src/protocol/hosts.ts';
import { temporaryDirectory } from '../cli/process.ts';
import { until } from '../node-agent/process.ts';
import { ask, get, type Json, metrics, rows } from './api.ts';
import { Cable } from './cable.ts';
import { AgentProcess, EdgeProcess, hostKeyOf } from './processes.ts';
import { newHost, Stranger } from './stranger.ts';

const ALL = 'SELECT id, tenant, body FROM post ORDER BY id';
const directory = temporaryDirectory();
let edge: EdgeProcess;
/** The way from the agent to its seed, which changes its address. */
let cable: Cable;
/** Where the seed will be after its restart. */
let later: Cable;
/** Nobody is told where it listens: its seed is no loopback address, as far as it can see. */
let hidden: AgentProcess;
let url: string;

beforeAll(async () => {
  edge = await EdgeProcess.start(join(directory.path, 'edge'), 2, 4);
  await rows(
    edge.url,
    'CREATE TABLE post (id INTEGER PRIMARY KEY, tenant TEXT, body TEXT) PARTITION BY (tenant)',
  );
  await write(20);
  cable = await Cable.start(edge.port);
  later = await Cable.start(edge.port);
  later.set('cut');
  const seeds = [cable, later].map(({ port }) => `http://0.0.0.0:${port}`);
  hidden = new AgentProcess({ name: 'hidden', join: seeds, data: join(directory.path, 'hidden') });
  url = await hidden.start();
  await hidden.ready();
});

afterAll(async () => {
  await hidden?.end('SIGKILL');
  await edge?.stop();
  await cable?.close();
  await later?.close();
  directory.remove();
});

let written = 0;

async function write(count: number): Promise<void> {
  for (let i = 0; i < count; i++)
    await rows(edge.url, 'INSERT INTO post (tenant, body) VALUES (?, ?)', [
      `tenant ${written % 5}`,
      `body ${written++}`,
    ]);
}

async function view(): Promise<Json> {
  const { hosts } = await get(edge.url, '/v1/hosts');
  return hosts.find(({ name }: Json) => name === 'hidden');
}

/** Its replicas answer with what the leaders have. */
function followed(): Promise<boolean> {
  return until('it has what the leaders have', async () => {
    const expected = await rows(edge.url, ALL);
    expect(await rows(url, ALL, [], { consistency: 'eventual' })).toEqual(expected);
    return true;
  });
}

/** `atoll_agent_messages_total{by="…"}`. */
async function answeredHere(): Promise<number> {
  return Number(/^atoll_agent_messages_total\{by="local"\} (\d+)$/m.exec(await metrics(url))?.[1]);
}

test('a host without an address joins, and is read from', async () => {
  expect(
    await until('it is read from', async () => ((await view()).status === 'read' ? await view() : null)),
  ).toMatchObject({
    addresses: [],
    status: 'read',
  });
  await followed();
  const before = await answeredHere();
  expect(await rows(url, ALL, [], { consistency: 'eventual' })).toHaveLength(written);
  expect(await answeredHere()).toBeGreaterThan(before);
});

test('it is reached through the host that holds its link', async () => {
  // Another member, by hand: only members may ask for that.
  const other = await newHost();
  const { link } = await (await Stranger.at(edge.url)).shakeHands(other);
  const { host, publicKey } = other.key;
  const space = { freeBytes: 1e10, totalBytes: 2e10, cpuRating: 100 };
  const join = { host, publicKey, name: 'other', addresses: [], database: 'main', history: null, ...space };
  await until('it is a member', async () => {
    const { status } = (await link.call('join', { ...join, time: Date.now() })).head as Json;
    return status === 'inactive' || status === 'read' ? true : null;
  });
  const { host: to } = await hostKeyOf(hidden.data);
  const relay = { to, type: 'probe', head: { time: Date.now() } } satisfies Relay;
  expect((await link.call('relay', relay)).head).toMatchObject({ status: 'read', time: expect.any(Number) });
  const { partitions, schemaVersion } = await get(edge.url, '/v1/network');
  const [found]: Json[] = partitions.filter(({ partition }: Json) => partition === 1);
  const statements = [{ sql: 'SELECT count(*) FROM post' }];
  const demands = { epoch: found.epoch, schema: schemaVersion, system: found.systemIndex };
  const data = Buffer.from(JSON.stringify({ ...demands, shape: 'query', read: true, statements }));
  const head = { partition: 1, freshness: { consistency: 'eventual' } };
  // It answers members alone, and hears of a new one with the next network information.
  const read = await until('it knows the other', () =>
    link.call('relay', { ...relay, type: 'execute', head }, { data }),
  );
  expect(read.head).toEqual({ status: 200 });
  expect(JSON.parse(Buffer.from(read.data).toString()).rows[0][0]).toBeGreaterThan(0);
  await expect(link.call('relay', { ...relay, to: '0'.repeat(16) })).rejects.toMatchObject({
    code: 'unavailable',
  });
  link.close(1000, 'done');
  await ask(edge.url, `/v1/hosts/${host}/remove`, {});
});

test('it survives a restart of its seed at another address', async () => {
  await cable.close();
  expect(edge.killWorkerd()).toBe(true);
  // Cut off from everybody, it answers what it has.
  expect(await rows(url, ALL, [], { consistency: 'eventual' })).toHaveLength(written);
  later.set('open');
  await until('workerd is back', async () => (await get(edge.url, '/healthz')).ok);
  await write(20);
  await followed();
  // As an entry point, too.
  await until('its links to all leaders are back', () =>
    rows(url, "INSERT INTO post (tenant, body) VALUES ('hidden', 'by it')"),
  );
  written++;
  await followed();
  expect(
    await until('it is read from', async () => ((await view()).status === 'read' ? await view() : null)),
  ).toMatchObject({
    addresses: [],
  });
  expect(hidden.log).not.toMatch(/"snapshot-begun".*"snapshot-begun".*"snapshot-begun".*"snapshot-begun"/s);
});
