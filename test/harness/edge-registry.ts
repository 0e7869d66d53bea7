import { failureOf } from '../../src/core/execution/failure.ts';
import { isAccepted } from '../../src/core/network/status.ts';
import { EDGE } from '../../src/core/network/votes.ts';
import {
  acceptHost,
  drainHost,
  proposeHost,
  recordVote,
  removeHost,
  votesAwaited,
} from '../../src/core/replica/hosts.ts';
import { assignReplicas, partitionsOf } from '../../src/core/replica/hosts-assignment.ts';
import { HostMonitor } from '../../src/core/replica/hosts-monitor.ts';
import { readAgent, readAgents } from '../../src/core/replica/hosts-rows.ts';
import type { Replica } from '../../src/core/replica/replica.ts';
import type { System } from '../../src/core/replica/system.ts';
import type { Outside } from './agent-copy.ts';
import type { Host } from './host.ts';
import type { Link, Reply, Request, Wire } from './wire.ts';

/** A host is away too long after this, ms: shorter than in truth, as runs are. */
const AWAY_MS = 2 * 60 * 60_000;

/** What the system partition's object does with hosts, one event at a time. */
export class EdgeRegistry {
  readonly #outside: Outside;
  readonly #wire: Wire;
  readonly #host: Host;
  readonly #system: () => System;
  readonly #restarted: () => void;
  readonly #wanted: number;
  readonly links: ReadonlySet<Link>;
  #replica: Replica;
  #monitor: HostMonitor;
  /** Hosts that had a link when this last looked. */
  #linked: ReadonlySet<string> = new Set();

  constructor(parts: {
    readonly outside: Outside;
    readonly wire: Wire;
    readonly host: Host;
    readonly system: () => System;
    /** The system partition's process has ended in the middle of something. */
    readonly restarted: () => void;
    readonly links: ReadonlySet<Link>;
    readonly wanted: number;
  }) {
    this.#outside = parts.outside;
    this.#wire = parts.wire;
    this.#host = parts.host;
    this.#system = parts.system;
    this.#restarted = parts.restarted;
    this.#wanted = parts.wanted;
    this.links = parts.links;
    this.#replica = parts.host.replica;
    this.#monitor = this.#newMonitor();
  }

  #newMonitor(): HostMonitor {
    return new HostMonitor(this.#system(), this.#outside.now, { awayMs: AWAY_MS });
  }

