import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { encodeFrame } from '../../src/protocol/frame.ts';
import { linkClose } from '../../src/protocol/link.ts';
import { dialHello } from '../../src/rpc/dial.ts';
import { temporaryDirectory } from '../cli/process.ts';
import { events, until } from '../node-agent/process.ts';
import { ask, get, type Json, metrics, query, rows } from './api.ts';
import { AgentProcess, EdgeProcess, hostKeyOf } from './processes.ts';
import { newHost, rawBytes, Stranger } from './stranger.ts';

const PARTITIONS = 2;
const ALL = 'SELECT id, tenant, body FROM post ORDER BY id';
const ROWS = 120;

const directory = temporaryDirectory();
let edge: EdgeProcess;
let healthy: AgentProcess;
/** Base URLs of the edge and of an agent that is a member. */
let targets: readonly string[];
let expected: unknown[][];
const started: AgentProcess[] = [];

beforeAll(async () => {
  edge = await EdgeProcess.start(join(directory.path, 'edge'), PARTITIONS, 16);
  await rows(
    edge.url,
    'CREATE TABLE post (id INTEGER PRIMARY KEY, tenant TEXT, body TEXT) PARTITION BY (tenant)',
  );
  for (let number = 0; number < ROWS; number++) await insert(number);
  expected = await rows(edge.url, ALL);
  healthy = new AgentProcess({ name: 'healthy', join: [edge.url], data: join(directory.path, 'healthy') });
  await healthy.start();
  targets = [edge.url, await healthy.ready()];
  await until('it is read from', async () =>
    (await members()).get(await idOf(healthy)) === 'read' ? true : null,
  );
});

afterAll(async () => {
  expect(edge?.log).not.toMatch(/crashed/);
  await healthy?.end('SIGKILL');
  await edge?.stop();
  directory.remove();
});

let statuses: Map<string, string>;

beforeEach(async () => {
  statuses = await members();
});

/** Whatever was tried: members are as before, and answer with the same rows. */
afterEach(async () => {
  for (const agent of started.splice(0)) {
    await agent.end('SIGKILL');
    // Its vote would be waited for.
    const host = await idOf(agent).catch(() => null);
    if (host !== null && statusOf(await hosts(), host) !== undefined)
      await ask(edge.url, `/v1/hosts/${host}/remove`, {});
  }
  for (const url of targets) {
    expect(await get(url, '/healthz')).toEqual({ ok: true });
    for (const consistency of ['strong', 'eventual'])
      expect(await rows(url, ALL, [], { consistency })).toEqual(expected);
  }
  expect(healthy.isRunning).toBe(true);
  const now = await members();
  for (const [host, status] of statuses) {
    // A member that a test has stopped may be missed meanwhile.
    if (host === 'edge' || host === (await idOf(healthy)))
      expect([host, now.get(host)]).toEqual([host, status]);
  }
});

async function insert(number: number): Promise<void> {
  const body = `body ${number} ${'é'.repeat(200 + (number % 50))}`;
  await rows(edge.url, 'INSERT INTO post (tenant, body) VALUES (?, ?)', [`tenant ${number % 7}`, body]);
}

async function hosts(): Promise<Json[]> {
  return (await get(edge.url, '/v1/hosts')).hosts;
}

function statusOf(all: readonly Json[], host: string): string | undefined {
  return all.find((each) => each.host === host)?.status;
}

async function members(): Promise<Map<string, string>> {
  return new Map((await hosts()).map(({ host, status }) => [host, status]));
}

function agent(
  name: string,
  more: Partial<ConstructorParameters<typeof AgentProcess>[0]> = {},
): AgentProcess {
  const made = new AgentProcess({ name, join: [edge.url], data: join(directory.path, name), ...more });
  started.push(made);
  return made;
}

async function idOf({ data }: AgentProcess): Promise<string> {
  return (await hostKeyOf(data)).host;
}

/** The same at the edge and at an agent. */
function atBoth(name: string, body: (url: string) => Promise<void>): void {
  test(name, async () => {
    for (const url of targets) await body(url);
  });
}

