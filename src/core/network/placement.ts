import { assert } from '../../base/assert.ts';
import type { PartitionId } from '../../base/brand.ts';
import { UNAVAILABLE_SCORE } from './reliability.ts';
import { Rendezvous } from './rendezvous.ts';
import type { HostStatus } from './status.ts';

export interface PlacementHost {
  readonly host: string;
  readonly status: HostStatus;
  /** What the host's disk has left, in bytes. */
  readonly freeBytes: number;
  /** What its replicas take already, so that a host does not lose weight by being used. */
  readonly heldBytes: number;
  /** Its unreliability now, from 0 (`scoreAt`). */
  readonly unreliability: number;
  /** Round trip to the partition's leader in ms; null while it is not known. */
  readonly distanceMs: number | null;
}

export interface PlacementOptions {
  /** Replicas wanted besides the leader. */
  readonly replicas: number;
  /** Hosts that hold one now. */
  readonly current?: readonly string[];
  /** What a new replica takes, in bytes. */
  readonly neededBytes?: number;
}

/** Chosen: what a host keeps for its own log, snapshots and upgrade, whatever it is asked to hold. */
export const RESERVE_BYTES = 256 * 2 ** 20;
/** Chosen: a host this far away weighs half; also what an unknown distance counts as. */
export const HALF_WEIGHT_DISTANCE_MS = 100;
/** Steps of weight in each doubling: chosen, coarse enough that everyday changes of space and latency move nothing. */
const STEPS_PER_DOUBLING = 2;

/** An `inactive` host is catching up or away for a short time; what it holds is worth more than a move. */
const MAY_HOLD: ReadonlySet<HostStatus> = new Set<HostStatus>(['read', 'write', 'inactive']);

interface Scored {
  readonly host: string;
  readonly score: number;
}

/**
 * space × reliability × closeness, in steps of √2:
 * - space: bytes free and held, what the host offers to Atoll altogether;
 * - reliability: 2^(−score ÷ limit), half at the limit where a host becomes `unavailable`;
 * - closeness: 1 ÷ (1 + distance ÷ 100 ms).
 */
export function weightOf({ freeBytes, heldBytes, unreliability, distanceMs }: PlacementHost): number {
  assert(freeBytes >= 0 && heldBytes >= 0, 'space is not negative');
  assert(unreliability >= 0 && (distanceMs ?? 0) >= 0, 'unreliability and distance are not negative');
  const reliability = 2 ** (-unreliability / UNAVAILABLE_SCORE);
  const closeness = 1 / (1 + (distanceMs ?? HALF_WEIGHT_DISTANCE_MS) / HALF_WEIGHT_DISTANCE_MS);
  const exact = (freeBytes + heldBytes) * reliability * closeness;
  if (exact <= 0) return 0;
  return 2 ** (Math.round(Math.log2(exact) * STEPS_PER_DOUBLING) / STEPS_PER_DOUBLING);
}

/**
 * Places the replicas of many partitions over the same hosts. The hosts are those of the cluster that take
 * replicas: neither the partition's leader nor one that is being drained is among them.
 */
export class Placement {
  private readonly hosts: readonly {
    readonly host: PlacementHost;
    readonly weight: number;
    readonly rendezvous: Rendezvous;
  }[];

  constructor(hosts: readonly PlacementHost[]) {
    const names = new Set(hosts.map(({ host }) => host));
    assert(names.size === hosts.length, 'a host is listed twice');
    this.hosts = hosts.map((host) => ({
      host,
      weight: weightOf(host),
      rendezvous: new Rendezvous(host.host),
    }));
  }

  /**
   * Ids of the hosts that are to hold the partition, most preferred first; fewer than wanted if there are no more.
   * A host that is full or `unavailable` keeps what it has and gets nothing new: the next in the order does.
   * Equal scores: by name.
   */
  replicasOf(
    partition: PartitionId,
    { replicas, current = [], neededBytes = 0 }: PlacementOptions,
  ): string[] {
    assert(Number.isInteger(replicas) && replicas >= 0, () => `${replicas} is no number of replicas`);
    // Hosts are many and replicas few: a sorted list of the best so far is a third of the cost of sorting all.
    const best: Scored[] = [];
    for (const { host, weight, rendezvous } of this.hosts) {
      if (!mayHold(host, current, neededBytes)) continue;
      const scored: Scored = { host: host.host, score: rendezvous.score(partition, weight) };
      let at = best.length;
      while (at > 0 && isBefore(scored, best[at - 1] as Scored)) at--;
      if (at < replicas) best.splice(at, 0, scored);
      if (best.length > replicas) best.pop();
    }
    return best.map(({ host }) => host);
  }
}

function mayHold(
  { host, status, freeBytes }: PlacementHost,
  current: readonly string[],
  neededBytes: number,
): boolean {
  if (MAY_HOLD.has(status) && freeBytes - RESERVE_BYTES >= neededBytes) return true;
  return (MAY_HOLD.has(status) || status === 'unavailable') && current.includes(host);
}

function isBefore(a: Scored, b: Scored): boolean {
  return a.score > b.score || (a.score === b.score && a.host < b.host);
}