  /** Null where the object ended before it answered, or had nothing to. */
  receive(link: Link, request: Request): Reply | null {
    return this.#step(() => {
      this.#lookAtLinks();
      if (request.type === 'join') return this.#join(link, request);
      if (request.type === 'heartbeat') return this.#heartbeat(link.host, request);
      if (request.type === 'vote') return this.#vote(link.host, request.proposal, request.accept);
      return null;
    });
  }

  /** An object is told when a link begins or ends. */
  #lookAtLinks(): void {
    const linked = new Set([...this.links].map(({ host }) => host));
    for (const host of this.#linked) if (!linked.has(host)) this.#monitor.left(host);
    for (const host of linked) this.#monitor.returned(host);
    this.#linked = linked;
  }

  /** Looks after hosts that say nothing. */
  watch(): void {
    this.#step(() => {
      const { random, coverage, now } = this.#outside;
      const turns = this.#monitor.tick(now, () => random.next());
      for (const { host, before, after } of turns) this.#outside.note(`host ${host}: ${before} to ${after}`);
      coverage.statusTurns += turns.length;
      coverage.awayTooLong += turns.filter(({ event }) => event === 'away-too-long').length;
      if (turns.length > 0) this.#assign();
      return null;
    });
  }

  /** An operator does something. */
  decide(decision: 'accept' | 'drain' | 'remove', host: string): void {
    this.#step(() => {
      const decisions = { accept: acceptHost, drain: drainHost, remove: removeHost };
      const outcome = decisions[decision](this.#system(), host, this.#outside.now);
      this.#outside.note(`${decision} ${host}: ${outcome.kind}`);
      if (outcome.kind === 'done' && decision === 'drain') this.#outside.coverage.drained++;
      if (outcome.kind === 'done' && decision === 'remove') this.#outside.coverage.removed++;
      this.#assign();
      return null;
    });
  }

  #step<T>(body: () => T): T | null {
    if (this.#replica !== this.#host.replica) {
      this.#replica = this.#host.replica;
      this.#monitor = this.#newMonitor();
      this.#linked = new Set();
    }
    try {
      const step = this.#host.step(this.#outside.fault(), body);
      if (!step.crashed) return step.result;
      this.#outside.coverage.crashes++;
    } catch (error) {
      if (!failureOf(error).message.startsWith('injected')) throw error;
      this.#outside.note(`registry: ${failureOf(error).message}`);
      this.#host.restart();
    }
    this.#restarted();
    return null;
  }

  #join(link: Link, { offer }: Request & { type: 'join' }): Reply {
    const { now, coverage } = this.#outside;
    const outcome = proposeHost(this.#system(), offer, now, this.#monitor.heardFrom());
    this.#outside.note(
      `join ${offer.host}: ${outcome.kind} ${outcome.kind === 'refused' ? outcome.reason : ''}`,
    );
    if (outcome.kind === 'refused') {
      coverage.joinsRefused++;
      const retryAfterMs = outcome.retryAt === null ? null : Math.max(0, outcome.retryAt - now);
      return { type: 'join', status: this.#statusOf(offer.host), retryAfterMs };
    }
    if (outcome.kind === 'member' && outcome.newAddress) coverage.newAddresses++;
    if (outcome.kind === 'proposed' && !outcome.repeated) {
      coverage.proposed++;
      const { proposal, electorate } = outcome.ballot;
      for (const each of this.links) {
        if (each.host === offer.host || !electorate.includes(each.host)) continue;
        this.#wire.send({ to: 'agent', link: each, message: { type: 'vote-request', proposal } });
      }
      if (electorate.includes(EDGE)) this.#count(EDGE, proposal, this.#votes());
    }
    return { type: 'join', status: this.#statusOf(link.host), retryAfterMs: null };
  }

  #votes(): boolean {
    return !this.#outside.random.chance(0.2);
  }

  #statusOf(host: string): string {
    return readAgent(this.#host.port, host)?.status ?? 'unknown';
  }

  #vote(voter: string, proposal: number, accept: boolean): Reply {
    return { type: 'vote', result: this.#count(voter, proposal, accept) };
  }

  #count(voter: string, proposal: number, accept: boolean): string {
    const { now, coverage, mutant } = this.#outside;
    let { kind, verdict } = recordVote(this.#system(), { proposal, voter, accept }, now);
    if (mutant === 'vote-counted-twice' && kind === 'repeated') {
      // As somebody's who has not voted yet.
      const [other] = this.#ballotRows(proposal);
      if (other !== undefined)
        ({ kind, verdict } = recordVote(this.#system(), { proposal, voter: other, accept }, now));
    }
    this.#outside.note(`vote ${voter} on ${proposal}: ${kind} ${verdict}`);
    if (kind === 'counted') coverage.votes++;
    if (kind === 'counted' && verdict === 'accepted') {
      coverage.joined++;
      this.#assign();
    }
    return kind;
  }

  #ballotRows(proposal: number): string[] {
    const { port } = this.#host;
    const [[electorate] = []] = port.query(
      'SELECT electorate FROM atoll_host_proposals WHERE proposal = ?',
      proposal,
    ).rows;
    const voted = new Set(
      port.query('SELECT voter FROM atoll_votes WHERE proposal = ?', proposal).rows.map(([v]) => v),
    );
    return (JSON.parse(String(electorate ?? '[]')) as string[]).filter((each) => !voted.has(each));
  }

  #heartbeat(host: string, { beat }: Request & { type: 'heartbeat' }): Reply {
    const { now, coverage } = this.#outside;
    const outcome = this.#monitor.heartbeat(host, beat, now);
    if (outcome.kind === 'clock-off') coverage.clockOff++;
    if (outcome.kind !== 'heard') {
      return { type: 'heartbeat', status: outcome.status ?? 'unknown', replicas: [] };
    }
    if (outcome.before !== outcome.status) {
      coverage.statusTurns++;
      this.#outside.note(`host ${host}: ${outcome.before} to ${outcome.status}`);
    }
    if (outcome.changed) this.#assign();
    for (const { proposal } of votesAwaited(this.#system(), host, now)) {
      for (const link of this.links) {
        if (link.host === host)
          this.#wire.send({ to: 'agent', link, message: { type: 'vote-request', proposal } });
      }
    }
    return { type: 'heartbeat', status: outcome.status, replicas: partitionsOf(this.#host.port, host) };
  }

  #assign(): void {
    const { now, coverage } = this.#outside;
    const { given, taken } = assignReplicas(this.#system(), this.#wanted, now, (host) => {
      const beat = this.#monitor.pulseOf(host)?.beat;
      if (beat === undefined) return null;
      const { freeBytes, heldBytes } = beat;
      return { freeBytes, heldBytes, unreliability: this.#monitor.scoreOf(host, now), distanceMs: 10 };
    });
    coverage.given += given.length;
    coverage.taken += taken.length;
  }

  /** Hosts that are members, and those of them that are being drained. */
  members(): { readonly host: string; readonly status: string; readonly draining: boolean }[] {
    return readAgents(this.#host.port).filter(({ status }) => isAccepted(status));
  }

  partitionsOf(host: string): number[] {
    return partitionsOf(this.#host.port, host);
  }

  statusOf(host: string): string {
    return this.#statusOf(host);
  }
}
