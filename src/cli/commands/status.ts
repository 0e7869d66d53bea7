import { Command } from 'commander';
import { AtollError, type Client } from '../../client/index.ts';
import { type ConnectionOptions, connect, resolveUrl } from '../connection.ts';
import { lag, SUMMARY } from '../host-columns.ts';
import { type HostEntry, hostLabel, hostList } from '../host-list.ts';
import { type NetworkView, networkView, type PartitionView } from '../network-view.ts';
import { withConnection } from '../options.ts';
import { type Column, renderColumns } from '../terminal/columns.ts';
import { bytes, plural } from '../terminal/figures.ts';
import { styleFor, widthOf } from '../terminal/style.ts';

export function statusCommand(): Command {
  return withConnection(new Command('status'))
    .description('show hosts, partitions, what each owns, sizes, lags and versions')
    .option('--json', 'the network information as the server gives it')
    .addHelpText(
      'after',
      '\nExamples:\n  $ atoll status\n  $ atoll status --json | jq .partitions\n  $ atoll hosts list',
    )
    .action(async (options: ConnectionOptions & { readonly json?: boolean }) => {
      const client = connect(options);
      const reply = await client.network();
      if (options.json === true) return void process.stdout.write(`${JSON.stringify(reply, null, 2)}\n`);
      const text = describeNetwork(networkView(reply), resolveUrl(options), await hostsOf(client));
      process.stdout.write(`${text}\n`);
    });
}

/** Members, and who wants to be one; none from a server that does not know the call yet. */
export async function hostsOf(client: Client): Promise<readonly HostEntry[]> {
  try {
    const hosts = hostList(await client.call('GET', '/v1/hosts'));
    return hosts.filter(({ status }) => status !== 'refused' && status !== 'removed');
  } catch (error) {
    if (error instanceof AtollError && error.status === 404) return [];
    throw error;
  }
}

/** Epochs and schema versions are shown where partitions differ: the network's schema version stands above. */
function columns(
  { partitions, schemaVersion }: NetworkView,
  hosts: readonly HostEntry[],
): readonly Column<PartitionView>[] {
  const epochs = new Set(partitions.map(({ epoch }) => epoch));
  const differ = partitions.some((partition) => partition.schemaVersion !== schemaVersion);
  return [
    ['partition', ({ id }) => BigInt(id)],
    ['status', ({ status }) => status],
    ['host', ({ host }) => host],
    ['replicas', ({ id, host }) => replicasOf(id, host, hosts)],
    ['tokens', ({ ranges }) => ranges.map((range) => `${hex(range.start)}–${hex(range.end - 1)}`).join(' ')],
    ['share', ({ share }) => `${(share * 100).toFixed(1)} %`],
    ['size', ({ sizeBytes }) => (sizeBytes === undefined ? undefined : bytes(sizeBytes))],
    ['epoch', ({ epoch }) => (epochs.size > 1 ? integer(epoch) : undefined)],
    ['schema', (partition) => (differ ? integer(partition.schemaVersion) : undefined)],
    ['commit', ({ commit }) => integer(commit)],
    ['in doubt', ({ inDoubt }) => inDoubt && `${inDoubt.count} since ${inDoubt.since}`],
  ];
}

export function describeNetwork(network: NetworkView, url: string, hosts: readonly HostEntry[] = []): string {
  const options = { width: widthOf(process.stdout), style: styleFor(process.stdout) };
  const facts = [
    plural(network.partitions.length, 'partition'),
    hosts.length === 0 ? '' : plural(hosts.length, 'host'),
    network.schemaVersion === undefined ? '' : `schema version ${network.schemaVersion}`,
    network.version === undefined ? '' : `network version ${network.version}`,
  ].filter((fact) => fact !== '');
  const { style } = options;
  const parts = [
    `${style.bold(`database ${network.database}`)} at ${url}\n${style.dim(facts.join(' · '))}`,
    ...(hosts.length === 0 ? [] : [renderColumns(SUMMARY, hosts, options)]),
    renderColumns(columns(network, hosts), network.partitions, options),
  ];
  return parts.join('\n\n');
}

/** Hosts besides the leader's that hold the partition, with its lag where there is one. */
function replicasOf(
  partition: number,
  leader: string | undefined,
  hosts: readonly HostEntry[],
): string | undefined {
  const others = hosts.flatMap((host) => {
    const replica = host.replicas.find((each) => each.partition === partition);
    if (replica === undefined || host.id === leader) return [];
    const behind = lag(replica) ?? 'none';
    return [behind === 'none' ? hostLabel(host) : `${hostLabel(host)} (${behind})`];
  });
  return others.length === 0 ? undefined : others.join(' ');
}

function hex(token: number): string {
  return token.toString(16).padStart(8, '0');
}

function integer(value: number | undefined): bigint | undefined {
  return value === undefined ? undefined : BigInt(value);
}
