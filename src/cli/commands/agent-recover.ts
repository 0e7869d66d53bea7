import { Command } from 'commander';
import type { RecoveredCopy, RecoveryReport } from '../../node-agent/recovery/report.ts';
import { CliError, EXIT } from '../failure.ts';
import { styleFor } from '../terminal/style.ts';

interface Options {
  readonly data: readonly string[];
  readonly to?: string;
  readonly acceptLoss?: boolean;
}

export function agentRecoverCommand(): Command {
  return new Command('recover')
    .description("make a cluster of its own from agents' copies: when the edge is gone for good")
    .option('--data <dir>', "an agent's directory; give each that is left", collect, [])
    .option('--to <dir>', 'the new data directory: not there yet, or empty')
    .option('--accept-loss', 'go on without the rows of partitions that have no copy')
    .addHelpText(
      'after',
      `
The agents must be stopped. Their directories are read and left as they are. What the former leader had committed and none
of the copies has is not in the new cluster; this command says up to which commit each partition goes.

Example:
  $ atoll agent recover --data ./a1 --data ./a2 --to ./recovered
  $ ATOLL_SECRET=… ATOLL_TOKEN=… atoll agent --data ./recovered --port 8788`,
    )
    .action(runRecover);
}

async function runRecover({ data, to, acceptLoss }: Options): Promise<void> {
  if (data.length === 0)
    throw new CliError(
      '--data is missing',
      "name the agents' directories: --data ./a1 --data ./a2",
      EXIT.usage,
    );
  if (to === undefined)
    throw new CliError('--to is missing', 'name the new data directory: --to ./recovered', EXIT.usage);
  const { recover } = await import('../../node-agent/recovery/recover.ts');
  const { AgentError } = await import('../../node-agent/agent-error.ts');
  const { DEFAULT_DATABASE } = await import('../../gateway/path.ts');
  try {
    const report = await recover({
      data,
      to,
      acceptLoss: acceptLoss === true,
      database: DEFAULT_DATABASE,
      now: Date.now,
      onStep: (step) => void process.stderr.write(`${step}\n`),
    });
    process.stdout.write(reportText(report, to));
  } catch (error) {
    throw error instanceof AgentError ? new CliError(error.message, error.hint) : error;
  }
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

function reportText(report: RecoveryReport, to: string): string {
  const style = styleFor(process.stdout);
  const { partitions, unusable, diverged } = report;
  const lost = partitions.filter(({ source }) => source === null);
  const lines = [
    `${style.bold('recovered')} ${report.database} into ${to}`,
    `history ${report.history}, formerly ${report.formerHistory}`,
    '',
    ...partitions.map(lineOf),
    '',
    ...lost.map(({ partition, ranges }) => {
      const tokens = ranges.map(({ start, end }) => `${start} to ${end - 1}`).join(', ');
      return `lost   partition ${partition}: all rows with tokens ${tokens}`;
    }),
    ...unusable.map(({ source, reason }) => `unused ${source}: ${reason}`),
    ...diverged.map(
      ({ partition, chosen, other, commit }) =>
        `differs partition ${partition}: at commit ${commit} ${other} has another entry than ${chosen}, which was taken`,
    ),
    'Copies follow asynchronously: what was committed after these commits, and acknowledged to clients, is not here.',
    'Each partition ends at its own commit: a transaction is in it whole or not at all, but what one partition',
    'confirmed before another may be missing while the other is there.',
    'Session tokens of before are refused with history-gone; other agents join anew, with empty directories.',
    '',
    `start it: ATOLL_SECRET=… ATOLL_TOKEN=… atoll agent --data ${to}`,
  ];
  return `${lines.join('\n')}\n`;
}

function lineOf({ partition, source, commit, time, caughtUp }: RecoveredCopy): string {
  if (source === null) return `partition ${partition}  begins empty: there was no copy`;
  const added =
    caughtUp === 0 ? '' : `, and ${caughtUp} entries of the system partition's log from other copies`;
  return `partition ${partition}  up to commit ${commit}, ${time ?? 'before the first'}, from ${source}${added}`;
}
