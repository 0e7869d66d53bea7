import { createGateway } from '../../src/gateway/app.ts';
import type { PartitionMessage, PartitionTransport } from '../../src/gateway/transport.ts';
import { DEADLINE_HEADER, RPC_HEADER, RPC_VERSION, TRACE_HEADER } from '../../src/protocol/rpc.ts';
import { parsed, type Reply, type TestCluster, TOKEN } from './cluster.ts';
import { exchange } from './exchange.ts';

export interface Router {
  post(path: string, body: unknown): Promise<Reply>;
  get(path: string): Promise<Reply>;
  query(sql: string, args?: unknown): Promise<Reply>;
  /** Messages to partitions so far, by type. */
  readonly sent: Map<string, number>;
}

/**
 * One more router of a cluster, in this process: it knows nothing that the cluster's own one has learnt. A message that
 * `meddle` rejects is lost.
 */
export function anotherRouter(
  cluster: TestCluster,
  token = TOKEN,
  meddle: (partition: number, message: PartitionMessage) => Promise<void> = async () => undefined,
): Router {
  const sent = new Map<string, number>();
  const transport: PartitionTransport = {
    call: async (_database, partition, message) => {
      const { type, body, deadline, trace, signal } = message;
      await meddle(partition, message);
      sent.set(type, (sent.get(type) ?? 0) + 1);
      const headers = {
        [RPC_HEADER]: String(RPC_VERSION),
        [TRACE_HEADER]: trace,
        [DEADLINE_HEADER]: String(deadline),
      };
      return exchange(`${cluster.url}/rpc/${partition}/${type}`, headers, body, signal);
    },
  };
  const gateway = createGateway({ transport, staticToken: TOKEN, corsOrigins: [] });
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
