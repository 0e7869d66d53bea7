import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { temporaryDirectory } from '../cli/process.ts';
import { call, TestEdge, TOKEN } from './edge.ts';
import { type AgentProcess, events, rowsInFiles, startAgent, until } from './process.ts';

const PARTITIONS = 2;
const ALL = 'SELECT id, tenant, body FROM post ORDER BY id';

let edge: TestEdge;
let directory: ReturnType<typeof temporaryDirectory>;
let data: string;
const running: AgentProcess[] = [];

beforeAll(async () => {
  edge = await TestEdge.start(PARTITIONS);
  await edge.rows('CREATE TABLE post (id INTEGER PRIMARY KEY, tenant TEXT, body TEXT) PARTITION BY (tenant)');
  await write(50);
});
afterAll(() => edge.close());
beforeEach(() => {
  directory = temporaryDirectory();
  data = join(directory.path, 'a1');
});
afterEach(async () => {
  edge.mend();
  edge.clockOffsetMs = 0;
  for (const { running: process } of running.splice(0)) {
    process.child.kill('SIGKILL');
    await process.ended;
  }
  directory.remove();
  await edge.removeAgents();
});

let posts = 0;

async function write(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const args = [`tenant ${posts % 7}`, `body ${posts++} ${'é'.repeat(posts % 50)}`];
    await edge.rows('INSERT INTO post (tenant, body) VALUES (?, ?)', args);
  }
}

function agent(more: readonly string[] = [], env: Record<string, string> = {}): AgentProcess {
  const started = startAgent(edge, data, more, { env });
  running.push(started);
  return started;
}

async function end(
  { running: process }: AgentProcess,
  signal: NodeJS.Signals,
): Promise<Awaited<typeof process.ended>> {
  process.child.kill(signal);
  return process.ended;
}

/** Waits until the files here have what the leaders have. */
function caughtUp(): Promise<boolean> {
  return until('files as the leaders are', async () => {
    const rows = rowsInFiles(data, PARTITIONS, ALL);
    expect(rows).toEqual(await edge.rows(ALL));
    return true;
  });
}

