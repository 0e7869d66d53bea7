import { wounded } from '../core/replica/contention.ts';
import type { Work } from '../core/replica/group.ts';
import { laterWork } from '../core/replica/later-wave.ts';
import type { ExecuteOutcome } from '../core/replica/outcome.ts';
import { prepareWork } from '../core/replica/participant.ts';
import type { Replica } from '../core/replica/replica.ts';
import type { PrepareRequest, Vote } from '../protocol/transaction.ts';
import type { FeedFollower } from './feed-follower.ts';

/** What became of work that no longer waits. */
export type Settled = Exclude<ExecuteOutcome, { kind: 'behind' | 'held' | 'locked' }>;

export interface Preparing {
  readonly replica: () => Replica;
  readonly feed: FeedFollower;
  /** Does work in the next group, once; null: this partition does not execute now. */
  readonly attempt: (work: Work) => Promise<ExecuteOutcome> | null;
  /** Does work in the next group, and again while others hold what it needs. */
  readonly perform: (work: Work, deadline: number) => Promise<Settled>;
}

/**
 * Prepares a part of a transaction, or what a later wave adds to it, in this partition. Neither waits for the feed or for
 * a schema change, which may themselves wait for this transaction.
 *
 * @throws AtollError that stands for the vote no
 */
export async function prepareHere(
  { replica, feed, perform }: Preparing,
  request: PrepareRequest,
  deadline: number,
): Promise<Vote> {
  return voteOf(await perform(workOf(replica(), feed, request), deadline));
}

/** The same, unless it would have to wait for others: null, nothing done. */
export async function prepareAtOnce(
  { replica, feed, attempt }: Preparing,
  request: PrepareRequest,
): Promise<Vote | null> {
  const outcome = await attempt(workOf(replica(), feed, request));
  if (outcome === null || outcome.kind === 'behind' || outcome.kind === 'held' || outcome.kind === 'locked')
    return null;
  return voteOf(outcome);
}

function workOf(replica: Replica, feed: FeedFollower, request: PrepareRequest): Work {
  const { changes } = request;
  if (changes !== undefined) return laterWork(replica, { ...request, changes });
  if (feed.isBusy) throw wounded();
  return prepareWork(replica, request);
}

function voteOf(outcome: Settled): Vote {
  if (outcome.kind === 'error') throw outcome.error;
  if (outcome.kind === 'stale') return { vote: 'stale', newer: outcome.newer };
  return JSON.parse(outcome.body) as Vote;
}
