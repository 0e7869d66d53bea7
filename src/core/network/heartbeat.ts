/**
 * What a member tells the system partition every {@link HEARTBEAT_MS}; `src/protocol/hosts.ts` checks its shape and
 * bounds.
 */
export interface Heartbeat {
  /** Its clock, unix ms. */
  readonly time: number;
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** What its replicas take. */
  readonly heldBytes: number;
  readonly cpuRating: number;
  /** Where it is reached now; absent: where it was. */
  readonly addresses?: readonly string[];
  /** Round trips to other hosts, ms, by host id. */
  readonly latencies: Readonly<Record<string, number>>;
  readonly replicas: readonly ReplicaReport[];
  /** Found since the last one; absent: none. A heartbeat that is repeated repeats them. */
  readonly differing?: readonly ReplicaDifference[];
}

/** A replica whose rows were not the leader's: it is being made anew. */
export interface ReplicaDifference {
  readonly partition: number;
  /** The commit that both sides were compared as of. */
  readonly at: number;
  /** Whose rows differed; some of them. */
  readonly tables: readonly string[];
}

export interface ReplicaReport {
  readonly partition: number;
  /** Last commit that it has durably; 0 for a partition in which nothing was ever written. */
  readonly matched: number;
  /** Last commit of the leader that it knows of. */
  readonly leaderLast: number;
  /** How long ago it had all that the leader had; 0: it has. */
  readonly lagMs: number;
}

/** Chosen: a dead host is noticed within three; 1,000 hosts cost the system partition 200 messages a second. */
export const HEARTBEAT_MS = 5_000;

/** Chosen: a replica that lags less has caught up. Healthy ones lag by milliseconds. */
export const IN_SYNC_LAG_MS = 1_000;
/** Chosen: one that lags more has fallen behind. Between the two it stays what it was. */
export const BEHIND_LAG_MS = 10_000;

/**
 * How far a replica of a host is. `loading`: it was never in sync since the host was told to have it; a host keeps
 * answering from its others meanwhile.
 */
export type ReplicaState = 'loading' | 'in-sync' | 'behind';

export function replicaStateAfter(state: ReplicaState, report: ReplicaReport): ReplicaState {
  const { matched, leaderLast, lagMs } = report;
  const hasNothing = matched === 0 && leaderLast > 0;
  if (!hasNothing && lagMs <= IN_SYNC_LAG_MS) return 'in-sync';
  return state === 'in-sync' && lagMs > BEHIND_LAG_MS ? 'behind' : state;
}

/**
 * Whether a host with these replicas may answer reads. A newcomer first has all in sync; one that has served before
 * is not held up by those that it was given since.
 */
export function hasCaughtUp(states: ReadonlyMap<number, ReplicaState>, servedBefore: boolean): boolean {
  const all = [...states.values()];
  if (states.get(0) !== 'in-sync') return false;
  return all.every((state) => state === 'in-sync' || (servedBefore && state === 'loading'));
}
