/**
 * What the system partition tells of hosts: its answer to `hosts`, `host-accept`, `host-refuse`, `host-drain` and
 * `host-remove`, and with it the body of `GET /v1/hosts` (docs/api.md, "Hosts"). Times are ISO 8601. Null stands
 * wherever nothing is known.
 */
export interface HostsView {
  /** Version of the network information that this was read from. */
  readonly version: number;
  /** Copies of each partition that agents shall hold, of the cluster. */
  readonly replicas: number;
  readonly hosts: readonly HostView[];
}

export interface HostView {
  /** Its id: `edge`, or what its public key gives. */
  readonly host: string;
  /** What its operator calls it. */
  readonly name: string | null;
  /** `edge` or `agent`. */
  readonly kind: string;
  /** `core/network/status.ts`. */
  readonly status: string;
  readonly statusSince: string | null;
  /** Why it has this status. */
  readonly reason: string | null;
  /** Whether an operator wants its replicas elsewhere. */
  readonly draining: boolean;
  /** Where others reach it; none: through a host that holds its socket. */
  readonly addresses: readonly string[];
  readonly seenAt: string | null;
  /** Ids that are kept for it: from `start` up to, not including, `end`. */
  readonly identifiers: { readonly start: number; readonly end: number } | null;
  readonly replicas: readonly HostReplicaView[];
  /** Round trips between it and others, ms by host id. */
  readonly latencies: Readonly<Record<string, number>>;
  /** Round trip to the edge, ms. */
  readonly distanceMs: number | null;
  /** Seen from the edge, radians from 0, where the first agent is, to π (`core/network/topology.ts`). */
  readonly direction: number | null;
  readonly freeBytes: number | null;
  /** 100 for the machine it was made on; proportional to speed. */
  readonly cpuRating: number | null;
  /** Score from 0, which is reliable (`core/network/reliability.ts`). */
  readonly unreliability: number | null;
  /** Of its last proposal, by host id: who has voted for it, and against. */
  readonly votes: Readonly<Record<string, boolean>>;
  /** Deletions that wait for it: what it still has to confirm. */
  readonly responsibility: readonly ResponsibilityView[];
}

export interface HostReplicaView {
  readonly partition: number;
  /** `leader` or `learner`. */
  readonly role: string;
  /** Of a learner: `loading`, `in-sync` or `behind`. */
  readonly state: string | null;
  /** Last commit that it has durably. */
  readonly matched: number | null;
  readonly lagEntries: number | null;
  readonly lagMs: number | null;
}

export interface ResponsibilityView {
  readonly partition: number;
  /** It has confirmed the log up to this commit. */
  readonly confirmed: number;
  /** Entries of the partition's log that are kept for it alone. */
  readonly awaitingPurge: number;
}
