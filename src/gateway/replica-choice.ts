import type { PartitionId } from '../base/brand.ts';
import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import { hasApplied, type LastCommit } from '../core/replica/last-commit.ts';
import { AtollError } from '../protocol/error.ts';
import type { HostInfo, NetworkInformation, PartitionInfo } from '../protocol/network.ts';
import type { Freshness } from './freshness.ts';

/** What is asked of the network information here. */
export interface ReplicaMap {
  readonly hosts: readonly (Pick<HostInfo, 'host' | 'kind' | 'status'> & {
    /** Partitions of which it has a replica in sync. */
    readonly replicas?: readonly number[];
  })[];
  readonly partitions: readonly Pick<PartitionInfo, 'id' | 'host'>[];
}

/** Kept for each version of the network information, of which a look-up must not be linear in the partitions. */
interface Index {
  readonly leaders: ReadonlyMap<PartitionId, string>;
  /** Hosts that answer reads, by partition of which they have a replica. */
  readonly replicas: ReadonlyMap<number, readonly string[]>;
  /** All hosts that answer reads. */
  readonly reading: ReadonlySet<string>;
}

const indexes = new WeakMap<ReplicaMap, Index>();

function indexOf(information: ReplicaMap): Index {
  let index = indexes.get(information);
  if (index === undefined) {
    const { hosts, partitions } = information;
    const reading = hosts.filter(({ status }) => status === 'read' || status === 'write');
    const replicas = new Map<number, string[]>();
    for (const host of reading) {
      for (const partition of host.replicas ?? []) {
        const holders = replicas.get(partition);
        if (holders === undefined) replicas.set(partition, [host.host]);
        else holders.push(host.host);
      }
    }
    const leaders = new Map(partitions.map(({ id, host }) => [id, host]));
    // One host leads all partitions; it is an agent where the edge is gone.
    const system = hosts.find(({ kind }) => kind === 'edge')?.host ?? partitions[0]?.host;
    if (system !== undefined) leaders.set(SYSTEM_PARTITION, system);
    index = { leaders, replicas, reading: new Set(reading.map(({ host }) => host)) };
    indexes.set(information, index);
  }
  return index;
}

/**
 * The hosts that a read of `partition` may be sent to, the closest first: `self`, if it has a replica, then by round
 * trip (`latencies`, ms by host id). Where that says nothing, the leader comes after the others, whose order differs
 * between partitions and askers, so that no replica has all the reads. A leader whose host does not answer
 * others now is the last resort. Empty for a partition that is not in the network.
 */
export function candidatesFor(
  partition: PartitionId,
  information: NetworkInformation | ReplicaMap,
  self: string | null,
  latencies: ReadonlyMap<string, number>,
): readonly string[] {
  const { leaders, replicas, reading } = indexOf(information);
  const leader = leaders.get(partition) ?? null;
  const answering = new Set(replicas.get(partition));
  if (leader !== null && reading.has(leader)) answering.add(leader);
  const ranked = Array.from(answering, (host) => ({
    host,
    distance: host === self ? -1 : (latencies.get(host) ?? Number.POSITIVE_INFINITY),
    leads: host === leader ? 1 : 0,
    lot: lotOf(`${host}/${partition}/${self ?? ''}`),
  }));
  ranked.sort(
    (a, b) =>
      // Infinity minus itself is no number.
      (a.distance === b.distance ? 0 : a.distance - b.distance) || a.leads - b.leads || a.lot - b.lot,
  );
  const hosts = ranked.map(({ host }) => host);
  return leader === null || answering.has(leader) ? hosts : [...hosts, leader];
}

/** FNV-1a, 32 bits: http://www.isthe.com/chongo/tech/comp/fnv/. */
function lotOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}

/** How far a replica is. */
export interface Standing {
  readonly last: LastCommit;
  readonly leads: boolean;
  /** Unix ms of this host's clock: since then, or later, it has had all that its leader had. Null: not known. */
  readonly caughtUpAt: number | null;
}

/** Whether a replica may answer a read. Its execution checks the session once more, in the transaction that reads. */
export function qualifies(freshness: Freshness | undefined, standing: Standing, now: number): boolean {
  const { last, leads, caughtUpAt } = standing;
  if (leads) return true;
  if (freshness === undefined || !hasApplied(last, freshness)) return false;
  const { consistency, maxStalenessMs = 0 } = freshness;
  if (consistency !== 'bounded') return true;
  return caughtUpAt !== null && now - caughtUpAt <= maxStalenessMs;
}

/**
 * Asks hosts in their order until one answers a read; what the last one says, or throws, is the outcome. A host is passed over
 * when it cannot be reached, has not applied what is asked for, or has no such replica. Not for writes: a host that
 * is silent may have done its work. `passedOver` is told which, and its status or what it threw.
 */
export async function askInOrder(
  hosts: readonly string[],
  ask: (host: string) => Promise<Response>,
  passedOver: (host: string, why: unknown) => void,
): Promise<Response> {
  for (const host of hosts.slice(0, -1)) {
    try {
      const response = await ask(host);
      if (!PASSED_OVER.has(response.status)) return response;
      passedOver(host, response.status);
      await response.body?.cancel();
    } catch (error) {
      passedOver(host, error);
    }
  }
  const last = hosts.at(-1);
  if (last === undefined) throw new AtollError('unavailable', 'no host has this partition', 'none');
  return ask(last);
}

/** No such replica; a defect there; not in reach, behind, overloaded. What is wrong with the request is so everywhere. */
const PASSED_OVER: ReadonlySet<number> = new Set([404, 500, 502, 503]);
