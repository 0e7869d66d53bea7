import { Command } from 'commander';
import { connect } from '../connection.ts';
import { CliError } from '../failure.ts';
import { networkView } from '../network-view.ts';
import { integer } from '../options.ts';
import { plural } from '../terminal/figures.ts';

interface Options {
  readonly partitions: number;
  readonly replicas?: number;
  readonly token?: string;
}

export function initCommand(): Command {
  return new Command('init')
    .description('make a deployed cluster ready; repeating it does no harm')
    .argument('<url>', 'where the Worker is deployed')
    .requiredOption('--partitions <n>', 'how many partitions to create', integer(1, 4096))
    .option('--replicas <n>', 'copies of each partition on agents (default: 2)', integer(0, 64))
    .option('--token <token>', 'the admin token (default: ATOLL_TOKEN)')
    .addHelpText(
      'after',
      `
Examples:
  $ npx wrangler deploy
  $ npx wrangler secret put ATOLL_TOKEN
  $ ATOLL_TOKEN=… atoll init https://atoll.example.workers.dev --partitions 16`,
    )
    .action(async (url: string, options: Options) => {
      const client = connect({ url, token: options.token });
      const { partitions, replicas } = options;
      const body = { partitions, ...(replicas !== undefined && { replicas }) };
      const network = networkView(await client.call('POST', '/v1/init', body));
      if (network.partitions.length !== partitions) {
        throw new CliError(
          `${url} has a cluster of ${plural(network.partitions.length, 'partition')} already`,
          'their number is fixed when it is made: give that one, or deploy under another name',
        );
      }
      process.stdout.write(`${url} is ready with ${plural(network.partitions.length, 'partition')}\n`);
    });
}
