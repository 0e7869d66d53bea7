import { existsSync } from 'node:fs';
import type { PartitionId } from '../../base/brand.ts';
import { readHead } from '../../core/log/tables.ts';
import { readFormat } from '../../core/replica/format.ts';
import { leadingHost } from '../../core/replica/leading-host.ts';
import { createGateway } from '../../gateway/app.ts';
import { linkClose } from '../../protocol/link.ts';
import { importHostKey } from '../../rpc/host-key.ts';
import { AgentError } from '../agent-error.ts';
import { DataDirectory, partitionFile } from '../data-directory.ts';
import { type HttpServer, type HttpServerOptions, startHttpServer } from '../http-server.ts';
import type { LogEvent } from '../log.ts';
import { NodeSqlitePort } from '../sqlite-port.ts';
import { LedPartitions } from './led-partitions.ts';

const SYSTEM_PARTITION = 0 as PartitionId;
/** Sockets of hosts, let in or not (chosen: a thousand hosts with a few partitions each; each socket takes some kB). */
const SOCKETS_MAX = 8_192;

export interface LeadingAgentOptions {
  readonly data: string;
  readonly host: string;
  readonly port: number;
  readonly tls: HttpServerOptions['tls'];
  /** The cluster's, for hosts that join; null: none is let in. */
  readonly secret: string | null;
  /** The static admin token. */
  readonly token: string | null;
  readonly log: LogEvent;
}

/** An agent that leads: every partition of a cluster that was recovered, on this machine. Others may join it as they join the edge. */
export class LeadingAgent {
  readonly url: string;
  /** Its id. */
  readonly host: string;
  readonly history: string;
  readonly partitions: LedPartitions;
  readonly #directory: DataDirectory;
  readonly #server: HttpServer;
  readonly #log: LogEvent;

  private constructor(parts: {
    directory: DataDirectory;
    partitions: LedPartitions;
    server: HttpServer;
    host: string;
    history: string;
    log: LogEvent;
  }) {
    this.#directory = parts.directory;
    this.partitions = parts.partitions;
    this.#server = parts.server;
    this.url = parts.server.url;
    this.host = parts.host;
    this.history = parts.history;
    this.#log = parts.log;
  }

  /** Error: AgentError for what its operator must change; also when the directory is one of an agent that follows. */
  static async start(options: LeadingAgentOptions): Promise<LeadingAgent> {
    const { host, port, tls, secret, token, log } = options;
    const directory = DataDirectory.open(options.data);
    let partitions: LedPartitions | null = null;
    try {
      const { host: record } = directory;
      const cluster = record?.cluster ?? null;
      if (record === null || cluster === null) throw notLeading(directory);
      const key = await importHostKey(record.key);
      if (!isLedBy(directory, cluster.database, key.host)) throw notLeading(directory);
      const led = new LedPartitions({
        directory,
        database: cluster.database,
        key,
        secret: secret ?? undefined,
        log,
      });
      partitions = led;
      const gateway = createGateway({
        transport: led,
        staticToken: token,
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
      const { history } = cluster;
      log('info', 'started', {
        host: key.host,
        url: server.url,
        data: directory.path,
        leads: led.all.length,
        history,
      });
      led.of(SYSTEM_PARTITION).ring();
      return new LeadingAgent({ directory, partitions: led, server, host: key.host, history, log });
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

/** Looks without a server, which would write: what follows another leader must not be written here. */
function isLedBy(directory: DataDirectory, database: string, host: string): boolean {
  const file = partitionFile(directory.path, { database, partition: SYSTEM_PARTITION });
  if (!existsSync(file)) return false;
  const port = new NodeSqlitePort(file);
  try {
    return readFormat(port) !== null && leadingHost(port) === host;
  } finally {
    port.close();
  }
}

function notLeading({ path }: DataDirectory): AgentError {
  return new AgentError(
    `${path} does not lead a cluster`,
    'name the cluster that it shall join: --join http://127.0.0.1:8787; or make a cluster from copies with `atoll agent recover`',
  );
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
