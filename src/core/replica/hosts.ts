import { present } from '../../base/assert.ts';
import {
  bytesNeeded,
  type HostOffer,
  JOINING_REFUSALS,
  type JoiningContext,
  type JoiningRefusal,
  judgeOffer,
  PROPOSE_AGAIN_MAX_MS,
} from '../network/joining.ts';
import {
  type HostStatus,
  isAccepted,
  isEnd,
  TRANSITION_REFUSALS,
  type TransitionRefusal,
} from '../network/status.ts';
import {
  type Ballot,
  castVote,
  closeBallot,
  EDGE,
  electorateOf,
  openBallot,
  type Verdict,
  VOTING_MS,
  type Vote,
  type VoteResult,
} from '../network/votes.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { insertBallot, insertVote, nextProposal, readBallot, readOpenBallots } from './hosts-ballots.ts';
import { admit, dismiss, turnAway } from './hosts-membership.ts';
import { insertAgent, updateProfile } from './hosts-profile.ts';
import {
  type AgentRow,
  change,
  isoOf,
  note,
  raise,
  readAgent,
  readAgents,
  readSeen,
  type StatusChange,
} from './hosts-rows.ts';
import { writeReplicaLost } from './hosts-samples.ts';
import { leadingHost } from './leading-host.ts';
import type { System } from './system.ts';

/**
 * Which hosts are members of the cluster: proposals, votes, and an operator's decisions. Each function is one
 * transaction with an entry of the log, none if it changes nothing; repeating it does no harm.
 */

/** When hosts were last heard from, unix ms, by host id: newer than the tables have it. Null: it has no link to vote over. */
export type HeardFrom = ReadonlyMap<string, number | null>;

export type ProposalOutcome =
  /** Voted on now, or since before (`repeated`). The electorate is to be asked; the edge is in it. */
  | { readonly kind: 'proposed'; readonly ballot: Ballot; readonly repeated: boolean }
  /** It is a member already; what it says of itself is noted. */
  | { readonly kind: 'member'; readonly status: HostStatus; readonly newAddress: boolean }
  | {
      readonly kind: 'refused';
      readonly reason: JoiningRefusal;
      readonly message: string;
      /** Unix ms; null: it depends on what the message says. */
      readonly retryAt: number | null;
    };

/**
 * A host wants to be a member, or says that it is there again. That its key gives its id, and that it has the key and
 * the cluster's secret, is proven before: the caller's duty.
 */
export function proposeHost(
  system: System,
  offer: HostOffer,
  now: number,
  heard: HeardFrom = new Map(),
): ProposalOutcome {
  return change(system, now, (port) => {
    closeOverdue(port, now);
    const agents = readAgents(port);
    const known = agents.find(({ host }) => host === offer.host) ?? null;
    const reason = judgeOffer(offer, contextOf(system, agents, offer.host, now));
    if (reason !== null) {
      const retryAt = reason === 'too-early' ? (known?.retryAt ?? null) : null;
      return { kind: 'refused', reason, message: JOINING_REFUSALS[reason], retryAt };
    }
    if (known === null) insertAgent(port, offer, now);
    else updateProfile(port, known, offer, now);
    if (known !== null && isAccepted(known.status)) return welcomeBack(port, known, offer, now);
    if (known !== null) raise(port, known, 'proposed', null, now);
    const open = readOpenBallots(port).find(({ host }) => host === offer.host);
    if (open !== undefined) return { kind: 'proposed', ballot: open, repeated: true };
    const seen = readSeen(port);
    const members = agents.map(({ host, status }) => {
      const newest = heard.get(host);
      return { host, status, seenAt: newest === undefined ? (seen.get(host) ?? null) : newest };
    });
    const electorate = electorateOf(members, offer.host, now, leadingHost(port));
    const ballot = openBallot(nextProposal(port), offer.host, electorate, now + VOTING_MS);
    insertBallot(port, ballot, now);
    return { kind: 'proposed', ballot, repeated: false };
  });
}

