import { AtollError } from '../protocol/error.ts';
import type { SessionSeal } from '../protocol/session-seal.ts';
import { Database } from './database.ts';
import { Elsewhere } from './elsewhere.ts';
import { RouterMetrics } from './metrics/router-metrics.ts';
import { DEFAULT_DATABASE } from './path.ts';
import type { PartitionTransport } from './transport.ts';

export interface GatewayOptions {
  readonly transport: PartitionTransport;
  readonly staticToken: string | null;
  readonly seal: SessionSeal;
  /** Origins that browsers may call from; `*` is any. */
  readonly corsOrigins: readonly string[];
  /** What the host that the router runs on adds to `/metrics`: lines in the same format. */
  readonly moreMetrics?: () => string;
  /** How a router without replicas of its own calls agents' public API; without it, none is called. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

/** What a router keeps between requests. */
export class Gateway {
  readonly metrics = new RouterMetrics();
  /** Null: this router's transport finds the replicas. */
  readonly elsewhere: Elsewhere | null;
  readonly #main: Database;
  readonly #moreMetrics: () => string;

  constructor({ transport, staticToken, seal, moreMetrics, fetch }: GatewayOptions) {
    this.elsewhere = fetch === undefined ? null : new Elsewhere(fetch);
    this.#moreMetrics = moreMetrics ?? (() => '');
    this.#main = new Database(DEFAULT_DATABASE, { transport, staticToken, seal, metrics: this.metrics });
  }

  metricsText(): string {
    return this.metrics.text() + this.#moreMetrics();
  }

  database(name: string): Database {
    if (name === DEFAULT_DATABASE) return this.#main;
    throw new AtollError(
      'not-found',
      `there is no database '${name}': '${DEFAULT_DATABASE}' is the only one until databases can be created`,
    );
  }
}
