import type { PartitionId } from '../base/brand.ts';
import { HEARTBEAT_MS } from '../core/network/heartbeat.ts';
import { AtollError } from '../protocol/error.ts';
import {
  type Heartbeat,
  HeartbeatReply,
  hostMessage,
  type Join,
  JoinReply,
  VoteReply,
  VoteRequest,
} from '../protocol/hosts.ts';
import type { Dialler } from '../rpc/dial.ts';
import type { Link, Message } from '../rpc/link.ts';
import { readHead } from '../rpc/read-head.ts';
import { AgentError } from './agent-error.ts';
import type { OpenLink } from './links/open-link.ts';
import { type LogEvent, messageOf } from './log.ts';
import { measureHeld, measureSpace } from './measures.ts';
import { pause } from './pause.ts';
import type { Replicas } from './replicas.ts';
import { judgeNewcomer } from './voting.ts';

/** While its proposal is voted on, a host asks this often what became of it, ms (chosen). */
const JOIN_MS = 1_000;
/** After a refusal that says nothing of when to come back, ms (chosen). */
const REFUSED_MS = 10_000;

/** Refusals that this process cannot outwait: its operator must do something else. */
const FINAL: Readonly<Record<string, string>> = {
  malformed: 'run the same version of Atoll on all hosts',
  'another-key': 'choose an empty data directory with --data',
  'other-database': 'join the cluster that the data directory belongs to, or choose an empty one with --data',
  'other-history': 'join the cluster that the data directory belongs to, or choose an empty one with --data',
};

/** Statuses of a host that was voted in: core/network/status.ts. */
const ACCEPTED: ReadonlySet<string> = new Set(['inactive', 'read', 'write', 'unavailable']);

export interface MembershipOptions {
  readonly directory: string;
  readonly replicas: Replicas;
  readonly log: LogEvent;
  /** What this host says of itself. */
  readonly offer: Pick<Join, 'host' | 'name' | 'publicKey' | 'addresses' | 'database' | 'cpuRating'>;
  readonly dialler: () => Dialler;
  /** Round trips to other agents, ms, by host. */
  readonly latencies: () => Readonly<Record<string, number>>;
  readonly onProposed: (proposal: number | null) => void;
  /** Not now, and why; it asks again. */
  readonly onTurnedAway: (message: string) => void;
  /** It is a member, and knows what it shall hold. */
  readonly onMember: (status: string) => void;
  /** It will never be one as it is. */
  readonly onFatal: (error: AgentError) => void;
}

/** This host's membership: it asks to be taken in, says every few seconds how it is, and votes on others. */
export class Membership {
  readonly #options: MembershipOptions;
  readonly #startedAt = Date.now();
  /** As the system partition last said; null before. */
  status: string | null = null;

  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  /** Speaks with the system partition until the link ends. `history`: of this host's data, null if it has none. */
  async attend(open: OpenLink, history: string | null): Promise<void> {
    const { log } = this.#options;
    while (open.link.isOpen) {
      let pauseMs = HEARTBEAT_MS;
      try {
        const member = this.status !== null && ACCEPTED.has(this.status);
        pauseMs = member ? await this.#beat(open) : await this.#join(open.link, history);
      } catch (error) {
        if (!open.link.isOpen) return;
        log('warn', 'system-partition-refuses', { message: messageOf(error) });
        // Whoever is no member any more must ask again.
        if (error instanceof AtollError && (error.code === 'forbidden' || error.code === 'not-found'))
          this.status = null;
        pauseMs = JOIN_MS;
      }
      await pause(pauseMs, open.closed);
    }
  }

  /** The system partition wants to know what this host thinks of a newcomer. */
  async vote({ head }: Message, link: Link): Promise<void> {
    const { dialler, log } = this.#options;
    const request = readHead(VoteRequest, hostMessage.voteRequest, head);
    const { proposal, host } = request;
    const { accept, reason } = await judgeNewcomer(request, dialler(), log);
    try {
      const reply = await link.call(hostMessage.vote, { proposal, accept, reason });
      const { result } = readHead(VoteReply, hostMessage.vote, reply.head);
      log('info', 'voted', { proposal, host, accept, reason, result });
    } catch (error) {
      log('warn', 'vote-lost', { proposal, host, message: messageOf(error) });
    }
  }

  /** Gives when to ask again, ms. */
  async #join(link: Link, history: string | null): Promise<number> {
    const { offer, directory, onProposed, onTurnedAway, onFatal } = this.#options;
    const join: Join = { ...offer, history, time: Date.now(), ...(await measureSpace(directory)) };
    const reply = await link.call(hostMessage.join, join);
    const { status, proposal, refusal } = readHead(JoinReply, hostMessage.join, reply.head);
    if (refusal !== null) {
      const hint = FINAL[refusal.reason];
      if (hint !== undefined)
        onFatal(new AgentError(`the cluster refuses this host: ${refusal.message}`, hint));
      onTurnedAway(refusal.message);
      return Math.max(JOIN_MS, refusal.retryAfterMs ?? REFUSED_MS);
    }
    this.status = status;
    // Where nobody else is to be asked, the vote is over before the reply.
    if (proposal !== null) onProposed(proposal);
    if (ACCEPTED.has(status)) return 0;
    if (status !== 'proposal') onTurnedAway(`the present hosts have decided: ${status}`);
    return status === 'proposal' ? JOIN_MS : REFUSED_MS;
  }

  async #beat(open: OpenLink): Promise<number> {
    const { replicas, onMember } = this.#options;
    const { untold } = replicas.comparisons;
    const beat = { ...(await this.#heartbeat(open)), ...(untold.length > 0 && { differing: [...untold] }) };
    const reply = await open.link.call(hostMessage.heartbeat, beat);
    replicas.comparisons.told(untold);
    const { status, replicas: wanted } = readHead(HeartbeatReply, hostMessage.heartbeat, reply.head);
    this.status = status;
    if (!ACCEPTED.has(status)) return 0;
    await replicas.assign(wanted as PartitionId[]);
    onMember(status);
    return HEARTBEAT_MS;
  }

  async #heartbeat({ latencyMs, peer }: OpenLink): Promise<Heartbeat> {
    const { directory, replicas, offer, latencies } = this.#options;
    const now = Date.now();
    const { copies } = replicas;
    return {
      time: now,
      ...(await measureSpace(directory)),
      heldBytes: await measureHeld(copies.map(({ file }) => file)),
      cpuRating: offer.cpuRating,
      addresses: offer.addresses,
      latencies: { ...latencies(), ...(latencyMs !== null && { [peer.host]: latencyMs }) },
      // Of what is not loaded yet there is nothing to say.
      replicas: copies.flatMap((copy) => {
        const { partition, position, leaderLast } = copy;
        if (position === null) return [];
        const lagMs = copy.lagMs(now) ?? now - this.#startedAt;
        return [{ partition, matched: position.commitId, leaderLast, lagMs }];
      }),
    };
  }
}
