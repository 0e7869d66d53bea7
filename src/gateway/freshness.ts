import type { PartitionId } from '../base/brand.ts';
import { decodeSession, demandOn, type SessionDemand, type SessionToken } from '../protocol/session.ts';

export const CONSISTENCIES = ['strong', 'session', 'bounded', 'eventual'] as const;
/** Whose state a read may show: docs/api.md, Consistency. */
export type Consistency = (typeof CONSISTENCIES)[number];

/** What a client's request says of the state that it wants to see. */
export interface ReadDemand {
  readonly consistency: Consistency;
  /** Of `bounded` only. */
  readonly maxStalenessMs: number | null;
  /** The token as it came, and what it says; null without one. */
  readonly session: { readonly text: string; readonly token: SessionToken } | null;
}

/**
 * What a replica must be to answer a read; without it, the leader. A transport that knows of no replicas may pass
 * over it: the leader satisfies every one.
 */
export interface Freshness extends SessionDemand {
  readonly consistency: Exclude<Consistency, 'strong'>;
  /** Of `bounded`: the replica had all that its leader had, this many milliseconds ago or later. */
  readonly maxStalenessMs?: number;
}

export const STRONG: ReadDemand = { consistency: 'strong', maxStalenessMs: null, session: null };

/** Error: `bad-request` for what is no session token. */
export function readSession(text: string): ReadDemand['session'] {
  return { text, token: decodeSession(text) };
}

/** Whatever the consistency, a session's own demand stands. */
export function demandOf({ session }: ReadDemand, partition: PartitionId): SessionDemand {
  return session === null ? {} : demandOn(session.token, partition);
}

/** Null: the leader must answer. */
export function freshnessOf(demand: ReadDemand, partition: PartitionId): Freshness | null {
  const { consistency, maxStalenessMs } = demand;
  if (consistency === 'strong') return null;
  return {
    consistency,
    ...(maxStalenessMs !== null && { maxStalenessMs }),
    ...demandOf(demand, partition),
  };
}
