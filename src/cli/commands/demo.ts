import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { readWorkerConfiguration } from '../cluster/configuration.ts';
import { type LocalAgents, startLocalAgents } from '../cluster/local-agents.ts';
import type { LocalCluster } from '../cluster/local-cluster.ts';
import { onStop } from '../cluster/stop-signal.ts';
import { loadDemoData } from '../demo/data.ts';
import { type Outcome, present } from '../demo/present.ts';
import { CliError, EXIT } from '../failure.ts';
import { integer } from '../options.ts';
import { count, duration } from '../terminal/figures.ts';
import { styleFor } from '../terminal/style.ts';

/** Node agents of its cluster: each has a copy of everything. */
const AGENTS = 2;
/** What they may take to serve, ms (chosen: about a second on an idle machine). */
const AGENTS_WAIT_MS = 15_000;
/** Of what they have logged, when they do not. */
const LOGGED_SHOWN = 5;

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
  const interruption = new AbortController();
  void stopped.then(() => interruption.abort());
  const { startLocalCluster } = await import('../cluster/local-cluster.ts');
  const directory = await mkdtemp(join(tmpdir(), 'atoll-demo-'));
  const token = randomBytes(16).toString('base64url');
  const secret = randomBytes(32).toString('base64url');
  let cluster: LocalCluster | undefined;
  let agents: LocalAgents | undefined;
  let interrupted = false;
  try {
    cluster = await startLocalCluster({
      port: 0,
      partitions: options.partitions,
      storage: join(directory, 'storage'),
      token,
      secret,
      configuration: readWorkerConfiguration(),
      log: (line) => void process.stderr.write(`${line}\n`),
    });
    const { url } = cluster;
    const files = join(directory, 'agents');
    const logged: string[] = [];
    agents = startLocalAgents({
      count: AGENTS,
      firstPort: 0,
      join: cluster.url,
      directory: files,
      token,
      secret,
      log: (line) => void logged.push(line),
    });
    const serving = agents.allServing(AGENTS_WAIT_MS).then((urls) => {
      if (urls !== null) return urls;
      throw new CliError(
        'the agents of the demo do not start',
        logged.slice(-LOGGED_SHOWN).join('\n       '),
      );
    });
    const tour = serving.then((urls) =>
      present(url, token, data, directory, { urls, directory: files, token }, interruption.signal),
    );
    const end = await Promise.race([tour, stopped]);
    interrupted = end === undefined;
    if (end !== undefined) {
      closing(end, performance.now() - startedAt);
      if (options.keep === true) await keepServing(cluster.url, token, stopped);
    }
  } finally {
    await agents?.stop();
    await cluster?.stop();
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
  // The tour does not know yet that its cluster is gone.
  if (interrupted) process.exit(EXIT.interrupted);
}

function closing({ steps, failed }: Outcome, ms: number): void {
  const style = styleFor(process.stdout);
  if (failed > 0) {
    throw new CliError(
      `${count(failed)} of ${count(steps)} steps failed`,
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
