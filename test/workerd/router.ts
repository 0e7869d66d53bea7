import { env } from 'cloudflare:test';
import type { PartitionId } from '../../src/base/brand.ts';
import { createGateway } from '../../src/gateway/app.ts';
import type { PartitionTransport } from '../../src/gateway/transport.ts';
import { RPC_HEADER, RPC_VERSION } from '../../src/protocol/rpc.ts';
import { SessionSeal } from '../../src/protocol/session-seal.ts';
import type { ObjectEnvironment } from '../../src/workers/environment.ts';
import { DurableObjectTransport, partitionObjectName } from '../../src/workers/transport.ts';

const { PARTITION } = env as unknown as ObjectEnvironment;
const transport = new DurableObjectTransport(PARTITION);
let clusters = 0;
let cluster = '';

/** Name of the test's database. */
export function clusterName(): string {
  return cluster;
}

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
  readonly body: any;
}

/** A router of its own: it knows what it has asked for, and nothing of what others have changed since. */
export class Router {
  readonly #gateway = createGateway({
    transport: { call: callOwn },
    staticToken: 'tests',
    seal: new SessionSeal(null),
    corsOrigins: [],
  });

  /** A cluster of its own for one test: objects live as long as the test file. */
  static async found(partitions: number): Promise<Router> {
    cluster = `test${++clusters}`;
    const router = new Router();
    await router.post('/v1/init', { partitions });
    return router;
  }

  async post(path: string, body: unknown): Promise<Answer> {
    const context = { waitUntil: () => undefined, passThroughOnException: () => undefined, props: {} };
    const response = await this.#gateway.fetch(
      new Request(`http://atoll${path}`, {
        method: 'POST',
        headers: { authorization: 'Bearer tests', 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
      {},
      context as unknown as ExecutionContext,
    );
    return { status: response.status, body: await response.json() };
  }

  query(sql: string, ...args: unknown[]): Promise<Answer> {
    return this.post('/v1/query', { sql, args });
  }

  /** @throws unless it succeeds */
  async rows(sql: string, ...args: unknown[]): Promise<unknown[][]> {
    const { status, body } = await this.query(sql, ...args);
    if (status !== 200) throw new Error(`${sql}: ${JSON.stringify(body)}`);
    return body.rows;
  }
}

/** The test's cluster under its own name: the gateway knows `main` only. */
const callOwn: PartitionTransport['call'] = (_, id, message) => {
  const found = message.type === 'found' ? { ...JSON.parse(String(message.body)), database: cluster } : null;
  return transport.call(cluster, id, found === null ? message : { ...message, body: JSON.stringify(found) });
};

export function partition(id: number): DurableObjectStub {
  return PARTITION.get(PARTITION.idFromName(partitionObjectName(cluster, id as PartitionId)));
}

/** Sends a message as a host of the cluster does. */
export async function tell(id: number, type: string, message: unknown, waitMs = 5_000): Promise<Answer> {
  const response = await partition(id).fetch(`http://partition/${type}`, {
    method: 'POST',
    headers: { [RPC_HEADER]: String(RPC_VERSION), 'atoll-deadline': String(Date.now() + waitMs) },
    body: JSON.stringify(message),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? null : JSON.parse(text) };
}

export interface Status {
  readonly schema: number;
  readonly systemIndex: number;
  readonly hold: number | null;
}

export async function statusOf(id: number): Promise<Status> {
  return (await tell(id, 'status', {})).body as Status;
}
