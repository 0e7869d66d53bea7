import { present } from '../base/assert.ts';
import { bytesNeeded } from '../core/network/joining.ts';
import { isAccepted } from '../core/network/status.ts';
import type { Ballot } from '../core/network/votes.ts';
import {
  acceptHost,
  drainHost,
  type HostDecision,
  proposeHost,
  recordVote,
  refuseHost,
  removeHost,
  votesAwaited,
} from '../core/replica/hosts.ts';
import {
  assignReplicas,
  partitionsOf,
  replicasWanted,
  setReplicasWanted,
} from '../core/replica/hosts-assignment.ts';
import { HostMonitor } from '../core/replica/hosts-monitor.ts';
import { change, readAgent, readAgents } from '../core/replica/hosts-rows.ts';
import { hostsView } from '../core/replica/hosts-view.ts';
import { leaderName, leadingHost, writeLeaderName } from '../core/replica/leading-host.ts';
import { networkVersion } from '../core/replica/network-version.ts';
import type { System } from '../core/replica/system.ts';
import { AtollError } from '../protocol/error.ts';
import type { HostsView } from '../protocol/host-view.ts';
import {
  Heartbeat,
  type HeartbeatReply,
  type HostCheck,
  type HostCheckReply,
  hostMessage,
  Join,
  type JoinReply,
  Probe,
  type ProbeReply,
  Relay,
  Vote,
  type VoteReply,
  type VoteRequest,
} from '../protocol/hosts.ts';
import type { Accepted } from '../rpc/accept.ts';
import type { CallHandler, Link, Message } from '../rpc/link.ts';
import { readHead } from '../rpc/read-head.ts';
import { edgeVote } from './edge-vote.ts';
import type { HostDesk } from './host-links.ts';

/** How often hosts that say nothing are looked for, ms (chosen: as often as they should be heard from). */
const WATCH_MS = 5_000;

/** What the system partition's object does with hosts: takes them in by vote, hears from them, gives them replicas. */
export class HostRegistry implements HostDesk {
  readonly #system: System;
  readonly #monitor: HostMonitor;
  readonly #setAlarm: (at: number) => void;
  /** The log may have grown. */
  readonly #changed: () => void;
  readonly #links = new Map<string, Link>();

  constructor(system: System, setAlarm: (at: number) => void, changed: () => void) {
    this.#system = system;
    this.#monitor = new HostMonitor(system, Date.now());
    this.#setAlarm = setAlarm;
    this.#changed = changed;
  }

  readonly calls = (_link: () => Link, accepted: Accepted): Record<string, CallHandler> => ({
    [hostMessage.join]: ({ head }) => this.#join(readHead(Join, 'join', head), accepted),
    [hostMessage.heartbeat]: ({ head }) => this.#heartbeat(readHead(Heartbeat, 'heartbeat', head), accepted),
    [hostMessage.vote]: ({ head }) => this.#vote(readHead(Vote, 'vote', head), accepted),
    [hostMessage.probe]: ({ head }) => {
      readHead(Probe, 'probe', head);
      return message({ time: Date.now(), status: 'write', freeBytes: null } satisfies ProbeReply);
    },
    [hostMessage.relay]: (relayed, _, deadline) => this.#relay(relayed, accepted, deadline),
  });

  opened(link: Link): void {
    this.#links.set(link.peer.host, link);
    this.#monitor.returned(link.peer.host);
    this.#setAlarm(Date.now() + WATCH_MS);
  }

