import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import {
  type HttpServer,
  type HttpServerOptions,
  startHttpServer,
} from '../../src/node-agent/http-server.ts';

/** Of the tests alone: for 127.0.0.1, signed by itself, valid for a hundred years. */
const cert = readFileSync(new URL('./tls/cert.pem', import.meta.url), 'utf8');
const key = readFileSync(new URL('./tls/key.pem', import.meta.url), 'utf8');

const running: HttpServer[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close()));
});

async function start(options: Partial<HttpServerOptions> = {}): Promise<HttpServer> {
  const server = await startHttpServer({
    host: '127.0.0.1',
    port: 0,
    tls: null,
    fetch: (request) => new Response(`${request.method} ${new URL(request.url).pathname}`),
    onLink: (socket, partition) => socket.send(`link to ${partition}`),
    ...options,
  });
  running.push(server);
  return server;
}

async function firstMessage(socket: WebSocket): Promise<string> {
  const [data] = await once(socket, 'message');
  socket.terminate();
  return String(data);
}

test('with a certificate it serves HTTPS, and links over it', async () => {
  const { url } = await start({ tls: { cert, key } });
  expect(url).toMatch(/^https:/);
  const [reply] = await once(request(`${url}/healthz`, { ca: cert }).end(), 'response');
  expect(String(await reply.toArray())).toBe('GET /healthz');
  const socket = new WebSocket(`${url.replace('https', 'wss')}/v1/link/7`, { ca: cert });
  expect(await firstMessage(socket)).toBe('link to 7');
});

test('links have a path of their own; other upgrades are refused', async () => {
  const { url } = await start();
  const base = url.replace('http', 'ws');
  expect(await firstMessage(new WebSocket(`${base}/v1/link/0`))).toBe('link to 0');
  expect(await firstMessage(new WebSocket(`${base}/other/v1/link/12?x=1`))).toBe('link to 12');
  for (const path of ['/', '/v1/link/', '/v1/link/x', '/v1/link/1234567', '/v1/query']) {
    const socket = new WebSocket(base + path);
    const [error] = await once(socket, 'error');
    expect(String(error)).toContain('404');
  }
});

test('closing waits for what is under way, and takes no more', async () => {
  const answer = Promise.withResolvers<Response>();
  const asked = Promise.withResolvers<void>();
  const server = await start({
    fetch: () => {
      asked.resolve();
      return answer.promise;
    },
  });
  const reply = fetch(server.url);
  await asked.promise;
  const closed = server.close();
  await expect(fetch(server.url)).rejects.toThrow();
  answer.resolve(new Response('done'));
  expect(await (await reply).text()).toBe('done');
  await closed;
});

test('a port that is taken, and an address of another machine, are said as such', async () => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const { port } = holder.address() as { port: number };
  await expect(start({ port })).rejects.toMatchObject({ message: `port ${port} of 127.0.0.1 is in use` });
  holder.close();
  await expect(start({ host: '192.0.2.1' })).rejects.toMatchObject({
    message: 'this machine has no address 192.0.2.1',
  });
});
