import { Command } from 'commander';
import type { Client } from '../../client/index.ts';
import { type ConnectionOptions, connect } from '../connection.ts';
import { CliError } from '../failure.ts';
import { IDENTITY, REPLICA, SUMMARY } from '../host-columns.ts';
import { type HostEntry, hostLabel, hostList } from '../host-list.ts';
import { withConnection } from '../options.ts';
import { renderColumns } from '../terminal/columns.ts';
import { styleFor, widthOf } from '../terminal/style.ts';

interface Options extends ConnectionOptions {
  readonly json?: boolean;
}

/** What an operator decides, and what follows from it. */
const ACTIONS = {
  accept: 'make a proposed host a member now, without waiting for votes',
  refuse: 'refuse a proposed host; it may propose itself again',
  drain: 'move what a host holds to other hosts, and send it no more reads',
  remove: 'end a membership: nothing waits for the host any more, and it must be accepted again',
} as const;

type Action = keyof typeof ACTIONS;

export function hostsCommand(): Command {
  const hosts = new Command('hosts').description(
    'show hosts and what they hold; accept, refuse, drain or remove one (needs an admin token)',
  );
  withConnection(hosts.command('list'))
    .description('show hosts, or each replica of one')
    .argument('[host]', 'its id, the beginning of it, or its name')
    .option('--json', 'as the server gives it')
    .action(list);
  for (const [action, description] of Object.entries(ACTIONS) as [Action, string][]) {
    withConnection(hosts.command(action))
      .description(description)
      .argument('<host>', 'its id, the beginning of it, or its name')
      .option('--json', 'all hosts as they are afterwards, as the server gives them')
      .action((host: string, options: Options) => decide(action, host, options));
  }
  return hosts.addHelpText(
    'after',
    '\nExamples:\n  $ atoll hosts list\n  $ atoll hosts list a1\n  $ atoll hosts accept a1\n  $ atoll hosts drain a1 && atoll hosts list a1\n  $ atoll hosts remove a1',
  );
}

async function list(name: string | undefined, options: Options): Promise<void> {
  const reply = await connect(options).call('GET', '/v1/hosts');
  const hosts = hostList(reply);
  const one = name === undefined ? undefined : hostNamed(name, hosts);
  if (options.json === true) say(JSON.stringify(one === undefined ? reply : raw(reply, one), null, 2));
  else say(one === undefined ? describeHosts(hosts) : describeHost(one));
}

async function decide(action: Action, name: string, options: Options): Promise<void> {
  const client = connect(options);
  const { id } = hostNamed(name, await hostsOf(client));
  const reply = await client.call('POST', `/v1/hosts/${encodeURIComponent(id)}/${action}`);
  if (options.json === true) return say(JSON.stringify(reply, null, 2));
  const after = hostList(reply).find((host) => host.id === id);
  say(after === undefined ? `${id} is no host any more` : `${hostLabel(after)} is ${statusText(after)}`);
  if (action === 'drain')
    say(`it is drained when \`atoll hosts list ${name}\` shows no replica but that of partition 0`);
}

async function hostsOf(client: Client): Promise<readonly HostEntry[]> {
  return hostList(await client.call('GET', '/v1/hosts'));
}

/** The host that is meant: by id, by name, or by the beginning of an id that only one has. */
export function hostNamed(name: string, hosts: readonly HostEntry[]): HostEntry {
  const exact = hosts.filter((host) => host.id === name);
  const named = exact.length > 0 ? exact : hosts.filter((host) => host.name === name);
  const found = named.length > 0 ? named : hosts.filter((host) => name !== '' && host.id.startsWith(name));
  const [host] = found;
  if (host !== undefined && found.length === 1) return host;
  if (host === undefined) {
    const labels = hosts.map(hostLabel).join(', ');
    throw new CliError(`there is no host ${name}`, `name one of: ${labels}; or see \`atoll hosts list\``);
  }
  throw new CliError(
    `several hosts are called ${name}`,
    `give the id of one: ${found.map(({ id }) => id).join(', ')}`,
  );
}

/** Two tables: what hosts hold and how far they are, then how they are known. */
function describeHosts(hosts: readonly HostEntry[]): string {
  const options = { width: widthOf(process.stdout), style: styleFor(process.stdout) };
  return `${renderColumns(SUMMARY, hosts, options)}\n\n${renderColumns(IDENTITY, hosts, options)}`;
}

function describeHost(host: HostEntry): string {
  const options = { width: widthOf(process.stdout), style: styleFor(process.stdout) };
  const replicas =
    host.replicas.length === 0 ? 'no replicas' : renderColumns(REPLICA, host.replicas, options);
  const why = host.reason === undefined ? [] : [`${host.status}: ${host.reason}`];
  return [describeHosts([host]), ...why, replicas].join('\n\n');
}

function statusText({ status, draining }: HostEntry): string {
  return draining ? `${status}, draining` : status;
}

function raw(reply: unknown, { id }: HostEntry): unknown {
  return (reply as { hosts: { host: string }[] }).hosts.find(({ host }) => host === id);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
