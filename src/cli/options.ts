import { type Command, InvalidArgumentError, Option } from 'commander';
import { CliError, EXIT } from './failure.ts';

/** `--url`, `--token`, `--data`: of every command that talks to a cluster. */
export function withConnection(command: Command): Command {
  return command
    .option('--url <url>', 'the cluster (default: ATOLL_URL, else http://127.0.0.1:8787)')
    .option('--token <token>', 'the token (default: ATOLL_TOKEN, else the one `atoll dev` made)')
    .option(
      '--data <dir>',
      'data directory of the `atoll dev` or `atoll agent --init` whose token to use',
      '.atoll',
    );
}

/** An integer within bounds, or a message that names them. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

/** Documented options whose feature does not exist yet: known, hidden from help, and refused rather than ignored. */
export function refuseForNow(command: Command, options: Readonly<Record<string, string>>): Command {
  for (const [flags, instead] of Object.entries(options)) {
    const name = flags.split(' ')[0] ?? flags;
    command.addOption(
      new Option(flags).hideHelp().argParser(() => {
        throw new CliError(`${name} is not there yet`, instead, EXIT.usage);
      }),
    );
  }
  return command;
}
