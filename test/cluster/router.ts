import { createGateway } from '../../src/gateway/app.ts';
import type { PartitionTransport } from '../../src/gateway/transport.ts';
import { DEADLINE_HEADER, RPC_HEADER, RPC_VERSION, TRACE_HEADER } from '../../src/protocol/rpc.ts';
import { SessionSeal } from '../../src/protocol/session-seal.ts';
import { parsed, type Reply, SECRET, type TestCluster, TOKEN } from './cluster.ts';
import { exchange } from './exchange.ts';

export interface Router {
  post(path: string, body: unknown): Promise<Reply>;
  get(path: string): Promise<Reply>;
  query(sql: string, args?: unknown): Promise<Reply>;
  /** Messages to partitions so far, by type. */
  readonly sent: Map<string, number>;
}

/** What a test does with a message on its way: `send` delivers it. */
export type OnItsWay = (
  message: { readonly type: string; readonly partition: number; readonly body: string },
  send: () => Promise<Response>,
) => Promise<Response>;

/**
 * One more router of a cluster, in this process: it knows nothing that the cluster's own one has learnt, and sends each request by itself.
 * `carried`: lets it send otherwise.
 */
export function anotherRouter(
  cluster: TestCluster,
  token = TOKEN,
  onItsWay: OnItsWay = (_, send) => send(),
  carried: (each: PartitionTransport) => PartitionTransport = (each) => each,
): Router {
  const sent = new Map<string, number>();
  const transport: PartitionTransport = {
    call: async (_database, partition, message) => {
      const { type, body, deadline, trace, signal } = message;
      sent.set(type, (sent.get(type) ?? 0) + 1);
      const headers = {
        [RPC_HEADER]: String(RPC_VERSION),
        [TRACE_HEADER]: trace,
        [DEADLINE_HEADER]: String(deadline),
      };
      const send = () => exchange(`${cluster.url}/rpc/${partition}/${type}`, headers, body, signal);
      return onItsWay({ type, partition, body: String(body) }, send);
    },
  };
  const gateway = createGateway({
    transport: carried(transport),
    staticToken: TOKEN,
    seal: new SessionSeal(SECRET),
    corsOrigins: [],
  });
  const send = async (path: string, init: RequestInit): Promise<Reply> => {
    const headers = { authorization: `Bearer ${token}` };
    const reply = await gateway.fetch(new Request(`http://router${path}`, { headers, ...init }));
    const text = await reply.text();
    return {
      status: reply.status,
      headers: reply.headers,
      text,
      json: parsed(text),
    };
  };
  const post = (path: string, body: unknown) => send(path, { method: 'POST', body: JSON.stringify(body) });
  return {
    post,
    get: (path) => send(path, {}),
    query: (sql, args) => post('/v1/query', { sql, args }),
    sent,
  };
}
