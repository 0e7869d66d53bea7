import type { PartitionId } from '../../base/brand.ts';
import { SYSTEM_PARTITION } from '../../base/system-partition.ts';
import {
  type Heartbeat,
  hasCaughtUp,
  type ReplicaReport,
  type ReplicaState,
  replicaStateAfter,
} from '../network/heartbeat.ts';
import { CLOCK_SKEW_MAX_MS, isClockOff } from '../network/joining.ts';
import {
  freshReliability,
  mayTry,
  type Reliability,
  scoreAt,
  succeeded,
  timedOut,
} from '../network/reliability.ts';
import { type HostEvent, type HostStatus, isAccepted, isEnd, servesReads } from '../network/status.ts';
import { closeProposals, type HeardFrom } from './hosts.ts';
import { partitionsOf } from './hosts-assignment.ts';
import { noteDifference } from './hosts-differences.ts';
import { dismiss } from './hosts-membership.ts';
import { noteAddresses } from './hosts-profile.ts';
import { type AgentRow, change, isoOf, raise, readAgent, readAgents, readSeen } from './hosts-rows.ts';
import {
  type Pulse,
  readReliability,
  readReplicaStates,
  writeMetrics,
  writeProgressSample,
  writeReplicaLost,
  writeReplicaState,
} from './hosts-samples.ts';
import { type Sampled, UnsavedSamples } from './hosts-unsaved.ts';
import { networkVersion } from './network-version.ts';
import type { System } from './system.ts';

/** Chosen: three heartbeats. A host that is silent for longer is `inactive`: nobody waits for it. */
export const SILENT_MS = 15_000;
/** Chosen: a long weekend and its repair. Away for longer, a host loses its range and must be accepted again. */
export const AWAY_MS = 7 * 24 * 60 * 60_000;
/** Chosen: what the agents need to find a system partition that was itself away. Until then none is away too long. */
export const RETURN_MS = 60_000;

export type HeartbeatOutcome =
  | {
      readonly kind: 'heard';
      readonly before: HostStatus;
      readonly status: HostStatus;
      /** Of the network information. */
      readonly version: number;
      /** That it shall have replicas of. */
      readonly partitions: readonly PartitionId[];
      /** Its status, or a replica's state, has changed: `assignReplicas` may have something to do. */
      readonly changed: boolean;
    }
  /** It proposes itself (again), then. Null: it never has. */
  | { readonly kind: 'no-member'; readonly status: HostStatus | null }
  /** It is not to serve anything. Positive: its clock is ahead. */
  | {
      readonly kind: 'clock-off';
      readonly status: HostStatus;
      readonly skewMs: number;
      readonly limitMs: number;
    };

export interface Turn {
  readonly host: string;
  readonly event: HostEvent;
  readonly before: HostStatus;
  readonly after: HostStatus;
}

/**
 * The newest that is known of the agents, in memory, beside the tables: heartbeats come every few seconds, and each of them in the log
 * would be all that a quiet cluster's log holds. What others decide by, statuses and states of replicas, is in the tables
 * before a method returns; the rest follows as samples (`UnsavedSamples`). After a restart the samples stand in until
 * the next heartbeats.
 */
export class HostMonitor implements Sampled {
  readonly #system: System;
  readonly #awayMs: number;
  readonly #openedAt: number;
  readonly #pulses = new Map<string, Pulse>();
  readonly #reliability = new Map<string, Reliability>();
  readonly #unsaved: UnsavedSamples;
  /** Hosts whose link has ended since they were heard from. */
  readonly #left = new Set<string>();

  /** `awayMs`: see {@link AWAY_MS}. */
  constructor(system: System, now: number, { awayMs = AWAY_MS }: { readonly awayMs?: number } = {}) {
    this.#system = system;
    this.#awayMs = awayMs;
    this.#openedAt = now;
    this.#unsaved = new UnsavedSamples(system, this, now);
  }

  pulseOf(host: string): Pulse | null {
    return this.#pulses.get(host) ?? null;
  }

  /** Of what this or an earlier monitor saw; null: nothing yet. */
  reliabilityOf(host: string): Reliability | null {
    const known = this.#reliability.get(host);
    if (known !== undefined) return known;
    const { port } = this.#system.replica;
    const stored = readReliability(port, host, readAgent(port, host)?.status === 'unavailable');
    if (stored !== null) this.#reliability.set(host, stored);
    return stored;
  }

  /** Unreliability now, from 0. */
  scoreOf(host: string, now: number): number {
    const state = this.reliabilityOf(host);
    return state === null ? 0 : scoreAt(state, now);
  }