describe('who is not who it should be', () => {
  atBoth('a host with another secret', async (url) => {
    const stranger = await Stranger.at(url);
    await stranger.lie(await newHost({ secretText: 'another' }), {});
    expect(await stranger.closed).toMatchObject({
      code: linkClose.notAuthentic,
      reason: expect.stringMatching(/secret/),
    });
  });

  test('an agent with another secret, which is told what to do', async () => {
    const wrong = agent('wrong-secret', { run: { env: { ATOLL_SECRET: 'another' } } });
    await expect(wrong.start()).rejects.toThrow(/does not know the cluster secret/);
  });

  atBoth('a stolen id under another key', async (url) => {
    const host = await idOf(healthy);
    const stranger = await Stranger.at(url);
    await stranger.lie(await newHost(), { host }).catch(() => undefined);
    expect((await stranger.closed).code).toBe(linkClose.notAuthentic);
  });

  atBoth('a stolen id with its key, signed by another', async (url) => {
    const { host, publicKey } = await hostKeyOf(healthy.data);
    const stranger = await Stranger.at(url);
    await stranger.lie(await newHost(), { host, publicKey });
    expect((await stranger.closed).code).toBe(linkClose.notAuthentic);
  });

  test('a proposal in the name of another', async () => {
    const dialler = await newHost();
    const { link } = await (await Stranger.at(edge.url)).shakeHands(dialler);
    const { host, publicKey } = await hostKeyOf(healthy.data);
    for (const stolen of [{ host }, { publicKey }, { host, publicKey }]) {
      await expect(link.call('join', { ...offer(dialler.key), ...stolen })).rejects.toThrow(
        /under its own key/,
      );
    }
    link.close(1000, 'done');
  });

  test('what members alone may ask, asked by a host that is none', async () => {
    for (const partition of [0, 1]) {
      const { link } = await (await Stranger.at(edge.url, partition)).shakeHands(await newHost());
      await expect(link.call('follow', { partition, position: null })).rejects.toThrow(/is no member/);
      const body = Buffer.from(JSON.stringify({ statements: [{ sql: 'DELETE FROM post' }] }));
      await expect(link.call('execute', {}, { data: body })).rejects.toThrow(/is no member/);
      await expect(link.call('create', {}, { data: Buffer.from('{}') })).rejects.toThrow(/is no member/);
      link.close(1000, 'done');
    }
  });

  atBoth('a proof that was heard before', async (url) => {
    const dialler = await newHost();
    const first = await Stranger.at(url);
    const { hello, send } = dialHello(dialler);
    expect(hello.host).toBe(dialler.key.host);
    const prove = await first.lie(dialler, {});
    await first.next();
    first.close();
    const second = await Stranger.at(url);
    second.send(send);
    await second.next();
    second.send(prove);
    expect((await second.closed).code).toBe(linkClose.notAuthentic);
  });

  test('a vote that nobody asked for, and one that comes again', async () => {
    const { link } = await (await Stranger.at(edge.url)).shakeHands(await newHost());
    for (const proposal of [1, 1, 999]) {
      const reply = link.call('vote', { proposal, accept: false, reason: 'no' });
      const { result } = (await reply).head as { result: string };
      expect(result).not.toBe('counted');
    }
    link.close(1000, 'done');
  });

  atBoth('a version from the future alone', async (url) => {
    const stranger = await Stranger.at(url);
    const { send } = dialHello(await newHost({ versions: [98, 99] }));
    stranger.send(send);
    const { code, reason } = await stranger.closed;
    expect(code).toBe(linkClose.version);
    expect(reason).toMatch(/98 and 99/);
    expect(reason).toMatch(/this host 1\b/);
  });
});

