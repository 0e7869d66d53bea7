import { join } from 'node:path';
import { Command, Option } from 'commander';
import { readWorkerConfiguration } from '../cluster/configuration.ts';
import { type LocalAgents, startLocalAgents } from '../cluster/local-agents.ts';
import { refuseBusyPort } from '../cluster/port.ts';
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
  readonly agents: number;
  readonly replicas?: number;
  readonly config?: string;
  readonly agentProgram?: string[];
}

/** How long `ready` waits for agents to serve, ms (chosen: the cluster itself serves already). */
const AGENTS_WAIT_MS = 10_000;

export function devCommand(): Command {
  const command = new Command('dev')
    .description('run a local cluster: the Worker and its Durable Objects in workerd')
    .option('--port <port>', 'where to serve; 0 takes a free port', integer(0, 65_535), 8787)
    .option('--partitions <n>', 'partitions of a new cluster', integer(1, 256), 4)
    .option('--data <dir>', 'where its data is kept', DEFAULT_DATA)
    .option('--agents <n>', 'node agents, each a process on the next port', integer(0, 32), 0)
    .option('--replicas <n>', 'copies of each partition on agents (default: 2)', integer(0, 64))
    .addOption(new Option('--config <file>', "another Worker's wrangler.toml").hideHelp())
    .addOption(new Option('--agent-program <words...>', 'in place of this program').hideHelp())
    .addHelpText(
      'after',
      `
ATOLL_TOKEN in the environment is the admin token and ATOLL_SECRET the cluster's secret; else each is made
and kept in the data directory.

Examples:
  $ atoll dev
  $ atoll dev --agents 2
  $ atoll dev --port 9000 --partitions 8 --data /var/lib/atoll`,
    )
    .action(runDev);
  const later = 'leave it out: the one voter of every partition is its Durable Object, agents are learners';
  return refuseForNow(command, { '--voters <n>': later, '--voters-on <places>': later });
}

async function runDev(options: Options, command: Command): Promise<void> {
  const style = styleFor(process.stdout);
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  const stopped = onStop();
  // Miniflare and esbuild take half a second to load, which no other command should pay.
  const { startLocalCluster } = await import('../cluster/local-cluster.ts');
  await refuseBusyPorts(options);
  const directory = openDataDirectory(options.data);
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  let agents: LocalAgents | undefined;
  try {
    const token = process.env.ATOLL_TOKEN || directory.secret('token');
    const secret = process.env.ATOLL_SECRET || directory.secret('secret');
    const cluster = await startLocalCluster({
      port: options.port,
      partitions: options.partitions,
      ...(options.replicas !== undefined && { replicas: options.replicas }),
      // A directory that has a cluster keeps it, unless another number was asked for by name.
      acceptPresent: command.getOptionValueSource('partitions') === 'default',
      configuration: readWorkerConfiguration(options.config),
      storage: directory.storage,
      token,
      secret,
      log,
    });
    directory.announce(cluster.url);
    agents = startLocalAgents({
      count: options.agents,
      firstPort: options.port === 0 ? 0 : options.port + 1,
      join: cluster.url,
      directory: join(directory.path, 'agents'),
      token,
      secret,
      log,
      ...(options.agentProgram && { program: options.agentProgram }),
    });
    const { partitions } = networkView(cluster.network);
    const { length } = partitions;
    say(`${style.bold('atoll')} ${version()} · local cluster of ${plural(length, 'partition')}`);
    say(`data   ${directory.path}${directory.isNew ? ' (new)' : ''}`);
    say(process.env.ATOLL_TOKEN ? 'token  from ATOLL_TOKEN' : `token  ${token}`);
    say(process.env.ATOLL_SECRET ? 'secret from ATOLL_SECRET' : `secret ${secret}`);
    const where = options.data === DEFAULT_DATA ? '' : ` --data ${options.data}`;
    say(`try    atoll sql${where}${urlHint(cluster.url)}`);
    for (const serving of agents.serving) void serving.then((url) => say(`agent ${url}`));
    await Promise.race([stopped, agents.allServing(AGENTS_WAIT_MS)]);
    say(`ready ${cluster.url}`);
    await stopped;
    say('stopping');
    await agents.stop();
    await cluster.stop();
  } finally {
    await agents?.stop();
    directory.close();
  }
}

/** Before anything is started: an agent that finds its port taken would only be started again and again. */
async function refuseBusyPorts({ port, agents }: Options): Promise<void> {
  if (port === 0) return;
  for (let offset = 0; offset <= agents; offset++) await refuseBusyPort(port + offset, port + agents + 1);
}

function urlHint(url: string): string {
  return url === 'http://127.0.0.1:8787' ? '' : ` --url ${url}`;
}
