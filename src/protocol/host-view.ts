/**
 * What the system partition tells of hosts: its answer to `hosts`, `host-accept`, `host-refuse`, `host-drain` and
 * `host-remove`, and with it the body of `GET /v1/hosts` (docs/api.md, "Hosts"). Times are ISO 8601. Null stands
 * wherever nothing is known yet.
 */
export interface HostsView {
  /** Version of the network information that this was read from. */
  readonly version: number;
  readonly hosts: readonly HostView[];
}

export interface HostView {
  /** Its id: `edge`, or what its public key gives. */
  readonly host: string;
  /** What its operator calls it. */
  readonly name: string | null;
  readonly kind: string;
  /** `proposal`, `inactive`, `read`, `write`, `unavailable`, `refused` or `removed`. */
  readonly status: string;
  /** Where others reach it; null: through a host that holds its socket. */
  readonly address: string | null;
  readonly replicas: readonly HostReplicaView[];
  /** Round trip to the edge, ms. */
  readonly latencyMs: number | null;
  /** By latencies to all hosts, ms; see docs/operations.md. */
  readonly distance: number | null;
  /** Degrees, 0 … 180: the angle at the edge between this host and the reference host. */
  readonly direction: number | null;
  readonly freeBytes: number | null;
  /** Measured once a start; 1 is the reference machine. */
  readonly cpuRating: number | null;
  /** Share of calls that succeed, 0 … 1, recent ones counting more. */
  readonly reliability: number | null;
  readonly lastSeenAt: string | null;
  /** Of a proposal: who has voted how. */
  readonly votes: readonly HostVoteView[];
  /** What it still has to confirm: consensus deletion waits for it. */
  readonly responsibility: readonly ResponsibilityView[];
}

export interface HostReplicaView {
  readonly partition: number;
  /** `leader`, `voter` or `learner`. */
  readonly role: string;
  /** Last commit that it has confirmed. */
  readonly commit: number | null;
  readonly lagEntries: number | null;
  readonly lagMs: number | null;
}

export interface HostVoteView {
  readonly host: string;
  readonly accept: boolean;
}

export interface ResponsibilityView {
  readonly partition: number;
  /** Up to this commit the host has confirmed that it holds what was deleted as deleted. */
  readonly confirmed: number;
  /** Log entries kept for this host alone. */
  readonly awaitingPurge: number;
}
