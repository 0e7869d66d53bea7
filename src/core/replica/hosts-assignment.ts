import type { PartitionId } from '../../base/brand.ts';
import { Placement, type PlacementHost } from '../network/placement.ts';
import { isAccepted } from '../network/status.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { giveReplica, takeReplica } from './hosts-membership.ts';
import { type AgentRow, change, raise, readAgents } from './hosts-rows.ts';
import { leadingHost } from './leading-host.ts';
import type { System } from './system.ts';

/** Which agents hold learners of which partitions. */

/** Copies besides the leader's (chosen: one host may fail while another is repaired). */
export const REPLICAS_DEFAULT = 2;

const SETTING = 'replicas';

export function replicasWanted(system: System): number {
  const text = system.setting(SETTING);
  return text === null ? REPLICAS_DEFAULT : Number(text);
}

export function setReplicasWanted(system: System, replicas: number, now: number): void {
  if (replicasWanted(system) === replicas) return;
  change(system, now, (port) => {
    port.query('INSERT OR REPLACE INTO _atoll_settings VALUES (?, ?)', SETTING, `${replicas}`);
  });
}

export interface ReplicaOf {
  readonly partition: PartitionId;
  readonly host: string;
}

export interface Assignment {
  readonly given: readonly ReplicaOf[];
  readonly taken: readonly ReplicaOf[];
  /** Hosts that were drained, and are empty now. */
  readonly drained: readonly string[];
}

/** What placement goes by; null for a host of which nothing newer is known than the tables have. */
export type Measured = (host: string) => Omit<PlacementHost, 'host' | 'status'> | null;

/**
 * Brings the replicas of agents to where placement wants them: partition 0 to every member, each of users' partitions
 * to `wanted` of those that are not being drained. Copies come before they go: one that is not wanted any more is taken only
 * when all that are wanted are in sync. So it is called again whenever a host's status or a replica's state has changed; where
 * nothing is to do it writes nothing.
 */
export function assignReplicas(
  system: System,
  wanted: number,
  now: number,
  measured: Measured = () => null,
): Assignment {
  return change(system, now, (port) => {
    const members = readAgents(port).filter(({ status }) => isAccepted(status));
    const candidates = members.filter(({ draining }) => !draining);
    const placement = new Placement(
      candidates.map(({ host, status }) => ({ host, status, ...(measured(host) ?? sampleOf(port, host)) })),
    );
    const held = heldBy(port);
    const given: ReplicaOf[] = [];
    const taken: ReplicaOf[] = [];
    for (const { host } of members) {
      if (!held.get(0)?.has(host)) given.push({ partition: 0 as PartitionId, host });
    }
    for (const partition of system.partitionIds()) {
      const current = held.get(partition) ?? new Map<string, boolean>();
      const chosen = placement.replicasOf(partition, { replicas: wanted, current: [...current.keys()] });
      for (const host of chosen) if (!current.has(host)) given.push({ partition, host });
      if (!chosen.every((host) => current.get(host) === true)) continue;
      for (const host of current.keys()) if (!chosen.includes(host)) taken.push({ partition, host });
    }
    for (const { partition, host } of given) giveReplica(port, partition, host);
    for (const { partition, host } of taken) takeReplica(port, partition, host);
    return { given, taken, drained: settleDrained(port, members, now) };
  });
}

function settleDrained(port: SqlitePort, members: readonly AgentRow[], now: number): string[] {
  const drained: string[] = [];
  for (const agent of members) {
    if (!agent.draining) continue;
    const [[left] = []] = port.query(
      'SELECT count(*) FROM atoll_replicas WHERE host = ? AND partition > 0',
      agent.host,
    ).rows;
    if (Number(left) > 0) continue;
    const turned = raise(port, agent, 'drained', 'its replicas are elsewhere', now);
    if (turned.kind === 'done' && turned.before !== turned.after) drained.push(agent.host);
  }
  return drained;
}

/** Agents' replicas by partition: host, and whether it is in sync. */
function heldBy(port: SqlitePort): Map<number, Map<string, boolean>> {
  const { rows } = port.query(
    `SELECT r.partition, r.host, p.state FROM atoll_replicas r LEFT JOIN atoll_replica_progress p
     ON p.partition = r.partition AND p.host = r.host WHERE r.host <> ? ORDER BY r.partition, r.host`,
    leadingHost(port),
  );
  const held = new Map<number, Map<string, boolean>>();
  for (const [partition, host, state] of rows) {
    const hosts = held.get(Number(partition)) ?? new Map<string, boolean>();
    held.set(Number(partition), hosts.set(String(host), state === 'in-sync'));
  }
  return held;
}

function sampleOf(port: SqlitePort, host: string): Omit<PlacementHost, 'host' | 'status'> {
  const [[free, held, score] = []] = port.query(
    'SELECT free_bytes, held_bytes, score FROM atoll_host_metrics WHERE host = ?',
    host,
  ).rows;
  const [[ms] = []] = port.query(
    'SELECT min(ms) FROM atoll_latencies WHERE (host = ?1 AND other = ?2) OR (host = ?2 AND other = ?1)',
    host,
    leadingHost(port),
  ).rows;
  return {
    freeBytes: Number(free ?? 0),
    heldBytes: Number(held ?? 0),
    unreliability: Number(score ?? 0),
    distanceMs: ms === null || ms === undefined ? null : Number(ms),
  };
}

/** Partitions that a host shall hold, ascending. */
export function partitionsOf(port: SqlitePort, host: string): PartitionId[] {
  const { rows } = port.query('SELECT partition FROM atoll_replicas WHERE host = ? ORDER BY partition', host);
  return rows.map(([partition]) => Number(partition) as PartitionId);
}
