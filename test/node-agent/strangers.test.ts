import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { PartitionId } from '../../src/base/brand.ts';
import { readFollowers } from '../../src/core/replica/followers.ts';
import { type HttpServer, startHttpServer } from '../../src/node-agent/http-server.ts';
import { LeadingAgent } from '../../src/node-agent/leading/leading-agent.ts';
import { acceptLink } from '../../src/node-agent/links/accept.ts';
import { dialLink, linkUrl } from '../../src/node-agent/links/dial.ts';
import { HandshakeSocket } from '../../src/node-agent/links/handshake-socket.ts';
import type { OpenLink } from '../../src/node-agent/links/open-link.ts';
import { type Dialler, dialChallenge, dialHello } from '../../src/rpc/dial.ts';
import { generateHostKey, importHostKey } from '../../src/rpc/host-key.ts';
import type { EventHandler } from '../../src/rpc/link.ts';
import { importSecret } from '../../src/rpc/secret.ts';
import { temporaryDirectory } from '../cli/process.ts';
import { call, SECRET, TestEdge, TOKEN } from './edge.ts';

// What anybody who reaches a port may send, and what must come of it.

/** RFC 6455, section 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** Reserved bits are set, and nothing is masked. */
const BAD_FRAME = Buffer.from([0xf2, 0x01, 0x00]);
const uncaught: unknown[] = [];
const onUncaught = (error: unknown) => void uncaught.push(error);

beforeEach(() => {
  uncaught.length = 0;
  process.on('uncaughtException', onUncaught);
});
afterEach(() => {
  process.off('uncaughtException', onUncaught);
});

async function dialler(): Promise<Dialler> {
  const key = await importHostKey(await generateHostKey());
  const secret = await importSecret(SECRET);
  return { key, secret, database: 'main', history: null, address: null, expects: null };
}

function serve(onLink: (socket: WebSocket) => void): Promise<HttpServer> {
  return startHttpServer({ host: '127.0.0.1', port: 0, tls: null, fetch: () => new Response(''), onLink });
}

function upgrade(path: string): Buffer {
  const key = 'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==';
  return Buffer.from(
    `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n${key}\r\n\r\n`,
  );
}

test('an upgrade to nowhere that is reset, and a bad frame right behind one, end connections alone', async () => {
  const closed: Promise<unknown>[] = [];
  const server = await serve((socket) => {
    closed.push(new Promise((resolve) => socket.on('close', resolve)));
    socket.close(1013);
  });
  const { port } = new URL(server.url);
  const send = async (bytes: Buffer) => {
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(bytes);
    return socket;
  };
  for (let i = 0; i < 20; i++) (await send(upgrade('/nothing'))).resetAndDestroy();
  const socket = await send(Buffer.concat([upgrade('/v1/link/0'), BAD_FRAME]));
  await vi.waitFor(() => expect(closed).toHaveLength(1));
  socket.destroy();
  await Promise.all(closed);
  await server.close();
  expect(uncaught).toEqual([]);
});

test('a host that answers a dial with garbage ends the dial alone', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (data) => {
      const key = /sec-websocket-key: (.*)\r\n/i.exec(String(data))?.[1] ?? '';
      const accept = createHash('sha1')
        .update(key + GUID)
        .digest('base64');
      const head = `HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`;
      socket.write(Buffer.concat([Buffer.from(head), BAD_FRAME]));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const dialled = dialLink({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    partition: 0 as PartitionId,
    dialler: await dialler(),
    handlers: { calls: {}, events: {} },
    pingEveryMs: 0,
    log: () => undefined,
  });
  await expect(dialled).rejects.toThrow();
  server.close();
  expect(uncaught).toEqual([]);
});

test('a host that goes while its proof is looked at leaves no link', async () => {
  const own = await dialler();
  const opened: OpenLink[] = [];
  let ended = 0;
  const server = await serve((socket) => {
    acceptLink(
      socket,
      { ...own, history: null },
      () => ({ calls: {}, events: {} }),
      () => undefined,
    )
      .then(({ open }) => opened.push(open))
      .catch(() => undefined)
      .finally(() => ended++);
  });
  const as = await dialler();
  for (let i = 0; i < 10; i++) {
    const socket = new WebSocket(linkUrl(server.url, 'main', 0 as PartitionId), { perMessageDeflate: false });
    await once(socket, 'open');
    const steps = new HandshakeSocket(socket);
    const { hello, send } = dialHello(as);
    steps.send(send);
    const { send: proof } = await dialChallenge(as, hello, await steps.next());
    steps.send(proof);
    socket.terminate();
  }
  await vi.waitFor(() => expect(ended).toBe(10), 5_000);
  for (const open of opened) await open.closed;
  expect(opened.map(({ link }) => link.isOpen)).toEqual(opened.map(() => false));
  await server.close();
});

