import type { PartitionId } from '../../src/base/brand.ts';
import { createGateway } from '../../src/gateway/app.ts';
import { readError } from '../../src/gateway/database.ts';
import { type HttpServer, startHttpServer } from '../../src/node-agent/http-server.ts';
import { acceptLink } from '../../src/node-agent/links/accept.ts';
import type { OpenLink } from '../../src/node-agent/links/open-link.ts';
import { NodeSqlitePort } from '../../src/node-agent/sqlite-port.ts';
import { PartitionServer } from '../../src/partition/partition-server.ts';
import type { Peers } from '../../src/partition/surroundings.ts';
import { DEADLINE_HEADER, RPC_HEADER, RPC_VERSION, TRACE_HEADER } from '../../src/protocol/rpc.ts';
import { SessionSeal } from '../../src/protocol/session-seal.ts';

export const SECRET = 'the secret of the tests';
export const TOKEN = 'admin-of-the-tests';

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
type Json = any;

/** The partitions' servers, the router and their links as the edge has them, in this process: no workerd to wait for. */
export class TestEdge {
  readonly #servers = new Map<number, PartitionServer>();
  readonly #ports: NodeSqlitePort[] = [];
  readonly #links = new Set<OpenLink>();
  readonly #alarms = new Map<number, NodeJS.Timeout>();
  readonly #gateway;
  #server: HttpServer | null = null;
  /** What this edge's clock shows more than the agents'. */
  clockOffsetMs = 0;
  /** No link is taken while this is set. */
  isCut = false;

  private constructor(partitions: number) {
    for (let partition = 0; partition <= partitions; partition++) this.#serve(partition);
    const call = (partition: PartitionId, type: string, body: string | Uint8Array, deadline: number) => {
      const headers = {
        [RPC_HEADER]: String(RPC_VERSION),
        [TRACE_HEADER]: '',
        [DEADLINE_HEADER]: String(deadline),
      };
      const init = { method: 'POST', headers, body: typeof body === 'string' ? body : Buffer.from(body) };
      return this.#partition(partition).fetch(new Request(`http://partition/${type}`, init));
    };
    this.#gateway = createGateway({
      transport: { call: (_, partition, { type, body, deadline }) => call(partition, type, body, deadline) },
      staticToken: TOKEN,
      seal: new SessionSeal(SECRET),
      corsOrigins: [],
    });
  }

  static async start(partitions = 2, replicas?: number): Promise<TestEdge> {
    const edge = new TestEdge(partitions);
    await edge.listen(0);
    await edge.post('/v1/init', { partitions, ...(replicas !== undefined && { replicas }) });
    return edge;
  }

  get url(): string {
    return this.#server?.url ?? '';
  }

  async listen(port: number): Promise<void> {
    this.#server = await startHttpServer({
      host: '127.0.0.1',
      port,
      tls: null,
      fetch: (request) => this.#gateway.fetch(request),
      onLink: (socket, partition) => void this.#accept(socket, partition),
    });
  }

  /** The way to it is gone: links end without a word, and no new ones are taken. */
  cut(): void {
    this.isCut = true;
    for (const { link } of this.#links) link.close(4999, 'cut');
  }

  mend(): void {
    this.isCut = false;
  }

  /** By hand: hosts that are dead would be waited for when others propose themselves. */
  async removeAgents(): Promise<void> {
    const { hosts } = await call(this.url, '/v1/hosts');
    for (const { host, kind } of hosts) if (kind === 'agent') await this.post(`/v1/hosts/${host}/remove`, {});
  }

  async post(path: string, body: unknown): Promise<Json> {
    return call(this.url, path, body);
  }

  async rows(sql: string, args?: unknown): Promise<unknown[][]> {
    return (await this.post('/v1/query', { sql, args })).rows;
  }

  async close(): Promise<void> {
    for (const timer of this.#alarms.values()) clearTimeout(timer);
    await this.#server?.close();
    for (const port of this.#ports) port.close();
  }

  #partition(partition: number): PartitionServer {
    const server = this.#servers.get(partition);
    if (server === undefined) throw new Error(`no partition ${partition}`);
    return server;
  }

  #serve(partition: number): void {
    const port = new NodeSqlitePort(':memory:', { synchronous: 'OFF' });
    this.#ports.push(port);
    const peers: Peers = {
      call: async (_, to, type, message) => {
        const headers = { [RPC_HEADER]: String(RPC_VERSION), [DEADLINE_HEADER]: String(Date.now() + 10_000) };
        const request = new Request(`http://partition/${type}`, {
          method: 'POST',
          headers,
          body: JSON.stringify(message),
        });
        const reply = await this.#partition(to).fetch(request);
        if (!reply.ok) throw await readError(reply);
        return (await reply.json()) as Json;
      },
    };
    const server = new PartitionServer({
      port,
      peers,
      secret: SECRET,
      seal: new SessionSeal(SECRET),
      key: null,
      durable: async () => undefined,
      setAlarm: (at) => {
        clearTimeout(this.#alarms.get(partition));
        this.#alarms.set(
          partition,
          setTimeout(() => void server.alarm(), Math.max(0, at - Date.now())),
        );
      },
      pause: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
      abandon: () => undefined,
    });
    this.#servers.set(partition, server);
  }

  async #accept(
    socket: Parameters<Parameters<typeof startHttpServer>[0]['onLink']>[0],
    partition: number,
  ): Promise<void> {
    const { links } = this.#partition(partition);
    const acceptor = await links.acceptor();
    if (this.isCut || acceptor === null) {
      socket.terminate();
      return;
    }
    try {
      const { open, accepted } = await acceptLink(
        socket,
        acceptor,
        (host) => links.handlers(host),
        () => undefined,
        () => Date.now() + this.clockOffsetMs,
      );
      this.#links.add(open);
      links.opened(open.link, accepted, false);
      await open.closed;
      this.#links.delete(open);
      links.ended(open.link);
    } catch {
      // The other side was refused, and has been told why.
    }
  }
}

/** A call of the public API. Error: the whole answer, unless it is one of success. */
export async function call(url: string, path: string, body?: unknown): Promise<Json> {
  const reply = await fetch(url + path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await reply.text();
  if (!reply.ok) throw new Error(`${reply.status} ${text}`);
  return JSON.parse(text);
}
