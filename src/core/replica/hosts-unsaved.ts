import type { ReplicaReport } from '../network/heartbeat.ts';
import type { Reliability } from '../network/reliability.ts';
import { isAccepted } from '../network/status.ts';
import { readAgents } from './hosts-rows.ts';
import {
  type Pulse,
  writeLatency,
  writeMetrics,
  writeProgressSample,
  writeReliability,
} from './hosts-samples.ts';
import { leadingHost } from './leading-host.ts';
import { changeQuietly } from './network-version.ts';
import type { System } from './system.ts';

/** Chosen: how often samples are written at most, and how long each host adds: no more than two hosts a second. */
const SAVE_MS = 10_000;
const SAVE_HOST_MS = 500;
/** Rows of replicas and latencies that are written with them (chosen: 10,000 partitions then take turns). */
const ROWS_MAX = 64;

/** Who has the newest values. */
export interface Sampled {
  pulseOf(host: string): Pulse | null;
  reliabilityOf(host: string): Reliability | null;
}

/**
 * What heartbeats have said and the tables do not show yet. It is written as quiet commits, all hosts in one, a bounded number of rows,
 * those first that wait longest; unchanged values are not written at all.
 */
export class UnsavedSamples {
  readonly #system: System;
  readonly #sampled: Sampled;
  #savedAt: number;
  readonly #hosts = new Set<string>();
  readonly #reliability = new Set<string>();
  /** By host and partition, or host and other host: a Map keeps the order in which they came to wait. */
  readonly #replicas = new Map<string, { readonly host: string; readonly report: ReplicaReport }>();
  readonly #latencies = new Map<
    string,
    { readonly host: string; readonly other: string; readonly ms: number }
  >();
  /** As written, by the same keys. */
  readonly #matched = new Map<string, number>();
  readonly #ms = new Map<string, number>();

  constructor(system: System, sampled: Sampled, now: number) {
    this.#system = system;
    this.#sampled = sampled;
    this.#savedAt = now;
  }

  /** Between two commits of samples, ms. */
  get intervalMs(): number {
    const [[hosts] = []] = this.#system.replica.port.query('SELECT count(*) FROM atoll_host_profiles').rows;
    return Math.max(SAVE_MS, Number(hosts) * SAVE_HOST_MS);
  }

  add(host: string, { beat }: Pulse): void {
    this.#hosts.add(host);
    for (const report of beat.replicas) {
      const key = `${host} ${report.partition}`;
      if (this.#matched.get(key) !== report.matched) this.#replicas.set(key, { host, report });
    }
    for (const [other, ms] of Object.entries(beat.latencies)) {
      const key = `${host} ${other}`;
      const written = this.#ms.get(key);
      // Round trips never stand still: a sample is worth a row when the map would look different.
      const same = written !== undefined && Math.abs(ms - written) <= Math.max(0.5, written / 4);
      if (!same) this.#latencies.set(key, { host, other, ms });
    }
  }

  addReliability(host: string): void {
    this.#reliability.add(host);
  }

  delete(host: string): void {
    this.#hosts.delete(host);
    this.#reliability.delete(host);
    for (const map of [this.#replicas, this.#latencies, this.#matched, this.#ms]) {
      for (const key of map.keys()) if (key.startsWith(`${host} `)) map.delete(key);
    }
  }

  saveIfDue(now: number): void {
    // A clock that stepped back would hold samples for as long as it did.
    if (Math.abs(now - this.#savedAt) >= this.intervalMs) this.#save(now, ROWS_MAX);
  }

  saveAll(now: number): void {
    this.#save(now, Infinity);
  }

  #save(now: number, rowsMax: number): void {
    this.#savedAt = now;
    const waiting = [this.#hosts, this.#reliability, this.#replicas, this.#latencies];
    if (waiting.every(({ size }) => size === 0)) return;
    const agents = readAgents(this.#system.replica.port).filter(({ status }) => isAccepted(status));
    const members = new Set(agents.map(({ host }) => host));
    const replicas = [...this.#replicas.values()].slice(0, rowsMax / 2);
    const latencies = [...this.#latencies.values()].slice(0, rowsMax / 2);
    const leader = leadingHost(this.#system.replica.port);
    changeQuietly(this.#system, now, (port) => {
      for (const host of this.#hosts) {
        const pulse = this.#sampled.pulseOf(host);
        if (pulse !== null && members.has(host)) writeMetrics(port, host, pulse);
      }
      for (const host of this.#reliability) {
        const state = this.#sampled.reliabilityOf(host);
        if (state !== null) writeReliability(port, host, state);
      }
      for (const { host, report } of replicas) writeProgressSample(port, host, report, now);
      for (const { host, other, ms } of latencies) {
        const known = members.has(host) && (members.has(other) || other === leader);
        if (known) writeLatency(port, host, other, ms, now);
      }
    });
    for (const { host, report } of replicas) {
      const key = `${host} ${report.partition}`;
      this.#matched.set(key, report.matched);
      this.#replicas.delete(key);
    }
    for (const { host, other, ms } of latencies) {
      const key = `${host} ${other}`;
      this.#ms.set(key, ms);
      this.#latencies.delete(key);
    }
    this.#hosts.clear();
    this.#reliability.clear();
  }
}
