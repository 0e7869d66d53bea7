import { assert } from '../../base/assert.ts';
import { type HostStatus, isAccepted } from './status.ts';

/** The Durable Objects count as one host, of this id, which is always present where it leads. */
export const EDGE = 'edge';

/** Chosen: three heartbeats. An agent that was heard from within it is present, and votes. */
export const PRESENT_MS = 15_000;

/** Chosen: the checks of a vote (dial the newcomer, look at its answer) take seconds. */
export const VOTING_MS = 30_000;

export type Verdict = 'open' | 'accepted' | 'refused';

/**
 * The vote on one proposal of a host. Who votes is fixed when the proposal is made: neither those who come nor those
 * who leave later change what a majority is.
 */
export interface Ballot {
  /** Dense from 1 in a database; a host that proposes itself again gets another. */
  readonly proposal: number;
  readonly host: string;
  /** Ids of the hosts that may vote, each once, the newcomer not among them. */
  readonly electorate: readonly string[];
  /** By host id. */
  readonly votes: Readonly<Record<string, boolean>>;
  /** Unix ms: what is not accepted by then is refused. */
  readonly deadline: number;
  readonly verdict: Verdict;
}

export interface Vote {
  readonly proposal: number;
  readonly voter: string;
  readonly accept: boolean;
}

export type VoteResult =
  | { readonly kind: 'counted'; readonly ballot: Ballot }
  /** The same vote again: harmless. */
  | { readonly kind: 'repeated' }
  /** It has voted otherwise before, and that counts. */
  | { readonly kind: 'voted-already' }
  /** A vote for another proposal: stale, or replayed. */
  | { readonly kind: 'other-proposal' }
  | { readonly kind: 'no-elector' }
  /** The ballot is decided, or its deadline has passed. */
  | { readonly kind: 'closed'; readonly verdict: Verdict };

/** What the choice of an electorate asks of a host; `seenAt` in unix ms, null: never. */
export interface Member {
  readonly host: string;
  readonly status: HostStatus;
  readonly seenAt: number | null;
}

/** The present hosts: the one that leads, and the members that work and were heard from lately. Sorted. */
export function electorateOf(
  members: readonly Member[],
  newcomer: string,
  now: number,
  leader = EDGE,
): string[] {
  const present = members.filter(
    ({ host, status, seenAt }) =>
      host !== leader &&
      host !== newcomer &&
      isAccepted(status) &&
      status !== 'unavailable' &&
      seenAt !== null &&
      now - seenAt <= PRESENT_MS,
  );
  return [leader, ...present.map(({ host }) => host).sort()];
}

export function openBallot(
  proposal: number,
  host: string,
  electorate: readonly string[],
  deadline: number,
): Ballot {
  assert(electorate.length > 0 && !electorate.includes(host), 'others than the newcomer vote');
  assert(new Set(electorate).size === electorate.length, 'each host is one elector');
  return { proposal, host, electorate, votes: {}, deadline, verdict: 'open' };
}

/** Votes that accept: more than half of the electorate, whoever of it votes. */
export function majorityOf(electorate: readonly string[]): number {
  return Math.floor(electorate.length / 2) + 1;
}

export function castVote(ballot: Ballot, vote: Vote, now: number): VoteResult {
  if (vote.proposal !== ballot.proposal) return { kind: 'other-proposal' };
  if (!ballot.electorate.includes(vote.voter)) return { kind: 'no-elector' };
  if (Object.hasOwn(ballot.votes, vote.voter)) {
    return { kind: ballot.votes[vote.voter] === vote.accept ? 'repeated' : 'voted-already' };
  }
  const open = closeBallot(ballot, now);
  if (open.verdict !== 'open') return { kind: 'closed', verdict: open.verdict };
  const votes = { ...ballot.votes, [vote.voter]: vote.accept };
  return { kind: 'counted', ballot: { ...ballot, votes, verdict: verdictOf(ballot.electorate, votes) } };
}

/** The ballot as it stands at `now`: refused when its deadline has passed without a majority. */
export function closeBallot(ballot: Ballot, now: number): Ballot {
  return ballot.verdict === 'open' && now >= ballot.deadline ? { ...ballot, verdict: 'refused' } : ballot;
}

/** Refused as soon as the votes that are still out cannot make a majority: with two electors, by one. */
function verdictOf(electorate: readonly string[], votes: Readonly<Record<string, boolean>>): Verdict {
  const needed = majorityOf(electorate);
  const cast = Object.values(votes);
  const accepting = cast.filter((accept) => accept).length;
  if (accepting >= needed) return 'accepted';
  return accepting + (electorate.length - cast.length) < needed ? 'refused' : 'open';
}