function contextOf(
  system: System,
  agents: readonly AgentRow[],
  newcomer: string,
  now: number,
): JoiningContext {
  const { replica } = system;
  const known = agents.find(({ host }) => host === newcomer);
  return {
    database: replica.identity.database,
    history: present(system.setting('history'), 'a database has a history'),
    now,
    knownKey: known?.publicKey ?? null,
    retryAt: known !== undefined && isEnd(known.status) ? known.retryAt : null,
    others: agents.filter(({ host, status }) => host !== newcomer && !isEnd(status)).length,
    // A member whose disk has filled up stays one.
    neededBytes:
      known !== undefined && isAccepted(known.status) ? 0 : bytesNeeded(replica.port.databaseSize()),
  };
}

/** A member that has lost its data, but not its key, has confirmed nothing any more. */
function welcomeBack(port: SqlitePort, known: AgentRow, offer: HostOffer, now: number): ProposalOutcome {
  const newAddress = JSON.stringify(known.addresses) !== JSON.stringify(offer.addresses);
  let { status } = known;
  if (offer.history === null && known.servedAt !== null) {
    const turned = raise(port, known, 'fell-behind', 'its data directory is empty', now);
    if (turned.kind === 'done') status = turned.after;
    writeReplicaLost(port, known.host, null);
    port.query('UPDATE atoll_host_profiles SET served_at = NULL WHERE host = ?', known.host);
  }
  return { kind: 'member', status, newAddress };
}

export interface VoteOutcome {
  /** What became of the vote: see VoteResult. `other-proposal` also where there is no such proposal. */
  readonly kind: VoteResult['kind'];
  /** Of the proposal that it was for, now; null: there is none. */
  readonly verdict: Verdict | null;
}

/** `reason`: what a voter that refuses has found. That the vote comes from `voter` is the caller's duty. */
export function recordVote(
  system: System,
  vote: Vote,
  now: number,
  reason: string | null = null,
): VoteOutcome {
  return change(system, now, (port) => {
    closeOverdue(port, now);
    const ballot = readBallot(port, vote.proposal);
    if (ballot === null) return { kind: 'other-proposal', verdict: null };
    const leads = vote.voter === leadingHost(port);
    const voter = leads ? null : readAgent(port, vote.voter);
    if (!leads && (voter === null || !isAccepted(voter.status))) {
      return { kind: 'no-elector', verdict: ballot.verdict };
    }
    const result = castVote(ballot, vote, now);
    if (result.kind !== 'counted') return { kind: result.kind, verdict: ballot.verdict };
    insertVote(port, vote, reason, now);
    const { verdict } = result.ballot;
    const agent = present(readAgent(port, ballot.host), 'a ballot is about a host');
    if (verdict === 'accepted') admit(port, agent, 'by vote', now);
    if (verdict === 'refused') turnAway(port, agent, reason === null ? 'by vote' : `by vote: ${reason}`, now);
    return { kind: 'counted', verdict };
  });
}

/** Refuses the proposals whose deadline has passed; gives their hosts. */
export function closeProposals(system: System, now: number): string[] {
  return change(system, now, (port) => closeOverdue(port, now));
}

function closeOverdue(port: SqlitePort, now: number): string[] {
  const overdue = readOpenBallots(port).filter((ballot) => closeBallot(ballot, now).verdict === 'refused');
  return overdue.map(({ host }) => {
    const agent = present(readAgent(port, host), 'a ballot is about a host');
    turnAway(port, agent, 'no majority in time', now);
    return host;
  });
}

/** The votes that a host has still to cast: what it is asked on each of its links. */
export function votesAwaited(system: System, voter: string, now: number): Ballot[] {
  return readOpenBallots(system.replica.port).filter(
    (ballot) =>
      closeBallot(ballot, now).verdict === 'open' &&
      ballot.electorate.includes(voter) &&
      !Object.hasOwn(ballot.votes, voter),
  );
}