describe('frames that are none', () => {
  const call = encodeFrame({
    kind: 'call',
    id: 7,
    deadlineMs: 0,
    type: 'status',
    head: {},
    data: new Uint8Array(0),
  });
  const gigabyte = Buffer.from('a7010101000000000700000000067374617475734000000000', 'hex');
  const gigabyteInParts = Buffer.from('a7010104000000000040000000000000000000000001aa00000000', 'hex');

  const garbage = (): (Uint8Array | string)[] => [
    ...[0, 1, 2, 30, 5_000, 200_000].map((bytes) => Buffer.alloc(bytes, 0xa7)),
    ...[1, 5, 14, call.length - 1].map((at) => flipped(call, at)),
    call.subarray(0, call.length - 3),
    Buffer.concat([call, Buffer.from('more')]),
    gigabyte,
    gigabyteInParts,
    'text where a frame belongs',
    '{"kind":"hello"}',
  ];

  atBoth('instead of a handshake', async (url) => {
    for (const each of [...garbage(), call]) {
      const stranger = await Stranger.at(url);
      stranger.send(each);
      expect([shown(each), (await stranger.closed).code]).toEqual([shown(each), linkClose.garbage]);
    }
  });

  atBoth('on an open link', async (url) => {
    for (const each of garbage()) {
      const stranger = await Stranger.at(url);
      await stranger.shakeHands(await newHost());
      stranger.send(each);
      expect([shown(each), (await stranger.closed).code]).toEqual([shown(each), linkClose.garbage]);
    }
  });

  atBoth('a WebSocket frame that announces a gigabyte', async (url) => {
    const header = Buffer.from('82ff000000004000000000000000', 'hex');
    await rawBytes(url, Buffer.concat([header, Buffer.alloc(100_000)]));
  });

  atBoth('more than a frame may have', async (url) => {
    const stranger = await Stranger.at(url);
    stranger.send(Buffer.alloc((1 << 20) + 1, 0xa7));
    expect([1009, linkClose.garbage]).toContain((await stranger.closed).code);
  });

  atBoth('messages of every type with heads of other shapes', async (url) => {
    const { link } = await (await Stranger.at(url)).shakeHands(await newHost());
    const types = [
      'join',
      'heartbeat',
      'vote',
      'relay',
      'relayed',
      'probe',
      'host-list',
      'follow',
      'snapshot-page',
    ];
    for (const type of [...types, 'execute', 'export-page', 'restore-begin', 'nothing', 'network'])
      for (const head of [null, 7, 'text', [], {}, { partition: -1 }, { host: 'edge', time: 1e300 }]) {
        const reply = link.call(type, head, { data: Buffer.from('{"statements":') });
        await expect(reply, `${type} ${JSON.stringify(head)}`).rejects.toMatchObject({
          code: expect.stringMatching(/./),
        });
      }
    for (const type of ['append', 'appended', 'follow-again', 'vote-request', 'gossip'])
      for (const head of [null, { partition: 1 }, { version: 1e9 }])
        link.event(type, head, Buffer.alloc(64, 1));
    link.close(1000, 'done');
  });

  function shown(data: Uint8Array | string): string {
    return typeof data === 'string'
      ? data
      : `${data.length} bytes ${Buffer.from(data.subarray(0, 24)).toString('hex')}`;
  }

  function flipped(frame: Uint8Array, at: number): Uint8Array {
    return frame.map((byte, index) => (index === at ? byte ^ 0x10 : byte));
  }
});

function offer({ host, publicKey }: { host: string; publicKey: string }): Json {
  const space = { freeBytes: 1e10, totalBytes: 2e10, cpuRating: 100 };
  return {
    host,
    publicKey,
    name: 'by hand',
    addresses: [],
    database: 'main',
    history: null,
    time: Date.now(),
    ...space,
  };
}

describe('a clock that is an hour off', () => {
  test('is refused when its host wants to join', async () => {
    for (const offMs of [-3_600_000, 3_600_000]) {
      const { key, ...dialler } = await newHost();
      const { link } = await (await Stranger.at(edge.url)).shakeHands({ key, ...dialler });
      const reply = await link.call('join', { ...offer(key), time: Date.now() + offMs });
      expect(reply.head).toMatchObject({
        proposal: null,
        refusal: { reason: 'clock-off', message: expect.stringMatching(/clock/) },
      });
      expect((await members()).has(key.host)).toBe(false);
      link.close(1000, 'done');
    }
  });

  test('keeps a member from serving, until it is set right', async () => {
    const off = join(directory.path, 'an-hour-off.mjs');
    writeFileSync(
      off,
      `const real = Date.now; Date.now = () => real() + 3_600_000;
       const RealDate = Date;
       globalThis.Date = class extends RealDate { constructor(...args) { if (args.length === 0) super(real() + 3_600_000); else super(...args); } };`,
    );
    const right = agent('clock');
    await right.start();
    await right.ready();
    await right.end('SIGTERM');
    const wrong = agent('clock', { run: { env: { NODE_OPTIONS: `--import ${off}` } } });
    const url = await wrong.start();
    await until('it says so', () => (wrong.log.includes('"clock-off"') ? true : null));
    const answer = await query(url, ALL, [], { consistency: 'eventual' });
    expect(answer).toMatchObject({
      kind: 'none',
      code: 'unavailable',
      message: expect.stringMatching(/clock is 3[56]\d\d s away/),
    });
    expect(events(wrong.log).find(({ event }) => event === 'clock-off')?.level).toBe('error');
    await wrong.end('SIGTERM');
    const again = agent('clock');
    await again.start();
    expect(await rows(await again.ready(), ALL, [], { consistency: 'eventual' })).toEqual(expected);
  });
});

