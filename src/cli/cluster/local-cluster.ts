import { connect as connectSocket, createServer } from 'node:net';
import { Log, LogLevel, Miniflare, type MiniflareOptions } from 'miniflare';
import { AtollError, type Client, createClient } from '../../client/index.ts';
import { CliError } from '../failure.ts';
import { networkView } from '../network-view.ts';
import { bundleWorker } from './bundle.ts';
import type { WorkerConfiguration } from './configuration.ts';
import { startOrphanGuard } from './orphan-guard.ts';
import { startWatchdog } from './watchdog.ts';

export interface LocalClusterOptions {
  /** 0 for a free one. */
  readonly port: number;
  readonly partitions: number;
  /** Take a cluster that is there already, however many partitions it has. */
  readonly acceptPresent?: boolean;
  /** Where workerd keeps the objects' databases. */
  readonly storage: string;
  readonly token: string;
  readonly secret: string;
  /** Takes what the Worker and workerd log, one line at a time. */
  readonly log: (line: string) => void;
  readonly configuration: WorkerConfiguration;
  readonly silenceMaxMs?: number;
}

export interface LocalCluster {
  readonly url: string;
  readonly client: Client;
  /** What `POST /v1/init` answered. */
  readonly network: unknown;
  stop(): Promise<void>;
}

/** DESIGN: "Nothing interrupts SQLite". */
const SILENCE_MAX_MS = 30_000;
const PROBE_INTERVAL_MS = 2_000;

/** Starts the Worker and its objects in workerd and makes the cluster ready. The same calls as for a deployed one. */
export async function startLocalCluster(options: LocalClusterOptions): Promise<LocalCluster> {
  const { configuration } = options;
  if (options.port !== 0) await refuseBusyPort(options.port);
  const script = await bundleWorker(configuration.main);
  const settings = miniflareOptions(options, configuration, script);
  const miniflare = withoutSignalHandlers(() => new Miniflare(settings));
  const guard = startOrphanGuard();
  let stopWatchdog: () => void = () => undefined;
  const stop = async (): Promise<void> => {
    stopWatchdog();
    await miniflare.dispose();
    guard.release();
  };

  try {
    const url = (await miniflare.ready).origin;
    guard.watch();
    const client = createClient({ url, token: options.token });
    const network = await makeReady(client, options);
    stopWatchdog = startWatchdog({
      probe: async (signal) => (await fetch(`${url}/healthz`, { signal })).arrayBuffer(),
      restart: async () => {
        options.log(
          `workerd was silent for ${(options.silenceMaxMs ?? SILENCE_MAX_MS) / 1000} s: restarting it`,
        );
        // Options replace the process; the port must stay the one that clients know.
        await miniflare.setOptions({ ...settings, port: Number(new URL(url).port) });
        guard.watch();
        options.log('workerd is back');
      },
      intervalMs: PROBE_INTERVAL_MS,
      silenceMaxMs: options.silenceMaxMs ?? SILENCE_MAX_MS,
    });
    return { url, client, network, stop };
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
}

/**
 * Miniflare ends the process at once on a signal, with 128 + its number. Here the command decides: it disposes of
 * Miniflare in order and exits with 0. What Miniflare does when the process exits otherwise stays in place.
 */
function withoutSignalHandlers<T>(make: () => T): T {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const before = new Map(signals.map((signal) => [signal, new Set(process.listeners(signal))]));
  const made = make();
  for (const signal of signals) {
    for (const listener of process.listeners(signal)) {
      if (before.get(signal)?.has(listener) !== true) process.off(signal, listener);
    }
  }
  return made;
}

/** A cluster that is there already keeps its partitions: their number is fixed when it is made. */
async function makeReady(client: Client, options: LocalClusterOptions): Promise<unknown> {
  const present = await initialize(client, options.partitions);
  const { length } = networkView(present).partitions;
  if (length === options.partitions || options.acceptPresent === true) return present;
  throw new CliError(
    `the cluster in ${options.storage} has ${length} partitions, not ${options.partitions}`,
    'leave --partitions out, or choose another directory with --data',
  );
}

async function initialize(client: Client, partitions: number): Promise<unknown> {
  try {
    return await client.call('POST', '/v1/init', { partitions });
  } catch (error) {
    if (!(error instanceof AtollError) || error.status !== 409) throw error;
    return client.network();
  }
}

function miniflareOptions(
  options: LocalClusterOptions,
  configuration: WorkerConfiguration,
  script: string,
): MiniflareOptions {
  const vars = { ...configuration.vars, ATOLL_TOKEN: options.token, ATOLL_SECRET: options.secret };
  const classes = [...new Set(configuration.objects.values())];
  return {
    host: '127.0.0.1',
    port: options.port,
    log: new LineLog(options.log),
    logRequests: false,
    cf: false,
    resourcePersistencePath: options.storage,
    handleStructuredLogs: ({ message }) => options.log(message),
    handleUncaughtError: (error) => options.log(error.stack ?? error.message),
    workers: [
      {
        config: {
          name: configuration.name,
          compatibilityDate: configuration.compatibilityDate,
          compatibilityFlags: [...configuration.compatibilityFlags],
          manifest: {
            mainModule: 'index.js',
            modulesRoot: options.storage,
            modules: { 'index.js': { type: 'esm', contents: script } },
          },
          env: {
            ...mapValues(vars, (value) => ({ type: 'text' as const, value })),
            ...mapValues(Object.fromEntries(configuration.objects), (exportName) => ({
              type: 'durable-object' as const,
              worker: configuration.name,
              exportName,
            })),
          },
          exports: Object.fromEntries(
            classes.map((name) => [name, { type: 'durable-object' as const, storage: 'sqlite' as const }]),
          ),
        },
        dev: { stripCfConnectingIp: true },
      },
    ],
  };
}

/** Miniflare would log to the console; its information is noise here, its warnings are not. */
class LineLog extends Log {
  readonly #sink: (line: string) => void;
  constructor(sink: (line: string) => void) {
    super(LogLevel.WARN);
    this.#sink = sink;
  }
  override log(message: string): void {
    this.#sink(message);
  }
}

function mapValues<From, To>(record: Record<string, From>, map: (value: From) => To): Record<string, To> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}

/**
 * Miniflare reports a busy port late, or not at all where another process listens on the wildcard address:
 * listening shows the one, connecting the other.
 */
async function refuseBusyPort(port: number): Promise<void> {
  if ((await canListen(port)) && !(await answers(port))) return;
  throw new CliError(
    `port ${port} is in use`,
    `stop what listens there, or choose another port: atoll dev --port ${port + 1} (0 takes a free one)`,
  );
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else if (error.code === 'EACCES') {
        reject(new CliError(`port ${port} needs more rights`, 'choose one above 1023 with --port'));
      } else reject(error);
    });
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectSocket(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