export type HostDecision =
  | { readonly kind: 'done'; readonly status: HostStatus }
  | {
      readonly kind: 'refused';
      readonly reason: TransitionRefusal | 'no-such-host' | 'is-edge';
      readonly message: string;
    };

/**
 * By hand, whatever the votes say. Of a member that is drained: it shall have replicas again. Of a host that must wait
 * before it proposes itself again: it need not.
 */
export function acceptHost(system: System, host: string, now: number): HostDecision {
  return decide(system, host, now, (port, agent) => {
    if (isEnd(agent.status) && agent.retryAt !== null) {
      port.query('UPDATE atoll_host_profiles SET refusals = 0, retry_at = NULL WHERE host = ?', host);
      return unchanged(agent);
    }
    if (!isAccepted(agent.status)) return admit(port, agent, 'by hand', now);
    if (agent.draining) {
      port.query('UPDATE atoll_host_profiles SET draining_since = NULL WHERE host = ?', host);
      note(
        port,
        { host, event: 'undrained', before: agent.status, after: agent.status, reason: 'by hand' },
        now,
      );
    }
    return { kind: 'done', before: agent.status, after: agent.status };
  });
}

export function refuseHost(system: System, host: string, now: number): HostDecision {
  return decide(system, host, now, (port, agent) =>
    isEnd(agent.status) ? unchanged(agent) : turnAway(port, agent, 'by hand', now),
  );
}

/**
 * The host's replicas of users' partitions go elsewhere, by `assignReplicas`, which also says when they are gone. It
 * stays a member, with partition 0, until it is removed.
 */
export function drainHost(system: System, host: string, now: number): HostDecision {
  return decide(system, host, now, (port, agent) => {
    const { status } = agent;
    if (isEnd(status)) return { kind: 'refused', reason: 'must-propose-again' };
    if (!isAccepted(status)) return { kind: 'refused', reason: 'not-accepted' };
    if (!agent.draining) {
      port.query('UPDATE atoll_host_profiles SET draining_since = ? WHERE host = ?', isoOf(now), host);
      note(port, { host, event: 'draining', before: status, after: status, reason: 'by hand' }, now);
    }
    return unchanged(agent);
  });
}

/**
 * At once: a host that shall leave in order is drained first. One that still runs would propose itself again and be voted
 * in: for {@link PROPOSE_AGAIN_MAX_MS} it may not, unless it is accepted by hand.
 */
export function removeHost(system: System, host: string, now: number): HostDecision {
  return decide(system, host, now, (port, agent) => {
    if (isEnd(agent.status)) return unchanged(agent);
    const retryAt = isoOf(now + PROPOSE_AGAIN_MAX_MS);
    port.query('UPDATE atoll_host_profiles SET retry_at = ? WHERE host = ?', retryAt, host);
    return dismiss(port, agent, 'removed', 'by hand', now);
  });
}

function unchanged({ status }: AgentRow): StatusChange {
  return { kind: 'done', before: status, after: status };
}

function decide(
  system: System,
  host: string,
  now: number,
  body: (port: SqlitePort, agent: AgentRow) => StatusChange,
): HostDecision {
  if (host === leadingHost(system.replica.port)) {
    const message = `${host === EDGE ? 'the edge' : `host ${host}`} leads the partitions: it stays`;
    return { kind: 'refused', reason: 'is-edge', message };
  }
  return change(system, now, (port) => {
    const agent = readAgent(port, host);
    if (agent === null) {
      return { kind: 'refused', reason: 'no-such-host', message: `no host ${host} has ever proposed itself` };
    }
    const result = body(port, agent);
    if (result.kind === 'done') return { kind: 'done', status: result.after };
    return { kind: 'refused', reason: result.reason, message: TRANSITION_REFUSALS[result.reason] };
  });
}
