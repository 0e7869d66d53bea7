import { Command, Option } from 'commander';
import { readWorkerConfiguration } from '../cluster/configuration.ts';
import { onStop } from '../cluster/stop-signal.ts';
import { DEFAULT_DATA } from '../connection.ts';
import { openDataDirectory } from '../data-directory.ts';
import { networkView } from '../network-view.ts';
import { integer, refuseForNow } from '../options.ts';
import { plural } from '../terminal/figures.ts';
import { styleFor } from '../terminal/style.ts';
import { version } from '../version.ts';

interface Options {
  readonly port: number;
  readonly partitions: number;
  readonly data: string;
  readonly config?: string;
}

export function devCommand(): Command {
  const command = new Command('dev')
    .description('run a local cluster: the Worker and its Durable Objects in workerd')
    .option('--port <port>', 'where to serve; 0 takes a free port', integer(0, 65_535), 8787)
    .option('--partitions <n>', 'partitions of a new cluster', integer(1, 256), 4)
    .option('--data <dir>', 'where its data is kept', DEFAULT_DATA)
    .addOption(new Option('--config <file>', "another Worker's wrangler.toml").hideHelp())
    .addHelpText(
      'after',
      `
ATOLL_TOKEN in the environment is the admin token and ATOLL_SECRET the cluster's secret; else each is made
and kept in the data directory.

Examples:
  $ atoll dev
  $ atoll dev --port 9000 --partitions 8 --data /var/lib/atoll`,
    )
    .action(runDev);
  const later = 'leave it out: this version runs every partition as one Durable Object, without agents';
  return refuseForNow(command, {
    '--agents <n>': later,
    '--replicas <n>': later,
    '--voters <n>': later,
    '--voters-on <places>': later,
  });
}

async function runDev(options: Options, command: Command): Promise<void> {
  const style = styleFor(process.stdout);
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  const stopped = onStop();
  // Miniflare and esbuild take half a second to load, which no other command should pay.
  const { startLocalCluster } = await import('../cluster/local-cluster.ts');
  const directory = openDataDirectory(options.data);
  try {
    const token = process.env.ATOLL_TOKEN || directory.secret('token');
    const cluster = await startLocalCluster({
      port: options.port,
      partitions: options.partitions,
      // A directory that has a cluster keeps it, unless another number was asked for by name.
      acceptPresent: command.getOptionValueSource('partitions') === 'default',
      configuration: readWorkerConfiguration(options.config),
      storage: directory.storage,
      token,
      secret: process.env.ATOLL_SECRET || directory.secret('secret'),
      log: (line) => void process.stderr.write(`${line}\n`),
    });
    directory.announce(cluster.url);
    const { partitions } = networkView(cluster.network);
    say(`${style.bold('atoll')} ${version()} · local cluster of ${plural(partitions.length, 'partition')}`);
    say(`data   ${directory.path}${directory.isNew ? ' (new)' : ''}`);
    say(process.env.ATOLL_TOKEN ? 'token  from ATOLL_TOKEN' : `token  ${token}`);
    say(
      `try    atoll sql${options.data === DEFAULT_DATA ? '' : ` --data ${options.data}`}${urlHint(cluster.url)}`,
    );
    say(`ready ${cluster.url}`);
    await stopped;
    say('stopping');
    await cluster.stop();
  } finally {
    directory.close();
  }
}

function urlHint(url: string): string {
  return url === 'http://127.0.0.1:8787' ? '' : ` --url ${url}`;
}
