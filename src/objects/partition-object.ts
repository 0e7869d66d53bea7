import { DurableObject } from 'cloudflare:workers';
import { PartitionServer } from '../partition/partition-server.ts';
import { SessionSeal } from '../protocol/session-seal.ts';
import type { ObjectEnvironment } from '../workers/environment.ts';
import { LinkSockets } from './link-sockets.ts';
import { ObjectPeers } from './peers.ts';
import { ObjectSqlitePort } from './sqlite-port.ts';

/** Codes that stand for a close without one, or without a frame: https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1. */
const UNSENDABLE: ReadonlySet<number> = new Set([1005, 1006, 1015]);

/** One partition as a Durable Object. */
export class PartitionObject extends DurableObject<ObjectEnvironment> {
  readonly #server: PartitionServer;
  readonly #sockets: LinkSockets;

  constructor(ctx: DurableObjectState, env: ObjectEnvironment) {
    super(ctx, env);
    const { storage } = ctx;
    this.#server = new PartitionServer({
      port: new ObjectSqlitePort(storage),
      peers: new ObjectPeers(env.PARTITION),
      secret: env.ATOLL_SECRET,
      seal: new SessionSeal(env.ATOLL_SECRET || env.ATOLL_TOKEN),
      key: null,
      durable: () => storage.sync(),
      setAlarm: (at) => void storage.setAlarm(at),
      pause: (milliseconds) => scheduler.wait(milliseconds),
      // Not before the answer that says so has left.
      abandon: () => ctx.waitUntil(scheduler.wait(0).then(() => ctx.abort('defect'))),
    });
    this.#sockets = new LinkSockets(ctx, this.#server.links);
  }

  override fetch(request: Request): Promise<Response> | Response {
    if (request.url.endsWith('/link') && request.headers.get('upgrade') === 'websocket')
      return this.#sockets.accept();
    return this.#server.fetch(request);
  }

  override async alarm(): Promise<void> {
    await this.#server.alarm();
  }

  override async webSocketMessage(socket: WebSocket, data: ArrayBuffer | string): Promise<void> {
    await this.#sockets.message(socket, data);
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    this.#sockets.closed(socket, reason === '' ? `closed with ${code}` : reason);
    // The other side waits for this one's close.
    if (!UNSENDABLE.has(code)) socket.close(code, reason);
  }

  override webSocketError(socket: WebSocket, error: unknown): void {
    this.#sockets.closed(socket, String(error));
  }
}
