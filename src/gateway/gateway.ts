import { AtollError } from '../protocol/error.ts';
import { Database } from './database.ts';
import { RouterMetrics } from './metrics/router-metrics.ts';
import { DEFAULT_DATABASE } from './path.ts';
import type { PartitionTransport } from './transport.ts';

export interface GatewayOptions {
  readonly transport: PartitionTransport;
  readonly staticToken: string | null;
  /** Origins that browsers may call from; `*` is any. */
  readonly corsOrigins: readonly string[];
}

/** What a router keeps between requests. */
export class Gateway {
  readonly metrics = new RouterMetrics();
  readonly #main: Database;

  constructor({ transport, staticToken }: GatewayOptions) {
    this.#main = new Database(DEFAULT_DATABASE, transport, staticToken, this.metrics);
  }

  database(name: string): Database {
    if (name === DEFAULT_DATABASE) return this.#main;
    throw new AtollError(
      'not-found',
      `there is no database '${name}': '${DEFAULT_DATABASE}' is the only one until databases can be created`,
    );
  }
}
