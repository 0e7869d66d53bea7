import { present } from '../../base/assert.ts';
import { SYSTEM_PARTITION } from '../../base/system-partition.ts';
import { readHead } from '../../core/log/tables.ts';
import { createGateway } from '../../gateway/app.ts';
import { linkClose } from '../../protocol/link.ts';
import { SessionSeal } from '../../protocol/session-seal.ts';
import { DataDirectory } from '../data-directory.ts';
import { type HttpServer, type HttpServerOptions, startHttpServer } from '../http-server.ts';
import type { LogEvent } from '../log.ts';
import { type Credential, credential } from './credential.ts';
import { foundHere } from './found.ts';
import { type Init, leadershipOf } from './leadership.ts';
import { LedPartitions } from './led-partitions.ts';

/** Sockets of hosts, let in or not (chosen: a thousand hosts with a few partitions each; each socket takes some kB). */
const SOCKETS_MAX = 8_192;

export interface LeadingAgentOptions {
  readonly data: string;
  readonly host: string;
  readonly port: number;
  readonly tls: HttpServerOptions['tls'];
  /** Null: the directory must lead a cluster already. */
  readonly init: Init | null;
  /** What people call this host; null: as before, or by its id. */
  readonly name: string | null;
  /** The cluster's, for hosts that join. Null: what was made here when the cluster was founded; without one none is let in. */
  readonly secret: string | null;
  /** The static admin token. Null: as for the secret; without one only tokens that were made are taken. */
  readonly token: string | null;
  readonly log: LogEvent;
}

/**
 * An agent that leads: every partition of a cluster that was founded here or recovered, on this machine. Others may join it as they
 * join the edge.
 */
export class LeadingAgent {
  readonly url: string;
  /** Its id. */
  readonly host: string;
  readonly history: string;
  readonly partitions: LedPartitions;
  readonly token: Credential | null;
  readonly secret: Credential | null;
  readonly #directory: DataDirectory;
  readonly #server: HttpServer;
  readonly #log: LogEvent;

  private constructor(parts: {
    directory: DataDirectory;
    partitions: LedPartitions;
    server: HttpServer;
    host: string;
    history: string;
    token: Credential | null;
    secret: Credential | null;
    log: LogEvent;
  }) {
    this.#directory = parts.directory;
    this.partitions = parts.partitions;
    this.#server = parts.server;
    this.url = parts.server.url;
    this.host = parts.host;
    this.history = parts.history;
    this.token = parts.token;
    this.secret = parts.secret;
    this.#log = parts.log;
  }

  /** Error: AgentError for what its operator must change; also when the directory is one of an agent that follows. */
  static async start(options: LeadingAgentOptions): Promise<LeadingAgent> {
    const { host, port, tls, init, name, log } = options;
    const directory = DataDirectory.open(options.data);
    let partitions: LedPartitions | null = null;
    try {
      const { key, database, founding, ...rest } = await leadershipOf(directory, init, name);
      const founds = founding !== null;
      const token = credential(directory, 'token', { given: options.token, founds });
      const secret = credential(directory, 'secret', { given: options.secret, founds });
      const seal = new SessionSeal(secret?.text ?? token?.text);
      const led = new LedPartitions({ ...rest, directory, database, key, secret: secret?.text, seal, log });
      partitions = led;
      if (founding !== null) await foundHere(directory, founding, led);
      const { cluster, name: called } = present(directory.host, 'what leads has a record');
      if (called !== key.host) await led.call(database, SYSTEM_PARTITION, 'leader-name', { name: called });
      const gateway = createGateway({
        transport: led,
        staticToken: token?.text ?? null,
        seal,
        corsOrigins: [],
        moreMetrics: () => metricsOf(led),
      });
      let sockets = 0;
      const server = await startHttpServer({
        host,
        port,
        tls,
        fetch: (request) => gateway.fetch(request),
        onLink: (socket, partition) => {
          const there = led.all.find((each) => each.partition === partition);
          // What an error means comes with 'close'.
          socket.on('error', () => undefined);
          if (there === undefined) socket.close(1008, `there is no partition ${partition} here`);
          else if (sockets >= SOCKETS_MAX) socket.close(linkClose.slow, 'too many hosts are here');
          else {
            sockets++;
            void there.accept(socket).finally(() => sockets--);
          }
        },
      });
      directory.announce(server.url);
      const { history } = present(cluster, 'what leads has a cluster');
      log('info', 'started', {
        host: key.host,
        url: server.url,
        data: directory.path,
        leads: led.all.length,
        history,
      });
      led.of(SYSTEM_PARTITION).ring();
      return new LeadingAgent({
        directory,
        partitions: led,
        server,
        host: key.host,
        history,
        token,
        secret,
        log,
      });
    } catch (error) {
      partitions?.close();
      directory.close();
      throw error;
    }
  }

  /** Ends what was begun, closes links and files. */
  async stop(): Promise<void> {
    this.#log('info', 'stopping');
    await this.#server.close();
    this.partitions.close();
    this.#directory.close();
    this.#log('info', 'stopped');
  }
}

/** https://prometheus.io/docs/instrumenting/exposition_formats/ */
function metricsOf(partitions: LedPartitions): string {
  const gauge = (
    name: string,
    help: string,
    value: (led: (typeof partitions.all)[number]) => number,
  ): string =>
    [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} gauge`,
      ...partitions.all.map((led) => `${name}{partition="${led.partition}"} ${value(led)}`),
      '',
    ].join('\n');
  return [
    gauge(
      'atoll_agent_commit',
      'Last commit that is applied here.',
      ({ port }) => readHead(port).lastCommitId,
    ),
    gauge('atoll_agent_followers', 'Hosts that have a link to this partition.', ({ followers }) => followers),
  ].join('');
}
