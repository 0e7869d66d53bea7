import { assert } from '../../base/assert.ts';
import { murmur3 } from '../schema/token.ts';
import { encodeUtf8 } from '../sqlite/utf8.ts';
import type { HostStatus } from './status.ts';

/** Round trips of the last heartbeats between two hosts, in ms, oldest first. */
export type LatencyWindow = readonly number[];

/** Chosen: heartbeats kept. A route that became longer is believed after so many. */
export const WINDOW_MAX = 16;

export function observe(window: LatencyWindow, roundTripMs: number): LatencyWindow {
  assert(Number.isFinite(roundTripMs) && roundTripMs >= 0, () => `${roundTripMs} is no round trip`);
  return [...window, roundTripMs].slice(-WINDOW_MAX);
}

/**
 * The window's minimum, null while it is empty. Queues, scheduling and garbage collection only ever add to a round
 * trip, so the minimum is the nearest to the path's own length (N. Cardwell et al., "BBR: Congestion-Based Congestion
 * Control", ACM Queue 14(5), 2016, estimates RTprop so). The smoothed mean of V. Jacobson, "Congestion Avoidance
 * and Control", 1988 (RFC 6298), answers another question, how long to wait: one slow reply would bend the map.
 */
export function latencyOf(window: LatencyWindow): number | null {
  return window.length === 0 ? null : Math.min(...window);
}

/** Round trip between two hosts in ms; null if nobody measured it. */
export type Latencies = (a: string, b: string) => number | null;

/**
 * Measured round trips of a whole network. Each host measures to others; of two that measured each other the
 * smaller counts, for the same reason as in {@link latencyOf}. A host is 0 from itself.
 */
export class LatencyMatrix {
  private readonly rows = new Map<string, ReadonlyMap<string, number>>();

  /** Replaces what `host` measured. */
  set(host: string, measured: Readonly<Record<string, number>>): void {
    const row = Object.entries(measured);
    assert(
      row.every(([, ms]) => Number.isFinite(ms) && ms >= 0),
      () => `${host} measured no round trips`,
    );
    this.rows.set(host, new Map(row));
  }

  /** Forgets the host as a measurer and as a target. */
  delete(host: string): void {
    this.rows.delete(host);
    for (const [other, row] of this.rows) {
      if (row.has(host)) this.rows.set(other, new Map([...row].filter(([to]) => to !== host)));
    }
  }

  /** An arrow function, so that it can be passed as {@link Latencies}. */
  readonly ms: Latencies = (a, b) => {
    if (a === b) return 0;
    const there = this.rows.get(a)?.get(b) ?? Infinity;
    const back = this.rows.get(b)?.get(a) ?? Infinity;
    const least = Math.min(there, back);
    return least === Infinity ? null : least;
  };

  /**
   * What {@link fromTriangle} reads: each pair of `hosts` once, (0,1), (0,2) … (1,2) …, in whole tenths of ms, null
   * where unknown. 200 hosts take about 90 KB of JSON.
   */
  triangle(hosts: readonly string[]): (number | null)[] {
    return hosts.flatMap((host, i) =>
      this.distances(host, hosts.slice(i + 1)).map((ms) => (ms === null ? null : Math.round(ms * 10))),
    );
  }

  /** Null if the list is not one of all pairs of the hosts. */
  static fromTriangle(hosts: readonly string[], tenths: readonly (number | null)[]): LatencyMatrix | null {
    const fits = tenths.every((each) => each === null || (Number.isSafeInteger(each) && each >= 0));
    if (!fits || tenths.length !== (hosts.length * (hosts.length - 1)) / 2) return null;
    const matrix = new LatencyMatrix();
    let at = 0;
    hosts.forEach((host, i) => {
      const row = new Map<string, number>();
      for (const other of hosts.slice(i + 1)) {
        const each = tenths[at++] ?? null;
        if (each !== null) row.set(other, each / 10);
      }
      matrix.rows.set(host, row);
    });
    return matrix;
  }

  /** Of `host` to each of `others`, by their order. */
  distances(host: string, others: readonly string[]): (number | null)[] {
    return others.map((other) => this.ms(host, other));
  }
}

/**
 * Direction of c seen from a, with b as the reference: the angle at a in radians, 0 (where b is) … π (opposite), by
 * the law of cosines. Null if a side is unknown, or if a has no distance to b or c that can be told from 0. Round trips are no metric:
 * where they break the triangle inequality the cosine leaves [−1, 1] and is clamped to it.
 */
export function direction(ab: number | null, ac: number | null, bc: number | null): number | null {
  if (ab === null || ac === null || bc === null || 2 * ac * ab === 0) return null;
  const cosine = (ac ** 2 + ab ** 2 - bc ** 2) / (2 * ac * ab);
  return Number.isNaN(cosine) ? null : Math.acos(Math.min(1, Math.max(-1, cosine)));
}

export function directionOf(latencies: Latencies, a: string, b: string, c: string): number | null {
  return direction(latencies(a, b), latencies(a, c), latencies(b, c));
}

export interface Candidate {
  readonly host: string;
  readonly status: HostStatus;
  /** Its unreliability now, from 0 (`scoreAt`). */
  readonly unreliability: number;
}

/** Chosen: what a host of unknown latency counts as, in ms: behind every known one on the same continent. */
export const UNKNOWN_MS = 200;

/** Chosen: the least that a call to another host costs, so that unreliability tells even on one machine. */
const CALL_MS = 0.1;

/**
 * Candidates that may answer a read, the one to ask first first: round trip × (1 + unreliability) ascending, so a host
 * that just timed out counts as twice as far. Those that are `unavailable` come last, to be asked when nobody
 * else is left. Equals are ordered by a hash with the asker's name, lest all askers choose the same.
 */
export function closest<C extends Candidate>(
  from: string,
  candidates: readonly C[],
  latencies: Latencies,
): C[] {
  return candidates
    .filter(({ status }) => status === 'read' || status === 'write' || status === 'unavailable')
    .map((candidate) => {
      const { host, status, unreliability } = candidate;
      const away = host === from ? 0 : CALL_MS + (latencies(from, host) ?? UNKNOWN_MS);
      const cost = away * (1 + unreliability);
      return { candidate, last: status === 'unavailable' ? 1 : 0, cost };
    })
    .sort((a, b) => a.last - b.last || a.cost - b.cost || byChance(from, a.candidate.host, b.candidate.host))
    .map(({ candidate }) => candidate);
}

function byChance(from: string, a: string, b: string): number {
  const place = (host: string) => murmur3(encodeUtf8(`${from} ${host}`));
  return place(a) - place(b);
}
