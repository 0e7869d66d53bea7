import type { HostInfo } from '../../protocol/network.ts';
import { isEnd } from '../network/status.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { readAgents } from './hosts-rows.ts';
import { leaderName } from './leading-host.ts';

/**
 * The hosts as the network information has them: what routers and agents choose by, and nothing that changes with every
 * heartbeat. Those that were refused or removed are not among them.
 */
export function readHostInfos(port: SqlitePort): HostInfo[] {
  const replicas = readReplicas(port);
  const agents = new Map(readAgents(port).map((agent) => [agent.host, agent]));
  const { rows } = port.query('SELECT host, kind, status FROM atoll_hosts ORDER BY host');
  const leader = leaderName(port);
  return rows.flatMap(([id, kind, status]): HostInfo[] => {
    const host = String(id);
    const agent = agents.get(host);
    // The one that leads: it has no profile.
    if (agent === undefined)
      return [
        { host, kind: String(kind), status: String(status), ...(leader === null ? {} : { name: leader }) },
      ];
    if (isEnd(agent.status)) return [];
    const { name, publicKey, addresses } = agent;
    const { inSync = [], others = [] } = replicas.get(host) ?? {};
    return [
      {
        host,
        kind: String(kind),
        status: agent.status,
        ...(name === null ? {} : { name }),
        publicKey,
        addresses,
        replicas: inSync,
        loading: others,
      },
    ];
  });
}

interface Replicas {
  readonly inSync: number[];
  readonly others: number[];
}

function readReplicas(port: SqlitePort): Map<string, Replicas> {
  const { rows } = port.query('SELECT host, partition, state FROM atoll_replica_progress ORDER BY partition');
  const found = new Map<string, Replicas>();
  for (const [id, partition, state] of rows) {
    const host = String(id);
    const replicas = found.get(host) ?? { inSync: [], others: [] };
    (state === 'in-sync' ? replicas.inSync : replicas.others).push(Number(partition));
    found.set(host, replicas);
  }
  return found;
}
