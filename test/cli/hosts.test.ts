import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { HostsView, HostView } from '../../src/protocol/host-view.ts';
import { run } from './process.ts';

const EDGE: HostView = {
  host: 'edge',
  name: null,
  kind: 'edge',
  status: 'write',
  draining: false,
  statusSince: null,
  reason: null,
  addresses: [],
  seenAt: null,
  identifiers: null,
  replicas: [1, 2].map((partition) => ({
    partition,
    role: 'leader',
    state: null,
    matched: 9,
    lagEntries: null,
    lagMs: null,
  })),
  latencies: {},
  distanceMs: null,
  direction: null,
  freeBytes: null,
  cpuRating: null,
  unreliability: null,
  votes: {},
  responsibility: [],
};
const AGENT: HostView = {
  ...EDGE,
  host: 'abc123def456ghjk',
  name: 'a1',
  kind: 'agent',
  status: 'read',
  reason: 'by vote',
  addresses: ['http://127.0.0.1:8788'],
  seenAt: '2026-11-20T12:00:00.000Z',
  replicas: [
    { partition: 1, role: 'learner', state: 'in-sync', matched: 9, lagEntries: 0, lagMs: 0 },
    { partition: 2, role: 'learner', state: 'behind', matched: 6, lagEntries: 3, lagMs: 12 },
  ],
  latencies: { edge: 0.42 },
  distanceMs: 0.4,
  direction: Math.PI / 2,
  freeBytes: 12_300_000_000,
  cpuRating: 97,
  unreliability: 0.5,
  responsibility: [{ partition: 2, confirmed: 6, awaitingPurge: 17 }],
};
const ASKING: HostView = {
  ...EDGE,
  host: 'abd999def456ghjk',
  kind: 'agent',
  status: 'proposal',
  replicas: [],
  votes: { edge: true, abc123def456ghjk: false },
};
const LOADING: HostView = {
  ...AGENT,
  host: 'efg123def456ghjk',
  name: 'a3',
  status: 'inactive',
  replicas: AGENT.replicas.map((replica) => ({ ...replica, state: 'loading' })),
};
const GONE: HostView = { ...EDGE, host: 'gone55def456ghjk', kind: 'agent', status: 'removed', replicas: [] };

const NETWORK = {
  database: 'main',
  version: 41,
  schemaVersion: 3,
  partitions: [1, 2].map((partition) => ({
    partition,
    epoch: 1,
    status: 'write',
    host: 'edge',
    ranges: [{ start: (partition - 1) * 2 ** 31, end: partition * 2 ** 31 }],
  })),
};

let view: HostsView | null;
let decided: string[] = [];
let server: Server;
let url = '';

beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.method === 'POST') decided.push(request.url ?? '');
    const known = request.url === '/v1/network' ? NETWORK : view;
    const error = { code: 'not-found', message: 'there is no such route', retryable: false, outcome: 'none' };
    response.statusCode = known === null ? 404 : 200;
    response.end(JSON.stringify(known ?? { error }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  view = { version: 41, replicas: 2, hosts: [EDGE, AGENT, ASKING, GONE] };
});

afterEach(() => {
  view = { version: 41, replicas: 2, hosts: [EDGE, AGENT, ASKING, GONE] };
  decided = [];
});

afterAll(() => new Promise((resolve) => server.close(resolve)));

const atoll = (...args: string[]) => run(args, { env: { ATOLL_URL: url } });

/** Cells of the line that begins with `first`. */
function line(stdout: string, first: string): string[] {
  const found = stdout.split('\n').find((each) => each.trimStart().startsWith(first));
  return (found ?? '').split('│').map((cell) => cell.trim());
}

