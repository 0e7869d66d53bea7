import { createServer, type IncomingMessage, STATUS_CODES } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { createAdaptorServer } from '@hono/node-server';
import { type WebSocket, WebSocketServer } from 'ws';
import type { PartitionId } from '../base/brand.ts';
import { FRAME_BYTES_MAX } from '../protocol/frame.ts';
import { AgentError } from './agent-error.ts';

/** `/v1/link/{partition}`, after `/{database}` for another database than `main`. */
const LINK = /^(?:\/[^/]+)?\/v1\/link\/(\d{1,6})\/?$/;
/** Requests under way when the agent stops have this long to end, ms (chosen: less than service managers wait). */
const DRAIN_MS = 5_000;
/** How often connections are looked at meanwhile, ms (chosen). */
const TIDY_MS = 20;

export interface HttpServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** PEM texts; null serves plain HTTP, as behind a proxy. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  readonly fetch: (request: Request) => Response | Promise<Response>;
  /** A host has opened a socket for a link; it has proved nothing yet. */
  readonly onLink: (socket: WebSocket, partition: PartitionId) => void;
}

export interface HttpServer {
  /** Its base URL, without a slash at the end. */
  readonly url: string;
  /** Takes no more requests, and resolves when those under way have ended or their time is over. */
  close(): Promise<void>;
}

/** The agent's port: the public API, and links of other hosts. Error: AgentError if the port or the certificate is of no use. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { host, port, tls, fetch } = options;
  const server = createAdaptorServer({
    fetch,
    hostname: host,
    overrideGlobalObjects: false,
    ...(tls === null ? { createServer } : { createServer: createTlsServer, serverOptions: tls }),
  }) as ReturnType<typeof createServer>;
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: FRAME_BYTES_MAX,
    perMessageDeflate: false,
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Nobody listens any more, and an error that nobody hears ends the process.
    socket.on('error', () => socket.destroy());
    const partition = LINK.exec(pathOf(request))?.[1];
    if (partition === undefined) {
      refuse(socket, 404);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (opened) => {
      // What one means comes with 'close'.
      opened.on('error', () => undefined);
      options.onLink(opened, Number(partition) as PartitionId);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(cannotListen(error, host, port)));
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  return {
    url: `${tls === null ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        const impatient = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
        // A connection that is kept alive is idle once its last answer has left.
        const tidying = setInterval(() => server.closeIdleConnections(), TIDY_MS);
        server.close(() => {
          clearTimeout(impatient);
          clearInterval(tidying);
          resolve();
        });
        server.closeIdleConnections();
        for (const client of sockets.clients) client.terminate();
      }),
  };
}

function pathOf(request: IncomingMessage): string {
  const url = request.url ?? '/';
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

function refuse(socket: Duplex, status: number): void {
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}

function cannotListen(error: NodeJS.ErrnoException, host: string, port: number): Error {
  if (error.code === 'EADDRINUSE')
    return new AgentError(
      `port ${port} of ${host} is in use`,
      'choose another one with --port, or 0 for a free one',
    );
  if (error.code === 'EACCES')
    return new AgentError(`no permission for port ${port}`, 'choose one above 1023 with --port');
  if (error.code === 'EADDRNOTAVAIL')
    return new AgentError(
      `this machine has no address ${host}`,
      'choose one of its own with --host, or 0.0.0.0 for all',
    );
  return error;
}
