import { IDENTIFIER_LIMIT } from '../schema/identifier-range.ts';

/**
 * Generated ids that are kept for agents: the upper half of all ids. A new database hands out the lower half to its
 * partitions. A member has its range from its acceptance to its removal. It is a reservation: ids are issued by
 * partitions, each from its own range, and agents lead none yet; the first that an agent leads takes its ids there.
 */
export const HOST_IDS_START = 2 ** 52;

/** Ids of one agent (chosen: 4,096 agents, a million million ids each). */
export const HOST_IDS = 2 ** 40;

export interface HostRange {
  readonly start: number;
  /** Not in it. */
  readonly end: number;
}

/**
 * The lowest free range, or null: all are taken, or the database is from a time when its partitions were given
 * everything. `taken`: ranges of hosts and of partitions.
 */
export function freeHostRange(taken: readonly HostRange[]): HostRange | null {
  for (let start = HOST_IDS_START; start < IDENTIFIER_LIMIT; start += HOST_IDS) {
    const end = start + HOST_IDS;
    if (taken.every((other) => other.end <= start || end <= other.start)) return { start, end };
  }
  return null;
}
