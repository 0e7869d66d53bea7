import { Command } from 'commander';
import { type ConnectionOptions, connect } from '../connection.ts';
import { CliError, EXIT } from '../failure.ts';
import { withConnection } from '../options.ts';

interface Options extends ConnectionOptions {
  readonly logRetention?: string;
  readonly logBytes?: string;
  readonly json?: boolean;
}

export function settingsCommand(): Command {
  return withConnection(new Command('settings'))
    .description("show the database's settings, or change those that are given (needs an admin token)")
    .option('--log-retention <time>', 'how long the log tells the past: 90s, 30m, 12h, 7d')
    .option('--log-bytes <size>', "what of a partition's file it may take: 64MB, 1GB")
    .option('--json', 'as the server gives them')
    .addHelpText(
      'after',
      '\nExamples:\n  $ atoll settings\n  $ atoll settings --log-retention 7d --log-bytes 1GB',
    )
    .action(run);
}

interface Settings {
  readonly logRetentionSeconds: number;
  readonly logRetentionBytes: number;
  readonly pending?: readonly number[];
}

async function run({ logRetention, logBytes, json, ...connection }: Options): Promise<void> {
  const wanted = {
    ...(logRetention !== undefined && { logRetentionSeconds: amount(logRetention, SECONDS, '90s, 12h, 7d') }),
    ...(logBytes !== undefined && { logRetentionBytes: amount(logBytes, BYTES, '64MB, 1GB') }),
  };
  const client = connect(connection);
  const reply = (
    Object.keys(wanted).length === 0
      ? await client.call('GET', '/v1/settings')
      : await client.call('PUT', '/v1/settings', wanted)
  ) as Settings;
  if (json === true) return say(JSON.stringify(reply, null, 2));
  say(
    `log retention  ${shown(reply.logRetentionSeconds, SECONDS)}, ${shown(reply.logRetentionBytes, BYTES)} in a partition`,
  );
  const { pending = [] } = reply;
  if (pending.length > 0)
    say(`partition ${pending.join(', ')} has not confirmed it yet; it will be delivered`);
}

type Units = readonly (readonly [unit: string, size: number])[];

/** The largest first. */
const SECONDS: Units = [
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
  ['s', 1],
];
const BYTES: Units = [
  ['GB', 2 ** 30],
  ['MB', 2 ** 20],
  ['KB', 2 ** 10],
];

function amount(text: string, units: Units, examples: string): number {
  const [, number, unit = ''] = /^(\d{1,9})\s*([a-z]+)$/i.exec(text) ?? [];
  const size = units.find(([name]) => name.toLowerCase() === unit.toLowerCase())?.[1];
  if (number === undefined || size === undefined)
    throw new CliError(`not understood: ${text}`, `write it like ${examples}`, EXIT.usage);
  return Number(number) * size;
}

function shown(value: number, units: Units): string {
  const [unit, size] = units.find(([, each]) => value % each === 0) ?? ['', 1];
  return `${value / size} ${unit === '' ? 'bytes' : unit}`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
