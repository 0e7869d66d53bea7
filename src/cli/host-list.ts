import { array, number, record, text } from './read-json.ts';

/** What the command line shows of `GET /v1/hosts` (`protocol/host-view.ts`), read leniently. */
export interface HostEntry {
  readonly id: string;
  readonly name: string | undefined;
  readonly kind: string | undefined;
  readonly status: string;
  readonly draining: boolean;
  readonly addresses: readonly string[];
  readonly reason: string | undefined;
  /** Unix milliseconds. */
  readonly seenAt: number | undefined;
  readonly replicas: readonly ReplicaEntry[];
  /** Round trip to the host that leads, ms: as it measures it itself, and as the network has it. */
  readonly latencyMs: number | undefined;
  readonly distanceMs: number | undefined;
  readonly directionDegrees: number | undefined;
  readonly freeBytes: number | undefined;
  readonly cpuRating: number | undefined;
  readonly unreliability: number | undefined;
  readonly votes: ReadonlyMap<string, boolean>;
}

export interface ReplicaEntry {
  readonly partition: number;
  readonly role: string;
  readonly state: string | undefined;
  /** Last commit that it has. */
  readonly matched: number | undefined;
  readonly lagEntries: number | undefined;
  readonly lagMs: number | undefined;
  /** Consensus deletion: up to which commit the host has confirmed, and how many entries are kept for it. */
  readonly confirmed: number | undefined;
  readonly awaitingPurge: number | undefined;
}

/** The host that leads first (the edge, or an agent), the others as people sort what they are called. */
export function hostList(reply: unknown): readonly HostEntry[] {
  const entries = array(record(reply).hosts).map(record);
  const leader = text(entries.find(leads)?.host) ?? 'edge';
  const hosts = entries.map((entry) => hostEntry(entry, leader));
  const rank = ({ id }: HostEntry): number => (id === leader ? 0 : 1);
  return hosts.sort((a, b) => rank(a) - rank(b) || ORDER.compare(hostLabel(a), hostLabel(b)));
}

/** `a2` before `a10`. */
const ORDER = new Intl.Collator('en', { numeric: true });

/** How people name a host: the name that it was given, else its id. */
export function hostLabel({ name, id }: HostEntry): string {
  return name ?? id;
}

function leads(host: Record<string, unknown>): boolean {
  return array(host.replicas).some((replica) => record(replica).role === 'leader');
}

function hostEntry(host: Record<string, unknown>, leader: string): HostEntry {
  const direction = number(host.direction);
  const seen = Date.parse(text(host.seenAt) ?? '');
  const duties = array(host.responsibility).map(record);
  // It is what distances are measured from.
  const isLeader = host.host === leader;
  return {
    id: text(host.host) ?? '',
    name: text(host.name),
    kind: text(host.kind),
    status: text(host.status) ?? 'unknown',
    draining: host.draining === true,
    addresses: array(host.addresses).flatMap((address) => text(address) ?? []),
    reason: text(host.reason),
    seenAt: Number.isNaN(seen) ? undefined : seen,
    replicas: array(host.replicas)
      .map(record)
      .map((replica) => replicaEntry(replica, duties)),
    latencyMs: number(record(host.latencies)[leader]),
    distanceMs: isLeader ? undefined : number(host.distanceMs),
    directionDegrees: direction === undefined ? undefined : (direction * 180) / Math.PI,
    freeBytes: number(host.freeBytes),
    cpuRating: number(host.cpuRating),
    unreliability: isLeader ? undefined : number(host.unreliability),
    votes: new Map(Object.entries(record(host.votes)).map(([voter, vote]) => [voter, vote === true])),
  };
}

function replicaEntry(
  replica: Record<string, unknown>,
  duties: readonly Record<string, unknown>[],
): ReplicaEntry {
  const partition = number(replica.partition) ?? -1;
  const duty = duties.find((each) => each.partition === partition);
  return {
    partition,
    role: text(replica.role) ?? 'unknown',
    state: text(replica.state),
    matched: number(replica.matched),
    lagEntries: number(replica.lagEntries),
    lagMs: number(replica.lagMs),
    confirmed: number(duty?.confirmed),
    awaitingPurge: number(duty?.awaitingPurge),
  };
}
