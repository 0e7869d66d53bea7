import { Miniflare } from 'miniflare';
import { AtollError, type Client, createClient } from '../../client/index.ts';
import { CliError } from '../failure.ts';
import { networkView } from '../network-view.ts';
import { bundleWorker } from './bundle.ts';
import { miniflareOptions, type WorkerdSettings } from './miniflare-options.ts';
import { startOrphanGuard } from './orphan-guard.ts';
import { refuseBusyPort } from './port.ts';
import { startWatchdog } from './watchdog.ts';

export interface LocalClusterOptions extends WorkerdSettings {
  readonly partitions: number;
  /** Copies of each partition on agents; without it, as it was, or the default of `POST /v1/init`. */
  readonly replicas?: number;
  /** Take a cluster that is there already, however many partitions it has. */
  readonly acceptPresent?: boolean;
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
/** Miniflare brings a workerd that ended back within a second, unless that one ends while it starts (measured). */
const ABSENCE_MAX_MS = 3_000;
const PROBE_INTERVAL_MS = 2_000;

/** Starts the Worker and its objects in workerd and makes the cluster ready. The same calls as for a deployed one. */
export async function startLocalCluster(options: LocalClusterOptions): Promise<LocalCluster> {
  if (options.port !== 0) await refuseBusyPort(options.port);
  const script = await bundleWorker(options.configuration.main);
  const guard = startOrphanGuard();
  const settings = {
    ...miniflareOptions(options, script),
    // Miniflare starts another workerd when one has crashed.
    unsafeHandleRuntimeRestart: () => guard.watch(),
  };
  const miniflare = withoutSignalHandlers(() => new Miniflare(settings));
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
    const silenceMaxMs = options.silenceMaxMs ?? SILENCE_MAX_MS;
    stopWatchdog = startWatchdog({
      probe: async (signal) => (await fetch(`${url}/healthz`, { signal })).arrayBuffer(),
      restart: async () => {
        options.log(`workerd was gone, or silent for ${silenceMaxMs / 1000} s: restarting it`);
        try {
          // Options replace the process; the port must stay the one that clients know.
          await miniflare.setOptions({ ...settings, port: Number(new URL(url).port) });
          guard.watch();
          options.log('workerd is back');
        } catch (error) {
          options.log(`workerd does not start: ${(error as Error).message}; trying again`);
        }
      },
      intervalMs: PROBE_INTERVAL_MS,
      silenceMaxMs,
      absenceMaxMs: ABSENCE_MAX_MS,
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
  const { partitions, replicas } = options;
  const present = await initialize(client, { partitions, ...(replicas !== undefined && { replicas }) });
  const { length } = networkView(present).partitions;
  if (length === partitions || options.acceptPresent === true) return present;
  throw new CliError(
    `the cluster in ${options.storage} has ${length} partitions, not ${partitions}`,
    'leave --partitions out, or choose another directory with --data',
  );
}

async function initialize(client: Client, body: { partitions: number; replicas?: number }): Promise<unknown> {
  try {
    return await client.call('POST', '/v1/init', body);
  } catch (error) {
    if (!(error instanceof AtollError) || error.status !== 409) throw error;
    return client.network();
  }
}
