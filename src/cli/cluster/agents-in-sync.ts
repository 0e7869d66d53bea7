import type { Client } from '../../client/index.ts';
import { CliError } from '../failure.ts';
import { type HostEntry, hostList } from '../host-list.ts';

const POLL_MS = 200;

/** A host that answers reads, with all that it holds as new as the leaders' (as of what it has told last). */
export function isInSync({ status, replicas }: HostEntry): boolean {
  const serves = status === 'read' || status === 'write';
  return serves && replicas.length > 0 && replicas.every(({ state }) => state === 'in-sync');
}

/** Waits until as many agents answer reads; gives all hosts as they are then. */
export async function agentsInSync(
  client: Client,
  agents: number,
  waitMs: number,
): Promise<readonly HostEntry[]> {
  const end = performance.now() + waitMs;
  for (;;) {
    const hosts = hostList(await client.call('GET', '/v1/hosts'));
    if (hosts.filter((host) => host.kind === 'agent' && isInSync(host)).length >= agents) return hosts;
    if (performance.now() >= end) {
      const states = hosts.map(({ id, name, status }) => `${name ?? id} ${status}`).join(', ');
      throw new CliError(`agents do not catch up: ${states}`, 'see what they have logged');
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
