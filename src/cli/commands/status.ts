import { Command } from 'commander';
import type { SqlOutput } from '../../client/index.ts';
import { type ConnectionOptions, connect, resolveUrl } from '../connection.ts';
import { type NetworkView, networkView, type PartitionView } from '../network-view.ts';
import { withConnection } from '../options.ts';
import { bytes, plural } from '../terminal/figures.ts';
import { styleFor, widthOf } from '../terminal/style.ts';
import { renderTable } from '../terminal/table.ts';

export function statusCommand(): Command {
  return withConnection(new Command('status'))
    .description('show partitions, what each owns, sizes and versions')
    .option('--json', 'the network information as the server gives it')
    .addHelpText('after', '\nExamples:\n  $ atoll status\n  $ atoll status --json | jq .partitions')
    .action(async (options: ConnectionOptions & { readonly json?: boolean }) => {
      const reply = await connect(options).network();
      if (options.json === true) process.stdout.write(`${JSON.stringify(reply, null, 2)}\n`);
      else process.stdout.write(`${describeNetwork(networkView(reply), resolveUrl(options))}\n`);
    });
}

/** Columns that no partition has a value for are left out. */
const COLUMNS: readonly (readonly [name: string, (partition: PartitionView) => SqlOutput | undefined])[] = [
  ['partition', ({ id }) => BigInt(id)],
  ['status', ({ status }) => status],
  ['host', ({ host }) => host],
  ['tokens', ({ ranges }) => ranges.map((range) => `${hex(range.start)}–${hex(range.end - 1)}`).join(' ')],
  ['share', ({ share }) => `${(share * 100).toFixed(1)} %`],
  ['size', ({ sizeBytes }) => (sizeBytes === undefined ? undefined : bytes(sizeBytes))],
  ['epoch', ({ epoch }) => integer(epoch)],
  ['schema', ({ schemaVersion }) => integer(schemaVersion)],
  ['commit', ({ commit }) => integer(commit)],
];

export function describeNetwork(network: NetworkView, url: string): string {
  const style = styleFor(process.stdout);
  const shown = COLUMNS.filter(([, of]) =>
    network.partitions.some((partition) => of(partition) !== undefined),
  );
  const table = renderTable(
    shown.map(([name]) => name),
    network.partitions.map((partition) => shown.map(([, of]) => of(partition) ?? null)),
    { width: widthOf(process.stdout), style },
  );
  const facts = [
    plural(network.partitions.length, 'partition'),
    network.schemaVersion === undefined ? '' : `schema version ${network.schemaVersion}`,
    network.version === undefined ? '' : `network version ${network.version}`,
  ].filter((fact) => fact !== '');
  return `${style.bold(`database ${network.database}`)} at ${url}\n${style.dim(facts.join(' · '))}\n\n${table}`;
}

function hex(token: number): string {
  return token.toString(16).padStart(8, '0');
}

function integer(value: number | undefined): bigint | undefined {
  return value === undefined ? undefined : BigInt(value);
}