  ended(link: Link): void {
    if (this.#links.get(link.peer.host) !== link) return;
    this.#links.delete(link.peer.host);
    this.#monitor.left(link.peer.host);
  }

  check({ host, publicKey }: HostCheck): HostCheckReply {
    const agent = readAgent(this.#system.replica.port, host);
    if (agent === null || agent.publicKey !== publicKey) return { member: false, status: 'unknown' };
    return { member: isAccepted(agent.status), status: agent.status };
  }

  /** Looks after hosts that say nothing. Wanted again while there are any that should be heard from. */
  watch(): void {
    const now = Date.now();
    const turns = this.#monitor.tick(now, Math.random);
    if (turns.length > 0) this.#assign(now);
    this.#changed();
    const agents = readAgents(this.#system.replica.port);
    const expected = agents.some(({ status }) => isAccepted(status));
    if (expected || this.#links.size > 0) this.#setAlarm(now + WATCH_MS);
  }

  view(): HostsView {
    return hostsView(this.#system, this.#monitor, Date.now());
  }

  /** Learners of each partition from now on. */
  wantReplicas(replicas: number): void {
    setReplicasWanted(this.#system, replicas, Date.now());
    this.#assign(Date.now());
  }

  /** What the operator of the host that leads calls it. */
  nameLeader(name: string): void {
    if (leaderName(this.#system.replica.port) === name) return;
    change(this.#system, Date.now(), (port) => writeLeaderName(port, name));
    this.#changed();
  }

  /** By hand. */
  decide(decision: 'accept' | 'refuse' | 'drain' | 'remove', host: string): HostsView {
    const decisions = { accept: acceptHost, refuse: refuseHost, drain: drainHost, remove: removeHost };
    const outcome: HostDecision = decisions[decision](this.#system, host, Date.now());
    if (outcome.kind === 'refused') {
      const code = outcome.reason === 'no-such-host' ? 'not-found' : 'bad-request';
      throw new AtollError(code, outcome.message, 'none');
    }
    this.#assign(Date.now());
    return this.view();
  }

  // --- Joining -------------------------------------------------------------------------------------------

  async #join(offer: Join, { host, publicKey }: Accepted): Promise<Message> {
    if (offer.host !== host || offer.publicKey !== publicKey) {
      throw new AtollError('forbidden', 'a host proposes itself alone, under its own key', 'none');
    }
    const now = Date.now();
    const outcome = proposeHost(this.#system, offer, now, this.#monitor.heardFrom());
    this.#changed();
    if (outcome.kind === 'refused') {
      const { reason, message: text, retryAt } = outcome;
      const retryAfterMs = retryAt === null ? null : Math.max(0, retryAt - now);
      return message({
        status: this.check({ host, publicKey }).status,
        proposal: null,
        refusal: { reason, message: text, retryAfterMs },
      } satisfies JoinReply);
    }
    if (outcome.kind === 'proposed' && !outcome.repeated) await this.#ask(outcome.ballot);
    const proposal = outcome.kind === 'proposed' ? outcome.ballot.proposal : null;
    const { status } = this.check({ host, publicKey });
    return message({ status, proposal, refusal: null } satisfies JoinReply);
  }

  /** Those of the electorate that are linked are asked now, and others when they are heard from; the host that leads votes itself. */
  async #ask(ballot: Ballot): Promise<void> {
    const request = this.#requestOf(ballot);
    const self = leadingHost(this.#system.replica.port);
    for (const voter of ballot.electorate) {
      if (voter !== self) this.#links.get(voter)?.event(hostMessage.voteRequest, request);
    }
    if (!ballot.electorate.includes(self)) return;
    const { accept, reason } = await edgeVote(request);
    this.#count({ proposal: ballot.proposal, voter: self, accept }, reason);
  }

  /** A host that is heard from may owe votes: it was away when they were asked for, or its answer was lost. */
  #remind(host: string): void {
    for (const ballot of votesAwaited(this.#system, host, Date.now())) {
      this.#links.get(host)?.event(hostMessage.voteRequest, this.#requestOf(ballot));
    }
  }

  #requestOf({ proposal, host, deadline }: Ballot): VoteRequest {
    const { port } = this.#system.replica;
    const { publicKey, addresses } = present(readAgent(port, host), 'a ballot is about a host');
    const [row] = port.query('SELECT free_bytes FROM atoll_host_metrics WHERE host = ?', host).rows;
    const neededBytes = bytesNeeded(port.databaseSize());
    return {
      proposal,
      host,
      publicKey,
      addresses: [...addresses],
      freeBytes: Number(row?.[0] ?? 0),
      neededBytes,
      deadline,
    };
  }

  #vote({ proposal, accept, reason }: Vote, { host }: Accepted): Message {
    return message({ result: this.#count({ proposal, voter: host, accept }, reason) } satisfies VoteReply);
  }

  #count(vote: { proposal: number; voter: string; accept: boolean }, reason: string): string {
    const { kind, verdict } = recordVote(this.#system, vote, Date.now(), reason);
    if (verdict === 'accepted') this.#assign(Date.now());
    this.#changed();
    return kind;
  }

  // --- Being heard from ----------------------------------------------------------------------------------

  #heartbeat(beat: Heartbeat, { host }: Accepted): Message {
    const now = Date.now();
    const outcome = this.#monitor.heartbeat(host, beat, now);
    this.#remind(host);
    if (outcome.kind === 'heard' && outcome.changed) this.#assign(now);
    this.#changed();
    const { port } = this.#system.replica;
    // Of one whose clock is off as well: it keeps what it has, and sees by the time what is wrong.
    const replicas = partitionsOf(port, host);
    const status = outcome.status ?? 'unknown';
    const reply: HeartbeatReply = { time: now, status, version: networkVersion(port), replicas };
    return message(reply);
  }

  #assign(now: number): void {
    assignReplicas(this.#system, replicasWanted(this.#system), now);
    this.#changed();
  }

  // --- Relaying ------------------------------------------------------------------------------------------

  /** A call of one member for another one that it cannot reach: handed on over the socket that is here. */
  async #relay({ head, data }: Message, { host, publicKey }: Accepted, deadline: number): Promise<Message> {
    const { to, type, head: inner } = readHead(Relay, 'relay', head);
    if (!this.check({ host, publicKey }).member) {
      throw new AtollError('forbidden', `host ${host} is no member of this cluster`, 'none');
    }
    const link = this.#links.get(to);
    if (link === undefined) throw new AtollError('unavailable', `host ${to} has no link here`, 'none');
    return link.call(hostMessage.relayed, { from: host, type, head: inner }, { data, deadline });
  }
}

const NO_DATA = new Uint8Array(0);

function message(head: unknown): Message {
  return { head, data: NO_DATA };
}
