import type { PartitionId } from '../../src/base/brand.ts';
import { createGateway, type PublicApi } from '../../src/gateway/app.ts';
import { SessionSeal } from '../../src/protocol/session-seal.ts';
import type { Coverage } from './coverage.ts';
import type { Actor, EventLoop } from './event-loop.ts';
import { FollowerHost } from './follower-host.ts';
import { Network } from './network.ts';
import { PartitionHost } from './partition-host.ts';

const TOKEN = 'simulation';
/** After which a client goes on without an answer. */
const PATIENCE_MS = 5_000;

interface Router extends Actor {
  gateway: PublicApi;
}

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: workloads look into answers of every shape.
  readonly json: any;
}

/** Routers and partitions, as they are, over simulated storage, network and clocks. */
export class SimulatedCluster {
  readonly network: Network;
  readonly partitions: PartitionHost[] = [];
  readonly routers: Router[] = [];
  readonly followers: FollowerHost[] = [];
  readonly defects: unknown[] = [];
  readonly #loop: EventLoop;
  readonly #coverage: Coverage;
  /** Clients that wait at a router: they hear nothing when it dies. */
  readonly #waiting = new Map<Router, Set<() => void>>();

  constructor(loop: EventLoop, coverage: Coverage, partitions: number, routers: number) {
    this.#loop = loop;
    this.#coverage = coverage;
    this.network = new Network(loop, coverage);
    for (let id = 0; id <= partitions; id++) {
      const host = new PartitionHost({
        loop,
        id: id as PartitionId,
        peers: (own) => this.network.peers(own),
        coalescing: this.network.coalescing,
        defect: (error) => this.defects.push(error),
        restarted: ({ port }) => {
          const { rows } = port.query("SELECT 1 FROM sqlite_schema WHERE name = '_atoll_prepared'");
          if (rows.length === 0) return;
          if (port.query('SELECT 1 FROM _atoll_prepared LIMIT 1').rows.length > 0) coverage.recoveries++;
        },
      });
      this.partitions.push(host);
      this.network.add(host);
    }
    for (let i = 0; i < routers; i++) this.routers.push(this.#startRouter(i));
  }

  #startRouter(number: number): Router {
    const router = { name: `router ${number}`, clockOffsetMs: 0, alive: true } as Router;
    router.gateway = createGateway({
      transport: this.network.transport(router),
      staticToken: TOKEN,
      seal: new SessionSeal(null),
      corsOrigins: [],
    });
    this.#waiting.set(router, new Set());
    return router;
  }

  killRouter(number: number): void {
    const router = this.routers[number] as Router;
    router.alive = false;
    this.#coverage.routerDeaths++;
    this.routers[number] = this.#startRouter(number);
    for (const lost of this.#waiting.get(router) ?? []) lost();
    this.#waiting.delete(router);
  }

  /** A client's request to a router; null: no answer came. */
  ask(client: Actor, number: number, path: string, body: unknown, method = 'POST'): Promise<Answer | null> {
    const router = this.routers[number] as Router;
    const loop = this.#loop;
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(router);
      let settled = false;
      const settle = (answer: Answer | null): void => {
        if (settled) return;
        settled = true;
        patience.cancelled = true;
        waiting?.delete(lost);
        loop.schedule(0.1, client, () => resolve(answer));
      };
      const lost = (): void => settle(null);
      waiting?.add(lost);
      // A router that has just started knows nothing, and waits for the network longer than a client does.
      const patience = loop.schedule(PATIENCE_MS, client, lost);
      loop.schedule(0.1, router, () => {
        const request = new Request(`http://atoll${path}`, {
          method,
          headers: {
            authorization: `Bearer ${TOKEN}`,
            'content-type': typeof body === 'string' ? 'application/x-ndjson' : 'application/json',
          },
          ...(method !== 'GET' && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        });
        Promise.resolve(router.gateway.fetch(request))
          .then(async (response) => ({ status: response.status, text: await response.text() }))
          .then(({ status, text }) => {
            if (status === 500) this.defects.push(new Error(text));
            return { status, json: readJson(text) };
          })
          .then(settle, (error: unknown) => {
            this.defects.push(error);
            settle(null);
          });
      });
    });
  }

  /** Past the routers, which would make keys: those take threads, and with them another order each time. */
  async found(): Promise<void> {
    const message = { database: 'main', partitions: this.partitions.length - 1, settings: {} };
    const operator: Actor = { name: 'the founder', clockOffsetMs: 0, alive: true };
    const { call } = this.network.transport(operator);
    const body = JSON.stringify(message);
    const response = await call('main', 0 as PartitionId, {
      type: 'found',
      body,
      deadline: Date.now() + 10_000,
      trace: '',
    });
    if (!response.ok) throw new Error(`found: ${await response.text()}`);
  }

  get hosts(): readonly PartitionHost[] {
    return this.partitions;
  }

  /** From now on there is a copy of each partition. */
  follow(): void {
    const [loop, network, coverage] = [this.#loop, this.network, this.#coverage];
    const defect = (error: unknown): unknown => this.defects.push(error);
    for (const leader of this.partitions) {
      const follower = new FollowerHost({ loop, network, coverage, leader, defect });
      this.followers.push(follower);
      network.addFollower(leader.id, follower);
      follower.start();
    }
  }

  close(): void {
    for (const follower of this.followers) follower.close();
    for (const host of this.partitions) host.close();
  }
}

/** @throws Error that shows what no client could read */
function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`an answer that is no JSON: ${text}`, { cause: error });
  }
}
