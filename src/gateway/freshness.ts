import type { PartitionId, Timestamp } from '../base/brand.ts';
import { AtollError } from '../protocol/error.ts';
import {
  decodeSession,
  demandOn,
  encodeSession,
  mergeSessions,
  SESSIONS_MAX,
  type SessionDemand,
  type SessionToken,
} from '../protocol/session.ts';

export const CONSISTENCIES = ['strong', 'session', 'bounded', 'eventual'] as const;
/** Whose state a read may show: docs/api.md, Consistency. */
export type Consistency = (typeof CONSISTENCIES)[number];

/** What a client's request says of the state that it wants to see. */
export interface ReadDemand {
  readonly consistency: Consistency;
  /** Of `bounded` only. */
  readonly maxStalenessMs: number | null;
  /** What the client has seen; null without a token. */
  readonly session: SentSession | null;
  /** Null: now, as far as the consistency says. */
  readonly past: PastDemand | null;
}

export interface SentSession {
  /** The tokens as they came. */
  readonly sent: readonly string[];
  /** What they say together, and as one. */
  readonly token: SessionToken;
  readonly text: string;
}

/** The moment that all partitions of a read are read as of, whatever the consistency. */
export interface PastDemand {
  readonly at: Timestamp;
  /** Entry of the system partition's feed that has all reference rows of that moment; 0 where none are read. */
  readonly feed: number;
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

export const STRONG: ReadDemand = {
  consistency: 'strong',
  maxStalenessMs: null,
  session: null,
  past: null,
};

/**
 * A token, or several with commas between: of requests that were under way at the same time, whose answers do not know of each other.
 *
 * @throws AtollError `bad-request` for what is no session token, `history-gone` for tokens of different histories
 */
export function readSession(text: string): SentSession {
  const sent = text.split(',');
  if (sent.length > SESSIONS_MAX) {
    throw new AtollError('bad-request', `session has ${sent.length} tokens, ${SESSIONS_MAX} are allowed`);
  }
  const tokens = sent.map(decodeSession);
  const [first, ...others] = tokens as [SessionToken, ...SessionToken[]];
  if (others.length === 0) return { sent, token: first, text };
  if (others.some(({ history }) => history !== first.history)) {
    throw new AtollError(
      'history-gone',
      'session has tokens of different histories: begin a new session, without a token',
    );
  }
  const token = mergeSessions(first, ...others);
  return { sent, token, text: encodeSession(token) };
}

/** What goes into the message, where it is judged once more. Whatever the consistency, a session's own demand stands. */
export function demandOf(
  demand: ReadDemand,
  partition: PartitionId,
): SessionDemand & { readonly asOf?: Timestamp } {
  // Who names the moment does not mean the session's.
  return demand.past === null ? sessionDemand(demand, partition) : { asOf: demand.past.at };
}

/** Null: the leader must answer. */
export function freshnessOf(demand: ReadDemand, partition: PartitionId): Freshness | null {
  const { consistency, maxStalenessMs, past } = demand;
  // The past is the same at every replica that has it.
  if (past !== null) return { consistency: 'session', atLeastTime: past.at };
  if (consistency === 'strong') return null;
  return {
    consistency,
    ...(maxStalenessMs !== null && { maxStalenessMs }),
    ...sessionDemand(demand, partition),
  };
}

function sessionDemand({ session }: ReadDemand, partition: PartitionId): SessionDemand {
  return session === null ? {} : demandOn(session.token, partition);
}
