import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Miniflare } from 'miniflare';
import { readWorkerConfiguration } from '../../src/cli/cluster/configuration.ts';
import { startEdge } from '../agents/processes.ts';
import { median } from '../report.ts';

/** How long `npm start` takes until it is ready with an empty database, beside a Miniflare with a Worker that does nothing. */
export async function benchStart(rounds: number): Promise<void> {
  const times: { atoll: number[]; bare: number[] } = { atoll: [], bare: [] };
  for (let round = 0; round < rounds; round++) {
    times.bare.push(await timeOf(startBare));
    times.atoll.push(await timeOf(startAtoll));
  }
  const [atoll, bare] = [median(times.atoll), median(times.bare)];
  console.log(
    `from start to ready: ${atoll.toFixed(2)} s, a bare Miniflare ${bare.toFixed(2)} s (target: below 5 s)`,
  );
}

type Stop = () => Promise<unknown>;

/** Seconds until it has started. */
async function timeOf(start: (directory: string) => Promise<Stop>): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'atoll-bench-start-'));
  const begun = performance.now();
  const stop = await start(directory);
  const seconds = (performance.now() - begun) / 1_000;
  await stop();
  await rm(directory, { recursive: true, force: true });
  return seconds;
}

async function startAtoll(directory: string): Promise<Stop> {
  const { process } = await startEdge(join(directory, 'data'), 4);
  return () => process.stop();
}

async function startBare(directory: string): Promise<Stop> {
  const miniflare = new Miniflare({
    host: '127.0.0.1',
    port: 0,
    cf: false,
    resourcePersistencePath: directory,
    workers: [
      {
        config: {
          name: 'bare',
          compatibilityDate: readWorkerConfiguration().compatibilityDate,
          compatibilityFlags: [],
          manifest: {
            mainModule: 'index.js',
            modulesRoot: directory,
            modules: {
              'index.js': { type: 'esm', contents: 'export default { fetch: () => new Response("bare") };' },
            },
          },
        },
      },
    ],
  });
  await miniflare.ready;
  return () => miniflare.dispose();
}
