import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Miniflare } from 'miniflare';
import { readWorkerConfiguration } from '../../src/cli/cluster/configuration.ts';
import { median } from '../report.ts';

const ATOLL = fileURLToPath(new URL('../../bin/atoll', import.meta.url));

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
  const child = spawn(ATOLL, ['dev', '--port', '0', '--data', join(directory, 'data')], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const stop = () => {
    child.kill('SIGINT');
    return ended;
  };
  for await (const line of createInterface(child.stdout)) if (line.startsWith('ready ')) return stop;
  throw new Error('atoll dev has ended before it was ready');
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