describe('an agent', () => {
  test('joins, catches up, and keeps up, in files that sqlite3 reads', async () => {
    const started = agent();
    const url = await started.ready();
    const { stdout } = await end(started, 'SIGTERM');
    expect(stdout).toMatch(/^proposed as \S+.*\naccepted\nagent (\S+)\n(catching up \d+ %\n)*ready \1$/m);
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(rowsInFiles(data, PARTITIONS, ALL)).toEqual(await edge.rows(ALL));
    const again = agent();
    await again.ready();
    await write(20);
    await edge.rows('ALTER TABLE post ADD COLUMN extra INTEGER');
    await edge.rows('ALTER TABLE post DROP COLUMN extra');
    await write(5);
    await caughtUp();
  });

  test('answers the API: what it may by itself, the rest at the leader', async () => {
    const url = await agent().ready();
    const insert = 'INSERT INTO post (tenant, body) VALUES (?, ?)';
    const { session } = await call(url, '/v1/query', { sql: insert, args: ['agent', 'by it'] });
    const read = { sql: "SELECT body FROM post WHERE tenant = 'agent'" };
    for (const demand of [
      {},
      { consistency: 'session', session },
      { consistency: 'bounded', maxStalenessMs: 60_000 },
    ]) {
      if (demand.consistency === 'bounded') await caughtUp();
      expect((await call(url, '/v1/query', { ...read, ...demand })).rows).toEqual([['by it']]);
    }
    const all = await call(url, '/v1/query', { sql: 'SELECT count(*) FROM post' });
    expect(all.rows).toEqual(await edge.rows('SELECT count(*) FROM post'));
    expect(await call(url, '/healthz')).toEqual({ ok: true });
    const metrics = await (
      await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } })
    ).text();
    expect(metrics).toMatch(/^atoll_agent_replicas 3$/m);
    expect(metrics).toMatch(/^atoll_requests_total/m);
  });

  test('has strong reads of several partitions certified by their leaders', async () => {
    const url = await agent().ready();
    await caughtUp();
    const all = await call(url, '/v1/query', { sql: 'SELECT count(*) FROM post' });
    expect(all).toMatchObject({
      rows: await edge.rows('SELECT count(*) FROM post'),
      consistency: 'strong',
      plan: { kind: 'scatter', partitions: [1, 2] },
    });
    const eventual = { sql: 'SELECT count(*) FROM post', consistency: 'eventual' };
    expect(await call(url, '/v1/query', eventual)).toMatchObject({ consistency: 'per-partition' });
    const reply = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } });
    const metrics = await reply.text();
    expect(metrics).toMatch(/^atoll_certifications_total\{result="certified"\} 1$/m);
    expect(metrics).toMatch(/^atoll_agent_messages_total\{by="local"\} 2$/m);
  });

  test('killed at any moment finds its files whole, and catches up', async () => {
    for (let round = 0; round < 4; round++) {
      const started = agent();
      // The first rounds end in the middle of joining and loading, the others while entries come.
      await started.running.seen(round < 2 ? /^accepted$/m : /^ready/m);
      const writing = write(30);
      await until('some entries', () =>
        round < 2 || rowsInFiles(data, PARTITIONS, ALL).length > 0 ? true : null,
      );
      await end(started, 'SIGKILL');
      await writing;
    }
    await agent().ready();
    await caughtUp();
    expect(readdirSync(join(data, 'main')).filter((name) => /corrupt|incoming/.test(name))).toEqual([]);
  });

  test('says that the cluster is out of reach, and joins once it is there', async () => {
    edge.cut();
    const started = agent();
    await started.running.seen(/^not reached yet, trying on: /m);
    edge.mend();
    await started.ready();
  });

  test('told to stop ends what it has begun, closes its files, and exits with 0', async () => {
    const started = agent();
    await started.ready();
    await write(10);
    const { code, stderr } = await end(started, 'SIGTERM');
    expect(code).toBe(0);
    expect(events(stderr).at(-1)).toMatchObject({ level: 'info', event: 'stopped' });
    expect(readdirSync(join(data, 'main')).filter((name) => name.endsWith('-wal'))).toEqual([]);
  });

  test('cut off answers reads that may be old, refuses others, and heals by itself', async () => {
    const started = agent();
    const url = await started.ready();
    await caughtUp();
    const before = await edge.rows(ALL);
    // Known to its router, as it would be after a first request.
    await call(url, '/v1/query', { sql: ALL });
    edge.cut();
    expect((await call(url, '/v1/query', { sql: ALL, consistency: 'eventual' })).rows).toEqual(before);
    await expect(
      call(url, '/v1/query', { sql: "SELECT 1 FROM post WHERE tenant = 'x'", timeoutMs: 5_000 }),
    ).rejects.toThrow(/unavailable/);
    const insert = { sql: "INSERT INTO post (tenant, body) VALUES ('x', 'lost')", timeoutMs: 5_000 };
    await expect(call(url, '/v1/query', insert)).rejects.toThrow(/"outcome":"none"/);
    await write(10);
    edge.mend();
    await caughtUp();
  });

  test('that starts cut off serves what it has, an export included', async () => {
    const first = agent();
    await first.ready();
    await caughtUp();
    await end(first, 'SIGKILL');
    edge.cut();
    const url = (await agent().running.seen(/^agent (\S+)$/m))[1] as string;
    const read = () => call(url, '/v1/query', { sql: ALL, consistency: 'eventual' });
    expect((await read()).rows).toEqual(await edge.rows(ALL));
    const dump = await (
      await fetch(`${url}/v1/export`, { headers: { authorization: `Bearer ${TOKEN}` } })
    ).text();
    const [[written]] = (await edge.rows("SELECT count(*) FROM post WHERE body LIKE 'body %'")) as [[number]];
    expect(dump.match(/body \d+/g)).toHaveLength(written);
  });

  test('makes a damaged file anew, while the others serve', async () => {
    const first = agent();
    await first.ready();
    await end(first, 'SIGTERM');
    writeFileSync(join(data, 'main', '1.sqlite'), 'damaged '.repeat(4096));
    const second = agent();
    await second.ready();
    await caughtUp();
    expect(readdirSync(join(data, 'main')).some((name) => name.startsWith('1.sqlite.corrupt-'))).toBe(true);
    const { stderr } = await end(second, 'SIGTERM');
    expect(events(stderr)).toContainEqual(
      expect.objectContaining({ event: 'storage-corrupt', partition: 1 }),
    );
  });

  test('with a clock that is an hour off does not serve, and says so', async () => {
    edge.clockOffsetMs = 3_600_000;
    const url = (await agent().running.seen(/^agent (\S+)$/m))[1] as string;
    await expect(call(url, '/v1/query', { sql: ALL, consistency: 'eventual' })).rejects.toThrow(
      /503 .*clock is 3600 s away/,
    );
    await expect(call(url, '/healthz')).rejects.toThrow(/503/);
  });
});

describe('what is refused', () => {
  test('a wrong secret, with what to do', async () => {
    const { running: process } = agent([], { ATOLL_SECRET: 'another' });
    const { code, stderr } = await process.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/does not know the cluster secret/);
    expect(stderr).toMatch(/hint: {2}set ATOLL_SECRET to the secret of the cluster/);
  });

  test('the data directory of another cluster, which stays as it is', async () => {
    const first = agent();
    await first.ready();
    await end(first, 'SIGTERM');
    const before = readdirSync(join(data, 'main'));
    const other = await TestEdge.start(PARTITIONS);
    const process = startAgent(other, data);
    running.push(process);
    const { code, stderr } = await process.running.ended;
    await other.close();
    expect(code).toBe(1);
    expect(stderr).toMatch(/belongs to another cluster/);
    expect(readdirSync(join(data, 'main'))).toEqual(before);
  });

  test('strangers, garbage and text on its link port', async () => {
    const url = await agent().ready();
    for (const garbage of [Buffer.from('garbage'), 'text', Buffer.alloc(1 << 20, 7)]) {
      const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/link/1`);
      await once(socket, 'open');
      socket.send(garbage);
      const [code] = await once(socket, 'close');
      expect(code).toBe(4400);
    }
    const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/link/1`);
    await once(socket, 'open');
    socket.on('error', () => undefined);
    socket.send(Buffer.alloc((1 << 20) + 1));
    const [code] = await once(socket, 'close');
    expect(code).toBe(1009);
    expect(await call(url, '/healthz')).toEqual({ ok: true });
  });

  test('a port that is in use', async () => {
    const port = new URL(edge.url).port;
    const { running: process } = agent(['--port', port]);
    const { code, stderr } = await process.ended;
    expect([code, stderr]).toEqual([1, expect.stringMatching(`port ${port} of 127.0.0.1 is in use`)]);
  });
});
