import { assert, present } from '../../base/assert.ts';
import type { Timestamp } from '../../base/brand.ts';
import {
  COUNTER_LIMIT,
  formatTimestamp,
  hexCounter,
  hexMilliseconds,
  isNodeId,
  MILLISECONDS_LIMIT,
  parseTimestamp,
  type TimestampParts,
} from './timestamp.ts';

/** Chosen: far above what NTP leaves (tens of ms), far below what would make `AS OF` useless. */
export const DEFAULT_SKEW_LIMIT_MS = 500;

export interface HybridClockOptions {
  /** Unique among the nodes of the cluster; see `isNodeId`. */
  readonly node: string;
  /**
   * A reading that no earlier run of this node exceeded, from durable storage; every reading of this run is strictly
   * above it. Null only for a node that has never run.
   */
  readonly floor: Timestamp | null;
  /** How far ahead of this node's physical clock a received timestamp may be, in ms. */
  readonly skewLimitMs?: number;
}

export type Receipt =
  /** `timestamp` is the moment of receipt, strictly above the remote one. */
  | { readonly kind: 'received'; readonly timestamp: Timestamp }
  /** The clock is unchanged. Either the sender's physical clock is wrong or this node's. */
  | { readonly kind: 'too-far-ahead'; readonly aheadMs: number; readonly limitMs: number }
  | { readonly kind: 'malformed' };

/**
 * Hybrid logical clock: Kulkarni, Demirbas, Madappa, Avva, Leone, "Logical Physical Clocks and Consistent
 * Snapshots in Globally Distributed Databases", 2014, section 3.3 (the algorithm) and 4.2 (refusing
 * remote clocks that are too far ahead). Unlike the paper's, the counter is bounded: its overflow advances the ms.
 *
 * Physical time is an argument, in ms since 1970. It may stall, step back, or jump.
 */
export class HybridClock {
  readonly node: string;
  readonly skewLimitMs: number;
  private milliseconds: number;
  private counter: number;
  /** The text of `milliseconds`: most readings share it with the one before. */
  private prefix: string;

  constructor({ node, floor, skewLimitMs = DEFAULT_SKEW_LIMIT_MS }: HybridClockOptions) {
    assert(isNodeId(node), () => `'${node}' is no node id`);
    assert(skewLimitMs >= 0, 'a skew limit is not negative');
    const start = floor === null ? null : present(parseTimestamp(floor), () => `the clock floor '${floor}'`);
    this.node = node;
    this.skewLimitMs = skewLimitMs;
    this.milliseconds = start?.milliseconds ?? 0;
    this.counter = start?.counter ?? 0;
    this.prefix = hexMilliseconds(this.milliseconds);
  }

  /** A reading strictly above all that this clock gave or received before. */
  now(physicalMs: number): Timestamp {
    const physical = checkPhysical(physicalMs);
    if (physical > this.milliseconds) this.set(physical, 0);
    else this.increment();
    return this.read();
  }

  /** Takes notice of another node's reading; this clock is above it from now on. */
  receive(remote: Timestamp, physicalMs: number): Receipt {
    const parts = parseTimestamp(remote);
    if (parts === null) return { kind: 'malformed' };
    const physical = checkPhysical(physicalMs);
    const aheadMs = parts.milliseconds - physical;
    // What this clock has passed already cannot push it, however wrong it is.
    if (aheadMs > this.skewLimitMs && this.isBehind(parts)) {
      return { kind: 'too-far-ahead', aheadMs, limitMs: this.skewLimitMs };
    }
    if (this.isBehind(parts)) this.set(parts.milliseconds, parts.counter);
    return { kind: 'received', timestamp: this.now(physicalMs) };
  }

  /**
   * As {@link receive}, without its limit: for a moment that was decided on, which nobody can refuse any more. Whoever
   * decided has refused clocks that were too far ahead before.
   */
  follow(decided: Timestamp, physicalMs: number): void {
    const parts = present(parseTimestamp(decided), () => `the decided timestamp '${decided}'`);
    if (this.isBehind(parts)) this.set(parts.milliseconds, parts.counter);
    this.now(physicalMs);
  }

  /** The last reading, or the floor: what is to be persisted, and nothing that has not happened. */
  last(): Timestamp {
    return formatTimestamp({ milliseconds: this.milliseconds, counter: this.counter, node: this.node });
  }

  /** How far this clock runs ahead of physical time, in ms; negative when behind. */
  aheadMs(physicalMs: number): number {
    return this.milliseconds - checkPhysical(physicalMs);
  }

  private isBehind({ milliseconds, counter }: TimestampParts): boolean {
    return milliseconds > this.milliseconds || (milliseconds === this.milliseconds && counter > this.counter);
  }

  private increment(): void {
    if (this.counter + 1 < COUNTER_LIMIT) this.counter++;
    else this.set(this.milliseconds + 1, 0);
  }

  private set(milliseconds: number, counter: number): void {
    assert(milliseconds < MILLISECONDS_LIMIT, 'the clock has reached its last millisecond');
    if (milliseconds !== this.milliseconds) this.prefix = hexMilliseconds(milliseconds);
    this.milliseconds = milliseconds;
    this.counter = counter;
  }

  private read(): Timestamp {
    return `${this.prefix}${hexCounter(this.counter)}-${this.node}` as Timestamp;
  }
}

function checkPhysical(physicalMs: number): number {
  const whole = Math.floor(physicalMs);
  assert(whole >= 0 && whole < MILLISECONDS_LIMIT, () => `${physicalMs} is no physical time in ms`);
  return whole;
}