  /** For proposals, whose electorate are the present ones. */
  heardFrom(): HeardFrom {
    const heard = new Map<string, number | null>();
    for (const [host, { seenAt }] of this.#pulses) heard.set(host, seenAt);
    // A newcomer would wait for their votes until its ballot ends.
    for (const host of this.#left) heard.set(host, null);
    return heard;
  }

  /** The link of a host has ended. It may be back in a moment, and counts as silent only with time; but it cannot vote now. */
  left(host: string): void {
    this.#left.add(host);
  }

  /** It has a link again. */
  returned(host: string): void {
    this.#left.delete(host);
  }

  /** What a member says every few seconds. That it comes from `host` is the caller's duty. */
  heartbeat(host: string, beat: Heartbeat, now: number): HeartbeatOutcome {
    const { port } = this.#system.replica;
    const agent = readAgent(port, host);
    if (agent === null || isEnd(agent.status)) {
      this.#forget(host);
      return { kind: 'no-member', status: agent?.status ?? null };
    }
    const pulse = { seenAt: now, skewMs: beat.time - now, beat };
    this.#pulses.set(host, pulse);
    this.returned(host);
    if (isClockOff(beat.time, now)) {
      const status = this.#raise(agent, 'clock-off', `its clock is off by ${pulse.skewMs} ms`, now);
      return { kind: 'clock-off', status, skewMs: pulse.skewMs, limitMs: CLOCK_SKEW_MAX_MS };
    }
    const before = agent.status;
    if (!isAccepted(before)) return this.#heard(agent, before, false);
    this.#forgive(host, now);
    const changed = this.#takeIn(agent, pulse, now);
    this.#unsaved.add(host, pulse);
    const status = readAgent(port, host)?.status ?? before;
    return this.#heard({ ...agent, status }, before, changed);
  }

  #heard({ host, status }: AgentRow, before: HostStatus, changed: boolean): HeartbeatOutcome {
    const { port } = this.#system.replica;
    const version = networkVersion(port);
    return { kind: 'heard', before, status, version, partitions: partitionsOf(port, host), changed };
  }

  /** Whatever of a heartbeat others go by, in one transaction; false: nothing of it is new. */
  #takeIn(agent: AgentRow, pulse: Pulse, now: number): boolean {
    const { host } = agent;
    const { beat } = pulse;
    return change(this.#system, now, (port) => {
      const states = readReplicaStates(port, host);
      for (const difference of beat.differing ?? []) noteDifference(port, agent, difference, states, now);
      const turned: ReplicaReport[] = [];
      for (const report of beat.replicas) {
        const state = states.get(report.partition);
        if (state === undefined) continue;
        const next = replicaStateAfter(state, report);
        if (next === state) continue;
        states.set(report.partition, next);
        turned.push(report);
        writeReplicaState(port, host, report.partition, next);
        writeProgressSample(port, host, report, now);
      }
      const lost = lostReplicas(states, beat);
      for (const partition of lost) {
        states.set(partition, 'loading');
        writeReplicaLost(port, host, partition);
      }
      let { status } = agent;
      const turn = (event: HostEvent, reason: string | null): void => {
        const result = raise(port, { host, status }, event, reason, now);
        if (result.kind === 'done') status = result.after;
      };
      if (status === 'unavailable' && this.#reliability.get(host)?.unavailable === false) {
        turn('reliable', null);
      }
      const behind = [...states].flatMap(([partition, state]) => (state === 'behind' ? [partition] : []));
      // Without the system partition's it serves nothing; of others the rest go on.
      if (lost.includes(SYSTEM_PARTITION)) behind.push(SYSTEM_PARTITION);
      if (servesReads(status) && behind.length > 0) turn('fell-behind', `partitions ${behind.join(', ')}`);
      const emptied = agent.draining && states.size <= 1;
      if (status === 'inactive' && !emptied && hasCaughtUp(states, agent.servedAt !== null)) {
        turn('caught-up', null);
        if (agent.servedAt === null) {
          port.query('UPDATE atoll_host_profiles SET served_at = ? WHERE host = ?', isoOf(now), host);
        }
      }
      const moved = beat.addresses !== undefined && noteAddresses(port, agent, beat.addresses, now);
      const changed = turned.length + lost.length > 0 || status !== agent.status;
      if (changed || moved) writeMetrics(port, host, pulse);
      return changed;
    });
  }

  /** A call to the host was answered, or was not in time. `chance` in [0, 1) spreads retries. */
  called(host: string, answered: boolean, now: number, chance: number): Turn | null {
    const { port } = this.#system.replica;
    const agent = readAgent(port, host);
    if (agent === null || !isAccepted(agent.status)) return null;
    if (answered) {
      this.#forgive(host, now);
      if (agent.status !== 'unavailable' || this.reliabilityOf(host)?.unavailable !== false) return null;
      return this.#turn(agent, 'reliable', null, now);
    }
    const state = timedOut(this.reliabilityOf(host) ?? freshReliability(now), now, chance);
    this.#reliability.set(host, state);
    this.#unsaved.addReliability(host);
    return state.unavailable ? this.#turn(agent, 'unreliable', null, now) : null;
  }

  /** A success; of a host that nothing is held against, nothing is noted. */
  #forgive(host: string, now: number): void {
    const state = this.reliabilityOf(host);
    if (state === null || (scoreAt(state, now) < 0.01 && !state.unavailable && state.retries === 0)) return;
    this.#reliability.set(host, succeeded(state, now));
    this.#unsaved.addReliability(host);
  }

  /**
   * What time alone brings about, every few seconds: proposals without a majority, silent hosts, those away too long; and
   * writes samples that are due. Any turn may give `assignReplicas` something to do.
   */
  tick(now: number, chance: () => number): Turn[] {
    const turns: Turn[] = closeProposals(this.#system, now).map((host) => ({
      host,
      event: 'refused',
      before: 'proposal',
      after: 'refused',
    }));
    const seen = readSeen(this.#system.replica.port);
    const members = readAgents(this.#system.replica.port).filter(({ status }) => isAccepted(status));
    const hosts = new Set(members.map(({ host }) => host));
    for (const host of this.#left) if (!hosts.has(host)) this.#left.delete(host);
    for (const agent of members) {
      const turn = this.#judgeSilence(agent, seen.get(agent.host) ?? agent.joinedAt ?? now, now, chance);
      if (turn !== null) turns.push(turn);
    }
    this.#unsaved.saveIfDue(now);
    return turns;
  }

  /** `seenAt`: as the tables have it. */
  #judgeSilence(agent: AgentRow, seenAt: number, now: number, chance: () => number): Turn | null {
    const { host, status, statusSince } = agent;
    const pulse = this.#pulses.get(host);
    // A sample is as old as the interval between two of them.
    const allowance = pulse === undefined ? this.#unsaved.intervalMs : 0;
    const silentMs = now - Math.max(seenAt, pulse?.seenAt ?? 0);
    if (silentMs <= SILENT_MS + allowance) return null;
    if (servesReads(status)) return this.#turn(agent, 'silent', null, now);
    if (silentMs >= this.#awayMs && now - statusSince >= this.#awayMs && now - this.#openedAt >= RETURN_MS) {
      this.#forget(host);
      const reason = `not heard from since ${isoOf(now - silentMs)}`;
      change(this.#system, now, (port) => dismiss(port, agent, 'away-too-long', reason, now));
      return { host, event: 'away-too-long', before: status, after: 'removed' };
    }
    const state = this.reliabilityOf(host);
    if (state?.unavailable === true || (state !== null && !mayTry(state, now))) return null;
    return this.called(host, false, now, chance());
  }

  /** Writes all samples that are not written yet: before the system partition stops. */
  save(now: number): void {
    this.#unsaved.saveAll(now);
  }

  #raise(agent: AgentRow, event: HostEvent, reason: string | null, now: number): HostStatus {
    const result = change(this.#system, now, (port) => raise(port, agent, event, reason, now));
    return result.kind === 'done' ? result.after : agent.status;
  }

  /** Null if the event changes nothing. */
  #turn(agent: AgentRow, event: HostEvent, reason: string | null, now: number): Turn | null {
    const after = this.#raise(agent, event, reason, now);
    return after === agent.status ? null : { host: agent.host, event, before: agent.status, after };
  }

  #forget(host: string): void {
    this.#pulses.delete(host);
    this.#reliability.delete(host);
    this.#unsaved.delete(host);
    this.#left.delete(host);
  }
}

/** A host says nothing of a replica that it has no data of: it was damaged, or differed, and is loaded anew. */
function lostReplicas(states: ReadonlyMap<number, ReplicaState>, { replicas }: Heartbeat): number[] {
  const told = new Set(replicas.map(({ partition }) => partition));
  return [...states].flatMap(([partition, state]) =>
    state === 'loading' || told.has(partition) ? [] : [partition],
  );
}