test('status shows hosts with role, status, lag, latency, distance, direction and free space', async () => {
  const { stdout, stderr, code } = await atoll('status');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(line(stdout, 'host')).toEqual([
    'host',
    'role',
    'status',
    'lag',
    'latency',
    'distance',
    'direction',
    'free',
  ]);
  expect(line(stdout, 'a1')).toEqual([
    'a1',
    'learner of 2',
    'read',
    '3 · 12 ms',
    '0.4 ms',
    '0.4 ms',
    '90°',
    '12.3 GB',
  ]);
  expect(line(stdout, 'edge').slice(0, 3)).toEqual(['edge', 'leader of 2', 'write']);
  expect(line(stdout, 'abd999').slice(0, 3)).toEqual(['abd999def456ghjk', '', 'proposal']);
  // A host that is no member any more is history.
  expect(stdout).not.toContain('gone55');
});

test('status shows where each partition has replicas, and which are behind', async () => {
  const { stdout } = await atoll('status');
  expect(line(stdout, '1 │ write').slice(2, 4)).toEqual(['edge', 'a1']);
  expect(line(stdout, '2 │ write').slice(2, 4)).toEqual(['edge', 'a1 (3 · 12 ms)']);
});

test('status says how many replicas a host still loads', async () => {
  view = { version: 41, replicas: 2, hosts: [EDGE, LOADING] };
  const { stdout } = await atoll('status');
  expect(line(stdout, 'a3').slice(0, 4)).toEqual(['a3', 'learner of 2', 'inactive', 'loading 2']);
  expect(line(stdout, '1 │ write').slice(2, 4)).toEqual(['edge', 'a3 (loading)']);
});

test('status of a server that knows no hosts shows the rest', async () => {
  view = null;
  const { stdout, code } = await atoll('status');
  expect(code).toBe(0);
  expect(line(stdout, 'partition').slice(0, 3)).toEqual(['partition', 'status', 'host']);
});

test('hosts list names ids, votes, ratings and addresses; of one host, each replica and what awaits purge', async () => {
  const all = await atoll('hosts', 'list');
  expect(line(all.stdout, 'abc123def456ghjk │')).toEqual(
    expect.arrayContaining(['abc123def456ghjk', 'a1', 'read', '97', '0.5', 'http://127.0.0.1:8788']),
  );
  expect(all.stdout).toMatch(/abd999def456ghjk │ +│ proposal │ 1 of 2/);
  expect(all.stdout).toContain('removed');

  const one = await atoll('hosts', 'list', 'a1');
  expect(one.stdout).toContain('\nread: by vote\n');
  expect(line(one.stdout, '1 │')).toEqual(['1', 'learner', 'in-sync', '9', 'none', '', '']);
  expect(line(one.stdout, '2 │')).toEqual(['2', 'learner', 'behind', '6', '3 · 12 ms', '6', '17']);
});

test('--json is what the server says', async () => {
  expect(JSON.parse((await atoll('hosts', 'list', '--json')).stdout)).toEqual(view);
  expect(JSON.parse((await atoll('hosts', 'list', 'a1', '--json')).stdout)).toEqual(AGENT);
  expect(JSON.parse((await atoll('hosts', 'drain', 'a1', '--json')).stdout)).toEqual(view);
});

test.each([
  ['a1', AGENT.host],
  ['abc', AGENT.host],
  [ASKING.host, ASKING.host],
])('a host is meant by name, by id, or by the beginning of one: %s', async (name, id) => {
  const { code, stdout } = await atoll('hosts', 'accept', name);
  expect(code).toBe(0);
  expect(decided).toEqual([`/v1/hosts/${id}/accept`]);
  expect(stdout).toMatch(/^\S+ is \w+\n$/);
});

test('what names no host, or several, is refused before anything is decided', async () => {
  const none = await atoll('hosts', 'remove', 'zzz');
  expect(none.code).toBe(1);
  expect(none.stderr).toMatch(/there is no host zzz\nhint:.*edge, a1, abd999def456ghjk/);
  const several = await atoll('hosts', 'remove', 'ab');
  expect(several.code).toBe(1);
  expect(several.stderr).toMatch(/several hosts.*ab\nhint:.*abc123def456ghjk, abd999def456ghjk/);
  expect(decided).toEqual([]);
});

test('the help says what each decision does', async () => {
  const { stdout } = await atoll('hosts', '--help');
  for (const action of ['list', 'accept', 'refuse', 'drain', 'remove'])
    expect(stdout).toContain(`  ${action} `);
});
