import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { encodeFrame } from '../../src/protocol/frame.ts';
import { linkClose } from '../../src/protocol/link.ts';
import { RPC_VERSION } from '../../src/protocol/rpc.ts';
import { dialHello } from '../../src/rpc/dial.ts';
import { events, until } from '../node-agent/process.ts';
import { type Json, query, rows } from './api.ts';
import { ALL, HealthyCluster } from './healthy-cluster.ts';
import { hostKeyOf } from './processes.ts';
import { newHost, rawBytes, Stranger } from './stranger.ts';

let cluster: HealthyCluster;

beforeAll(async () => {
  cluster = await HealthyCluster.start();
});
afterAll(() => cluster?.stop());
afterEach(() => cluster.check());

/** The same at the edge and at an agent. */
function atBoth(name: string, body: (url: string) => Promise<void>): void {
  test(name, async () => {
    for (const url of cluster.urls) await body(url);
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
    const wrong = cluster.other('wrong-secret', { run: { env: { ATOLL_SECRET: 'another' } } });
    await expect(wrong.start()).rejects.toThrow(/does not know the cluster secret/);
  });

  atBoth('a stolen id under another key', async (url) => {
    const host = await cluster.idOf(cluster.agent);
    const stranger = await Stranger.at(url);
    await stranger.lie(await newHost(), { host }).catch(() => undefined);
    expect((await stranger.closed).code).toBe(linkClose.notAuthentic);
  });

  atBoth('a stolen id with its key, signed by another', async (url) => {
    const { host, publicKey } = await hostKeyOf(cluster.agent.data);
    const stranger = await Stranger.at(url);
    await stranger.lie(await newHost(), { host, publicKey });
    expect((await stranger.closed).code).toBe(linkClose.notAuthentic);
  });

  test('a proposal in the name of another', async () => {
    const dialler = await newHost();
    const { link } = await (await Stranger.at(cluster.edge.url)).shakeHands(dialler);
    const { host, publicKey } = await hostKeyOf(cluster.agent.data);
    for (const stolen of [{ host }, { publicKey }, { host, publicKey }]) {
      await expect(link.call('join', { ...offer(dialler.key), ...stolen })).rejects.toThrow(
        /under its own key/,
      );
    }
    link.close(1000, 'done');
  });

  test('what members alone may ask, asked by a host that is none', async () => {
    for (const partition of [0, 1]) {
      const { link } = await (await Stranger.at(cluster.edge.url, partition)).shakeHands(await newHost());
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
    const { link } = await (await Stranger.at(cluster.edge.url)).shakeHands(await newHost());
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
    expect(reason).toMatch(new RegExp(`this host ${RPC_VERSION - 1} and ${RPC_VERSION}\\b`));
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
      const { link } = await (await Stranger.at(cluster.edge.url)).shakeHands({ key, ...dialler });
      const reply = await link.call('join', { ...offer(key), time: Date.now() + offMs });
      expect(reply.head).toMatchObject({
        proposal: null,
        refusal: { reason: 'clock-off', message: expect.stringMatching(/clock/) },
      });
      expect(await cluster.statusOf(key.host)).toBeUndefined();
      link.close(1000, 'done');
    }
  });

  test('keeps a member from serving, until it is set right', async () => {
    const off = cluster.path('an-hour-off.mjs');
    writeFileSync(
      off,
      `const real = Date.now; Date.now = () => real() + 3_600_000;
       const RealDate = Date;
       globalThis.Date = class extends RealDate { constructor(...args) { if (args.length === 0) super(real() + 3_600_000); else super(...args); } };`,
    );
    const right = cluster.other('clock');
    await right.start();
    await right.ready();
    await right.end('SIGTERM');
    const wrong = cluster.other('clock', { run: { env: { NODE_OPTIONS: `--import ${off}` } } });
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
    const again = cluster.other('clock');
    await again.start();
    expect(await rows(await again.ready(), ALL, [], { consistency: 'eventual' })).toEqual(cluster.expected);
  });
});
