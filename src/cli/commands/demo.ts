import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { readWorkerConfiguration } from '../cluster/configuration.ts';
import type { LocalCluster } from '../cluster/local-cluster.ts';
import { onStop } from '../cluster/stop-signal.ts';
import { loadDemoData } from '../demo/data.ts';
import { present } from '../demo/present.ts';
import { STEPS } from '../demo/tour.ts';
import { CliError, EXIT } from '../failure.ts';
import { integer } from '../options.ts';
import { count, duration } from '../terminal/figures.ts';
import { styleFor } from '../terminal/style.ts';

interface Options {
  readonly partitions: number;
  readonly keep?: boolean;
}

export function demoCommand(): Command {
  return new Command('demo')
    .description('a guided tour on real data; ends by itself and leaves nothing behind')
    .option('--partitions <n>', 'partitions of its cluster', integer(1, 64), 4)
    .option('--keep', 'keep serving afterwards, until Ctrl-C')
    .addHelpText('after', '\nExamples:\n  $ atoll demo\n  $ atoll demo --keep')
    .action(runDemo);
}

async function runDemo(options: Options): Promise<void> {
  const startedAt = performance.now();
  const data = loadDemoData();
  const stopped = onStop();
  const { startLocalCluster } = await import('../cluster/local-cluster.ts');
  const directory = await mkdtemp(join(tmpdir(), 'atoll-demo-'));
  const token = randomBytes(16).toString('base64url');
  let cluster: LocalCluster | undefined;
  let interrupted = false;
  try {
    cluster = await startLocalCluster({
      port: 0,
      partitions: options.partitions,
      storage: join(directory, 'storage'),
      token,
      secret: randomBytes(32).toString('base64url'),
      configuration: readWorkerConfiguration(),
      log: (line) => void process.stderr.write(`${line}\n`),
    });
    const end = await Promise.race([
      present(cluster.url, token, data, directory).then((failed) => ({ failed })),
      stopped,
    ]);
    interrupted = end === undefined;
    if (end !== undefined) {
      closing(end.failed, performance.now() - startedAt);
      if (options.keep === true) await keepServing(cluster.url, token, stopped);
    }
  } finally {
    await cluster?.stop();
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
  // The tour does not know yet that its cluster is gone.
  if (interrupted) process.exit(EXIT.interrupted);
}

function closing(failed: number, ms: number): void {
  const style = styleFor(process.stdout);
  if (failed > 0) {
    throw new CliError(
      `${count(failed)} of ${STEPS.length} steps failed`,
      'each error stands with its step',
      EXIT.failed,
    );
  }
  process.stdout.write(`\n${style.green('✓')} ${style.bold('That was Atoll')}, in ${duration(ms)}. Next:\n`);
  process.stdout.write('    atoll dev      a cluster that keeps its data\n');
  process.stdout.write('    atoll sql      a prompt to it\n');
}

async function keepServing(url: string, token: string, stopped: Promise<void>): Promise<void> {
  process.stdout.write(`\nready ${url}\n`);
  process.stdout.write(`try   atoll sql --url ${url} --token ${token}\n`);
  process.stdout.write('Ctrl-C ends it and removes its data.\n');
  await stopped;
}