test('whoever has the secret and is no member gets no rows, and leaves nothing', async () => {
  const edge = await TestEdge.start(1);
  await edge.rows('CREATE TABLE post (id INTEGER PRIMARY KEY, tenant TEXT, body TEXT) PARTITION BY (tenant)');
  await edge.rows("INSERT INTO post (tenant, body) VALUES ('a', 'private words')");
  const got: string[] = [];
  const again: unknown[] = [];
  const { open } = await dialLink({
    url: edge.url,
    partition: 1 as PartitionId,
    dialler: await dialler(),
    handlers: {
      calls: {},
      events: {
        append: ({ data }) => void got.push(Buffer.from(data).toString('latin1')),
        'follow-again': ({ head }) => void again.push(head),
      },
    },
    pingEveryMs: 0,
    log: () => undefined,
  });
  const follow = () => open.link.call('follow', { partition: 1, position: null });
  await expect(follow()).rejects.toMatchObject({ code: 'forbidden' });
  const nothing = { commitId: 0, term: 0, timestamp: '', offset: 0 };
  for (const kind of ['appended', 'diverged'])
    open.link.event('appended', { partition: 1, kind, position: nothing });
  await vi.waitFor(() => expect(again).toHaveLength(2));
  await expect(follow()).rejects.toMatchObject({ code: 'forbidden' });
  expect(got).toEqual([]);
  open.close(1000, 'done');
  await edge.close();
});

test('a host that is removed gets no more, and no log is kept for it, at once', async () => {
  const directory = temporaryDirectory();
  const leader = await LeadingAgent.start({
    data: directory.path,
    host: '127.0.0.1',
    port: 0,
    tls: null,
    init: { partitions: 1 },
    name: null,
    secret: SECRET,
    token: TOKEN,
    log: () => undefined,
  });
  const run = (sql: string) => call(leader.url, '/v1/query', { sql });
  await run('CREATE TABLE post (id INTEGER PRIMARY KEY, tenant TEXT) PARTITION BY (tenant)');
  const as = await dialler();
  const { host, publicKey } = as.key;
  const got: number[] = [];
  const confirm = (last: number) =>
    links[1]?.link.event('appended', {
      partition: 1,
      kind: 'appended',
      position: { commitId: last, term: 1, timestamp: '', offset: 0 },
    });
  const dial = async (partition: number) => {
    const append: EventHandler = ({ head }) => {
      const { last } = head as { last: number };
      got.push(last);
      confirm(last);
    };
    const { open } = await dialLink({
      url: leader.url,
      partition: partition as PartitionId,
      dialler: as,
      handlers: { calls: {}, events: { append } },
      pingEveryMs: 0,
      log: () => undefined,
    });
    return open;
  };
  const links = [await dial(0), await dial(1)] as const;
  const place = {
    name: null,
    addresses: [],
    database: 'main',
    history: null,
    freeBytes: 1e12,
    totalBytes: 1e12,
  };
  await links[0].link.call('join', { host, publicKey, ...place, time: Date.now(), cpuRating: 1 });
  const nothing = { commitId: 0, term: 0, timestamp: '', offset: 0 };
  await links[1].link.call('follow', { partition: 1, position: nothing });
  await vi.waitFor(() => expect(got.length).toBeGreaterThan(0));
  const { port } = leader.partitions.of(1 as PartitionId);
  expect(readFollowers(port)).toMatchObject([{ host, state: 'following' }]);
  await call(leader.url, `/v1/hosts/${host}/remove`, {});
  await vi.waitFor(() => expect(readFollowers(port)).toEqual([]));
  const before = got.length;
  await run("INSERT INTO post (tenant) VALUES ('after')");
  confirm(got.at(-1) ?? 0);
  // What was sent before this answer is here before it.
  await expect(links[1].link.call('follow', { partition: 1, position: nothing })).rejects.toMatchObject({
    code: 'forbidden',
  });
  expect(got).toHaveLength(before);
  expect(readFollowers(port)).toEqual([]);
  for (const link of links) link.close(1000, 'done');
  await leader.stop();
  directory.remove();
});
