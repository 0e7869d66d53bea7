import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { OpenLink } from '../../src/node-agent/links/open-link.ts';
import { RPC_VERSION } from '../../src/protocol/rpc.ts';
import type { Message } from '../../src/rpc/link.ts';

const PING_MS = 5_000;
const NO_DATA = new Uint8Array(0);

let server: WebSocketServer;
let near: WebSocket;
let far: WebSocket;

beforeEach(async () => {
  server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  near = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  [[far]] = (await Promise.all([once(server, 'connection'), once(near, 'open')])) as [[WebSocket], unknown];
});
afterEach(() => {
  vi.useRealTimers();
  near.terminate();
  far.terminate();
  server.close();
});

function linkOver(socket: WebSocket, pingEveryMs: number, calls = {}): OpenLink {
  const handlers = { calls, events: {} };
  const peer = { host: 'edge', publicKey: null, version: RPC_VERSION };
  return new OpenLink(socket, peer, { handlers, pingEveryMs, early: [], log: () => undefined });
}

test('a peer that says nothing to a ping is taken for dead, and calls to it fail', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'setTimeout', 'clearInterval', 'clearTimeout'] });
  const open = linkOver(near, PING_MS);
  const call = open.link.call('anything', {}, { deadline: Date.now() + 3_600_000 });
  const lost = expect(call).rejects.toMatchObject({ code: 'unavailable', outcome: 'unknown' });
  vi.advanceTimersByTime(PING_MS + 60_000);
  expect(await open.closed).toBe('the connection was lost');
  await lost;
});

test('a peer that answers is kept, and its round trip is known', async () => {
  const open = linkOver(near, 0);
  linkOver(far, 0);
  expect(open.latencyMs).toBeNull();
  open.ping();
  await once(near, 'message');
  expect(open.latencyMs).toBeGreaterThan(0);
  expect(near.readyState).toBe(WebSocket.OPEN);
});

test('what one side answers the other one hears, also when it is larger than a frame', async () => {
  const open = linkOver(near, 0);
  linkOver(far, 0, {
    double: ({ data }: Message) => ({ head: { twice: true }, data: Buffer.concat([data, data]) }),
  });
  const data = Buffer.alloc(3 << 20, 'x');
  const reply = await open.link.call('double', {}, { data });
  expect(reply.head).toEqual({ twice: true });
  expect(Buffer.concat([data, data]).equals(reply.data)).toBe(true);
});

test('closing says why to both sides', async () => {
  const [open, other] = [linkOver(near, 0), linkOver(far, 0)];
  open.close(4999, 'enough');
  expect(await other.closed).toBe('enough');
  await open.closed;
  await expect(open.link.call('x', {}, { data: NO_DATA })).rejects.toMatchObject({ outcome: 'none' });
});

test('text that is no ping ends the link', async () => {
  const open = linkOver(near, 0);
  far.send('hello');
  const [code] = await once(far, 'close');
  expect(code).toBe(4400);
  await open.closed;
});
