import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import { AtollError } from '../protocol/error.ts';
import type { HostsView } from '../protocol/host-view.ts';
import { READ } from './lost.ts';
import type { Session } from './statements.ts';

/** What an operator may decide about a host; each is the system partition's message `host-{action}`. */
export const HOST_ACTIONS = ['accept', 'refuse', 'drain', 'remove'] as const;

export type HostAction = (typeof HOST_ACTIONS)[number];

/** `GET /v1/hosts`: every host that ever proposed itself, as the system partition knows it. */
export function listHosts({ database, context }: Session): Promise<HostsView> {
  return database.ask<HostsView>(SYSTEM_PARTITION, 'hosts', {}, context, READ);
}

/** `POST /v1/hosts/{host}/{action}`: answers all hosts as they are afterwards. Error: `not-found`. */
export async function decideHost(
  { database, context }: Session,
  host: string,
  action: string,
): Promise<HostsView> {
  if (!isHostAction(action)) {
    throw new AtollError('not-found', `a host can be told to ${HOST_ACTIONS.join(', ')}; not to ${action}`);
  }
  const view = await database.ask<HostsView>(SYSTEM_PARTITION, `host-${action}`, { host }, context, {
    access: 'write',
    advice: 'look at GET /v1/hosts; repeating it does no harm',
  });
  await database.catchUp(context);
  return view;
}

function isHostAction(action: string): action is HostAction {
  return (HOST_ACTIONS as readonly string[]).includes(action);
}