describe('files that are not as they should be', () => {
  test('the data directory of another cluster', async () => {
    const other = await EdgeProcess.start(join(directory.path, 'other'), PARTITIONS, 1);
    try {
      const lost = agent('lost', { join: [other.url] });
      await lost.start();
      await lost.ready();
      await lost.end('SIGTERM');
      const before = readdirSync(join(lost.data, 'main'));
      const here = agent('lost');
      await expect(here.start().then(() => here.running.ended)).resolves.toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/belongs to another cluster/),
      });
      expect(readdirSync(join(lost.data, 'main'))).toEqual(before);
      expect((await members()).has(await idOf(lost))).toBe(false);
    } finally {
      await other.stop();
    }
  });

  test('overwritten pages are found, moved aside, and made anew', async () => {
    const first = agent('damaged');
    await first.start();
    await first.ready();
    await first.end('SIGTERM');
    const file = join(first.data, 'main', '1.sqlite');
    const { size } = statSync(file);
    const descriptor = openSync(file, 'r+');
    for (let at = 4096 * 3; at + 4096 < size; at += 4096 * 4)
      writeSync(descriptor, Buffer.alloc(4096, 0x5a), 0, 4096, at);
    closeSync(descriptor);
    const second = agent('damaged');
    await second.start();
    const url = await second.ready();
    expect(await rows(url, ALL, [], { consistency: 'eventual' })).toEqual(expected);
    expect(events(second.log)).toContainEqual(
      expect.objectContaining({ event: 'storage-corrupt', partition: 1 }),
    );
    expect(
      readdirSync(join(first.data, 'main')).filter((name) => /^1\.sqlite\.corrupt-\w+$/.test(name)),
    ).toHaveLength(1);
  });
});

/** Only who may mount file systems can have a small disk. */
const disk = join(directory.path, 'disk');

function mounted(): boolean {
  try {
    execFileSync('mkdir', [disk]);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=400m', 'tmpfs', disk], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const hasDisk = mounted();

describe.skipIf(!hasDisk)('a full disk', () => {
  afterAll(() => void execFileSync('umount', ['-l', disk]));

  test('makes an agent read-only, which says so, and goes on when there is space', async () => {
    const full = agent('full', { data: join(disk, 'data') });
    const url = await full.start();
    await full.ready();
    const filler = join(disk, 'filler');
    fill(filler);
    const before = expected;
    let number = ROWS;
    await until('it says so', async () => {
      if (full.log.includes('"storage-full"')) return true;
      await insert(number++);
      return null;
    });
    expected = await rows(edge.url, ALL);
    expect(await rows(url, ALL)).toEqual(expected);
    // It still answers, and what it shows is a prefix of what there is.
    const old = await rows(url, ALL, [], { consistency: 'eventual' });
    expect(old.length).toBeGreaterThanOrEqual(before.length);
    expect(expected.map((row) => JSON.stringify(row))).toEqual(
      expect.arrayContaining(old.map((row) => JSON.stringify(row))),
    );
    expect(full.isRunning).toBe(true);
    expect(await metrics(url)).toMatch(/^atoll_agent_storage_full\{.*\} 1$/m);
    rmSync(filler);
    await until('it has caught up', async () => {
      expect(await rows(url, ALL, [], { consistency: 'eventual' })).toEqual(expected);
      return true;
    });
    expect(events(full.log)).toContainEqual(expect.objectContaining({ event: 'storage-has-space' }));
    await until('no replica is full', async () =>
      /^atoll_agent_storage_full\{.*\} 1$/m.test(await metrics(url)) ? null : true,
    );
    await full.end('SIGKILL');
  });

  /** To the last block. */
  function fill(file: string): void {
    const descriptor = openSync(file, 'w');
    try {
      for (let bytes = 1 << 20; bytes >= 4096; bytes /= 2) {
        try {
          for (;;) writeSync(descriptor, Buffer.alloc(bytes));
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        }
      }
    } finally {
      closeSync(descriptor);
    }
  }
});
