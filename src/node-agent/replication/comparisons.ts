import type { ReplicaDifference } from '../../core/network/heartbeat.ts';
import type { LogEvent } from '../log.ts';
import type { Compared, PartitionCopy } from './partition-copy.ts';

/** Every replica is compared about this often, ms (chosen: both sides read all rows, and an object that sleeps is woken). */
export const COMPARE_MS = 6 * 60 * 60_000;
/** How long one waits that came by a snapshot, or whose process was killed, ms (chosen: what is under way then goes first). */
const SOON_MS = 60_000;
/** And one that could not be compared, ms (chosen). */
const AGAIN_MS = 60_000;
/** What a heartbeat has room for (imposed: protocol/hosts.ts): differences, and of each one tables, and letters of a name. */
const UNTOLD_MAX = 64;
const TABLES_MAX = 16;
const NAME_MAX = 200;

type Result = Compared['result'];

interface Surroundings {
  /** Unix ms. */
  readonly clock?: () => number;
  /** In [0, 1). */
  readonly chance?: () => number;
}

/** When the replicas of this host are compared with their leaders', one after the other, and what came of it. */
export class Comparisons {
  readonly #copies: () => readonly PartitionCopy[];
  readonly #everyMs: number;
  readonly #log: LogEvent;
  readonly #clock: () => number;
  readonly #chance: () => number;
  /** Unix ms by replica, jittered: hosts that were started together must not ask together. */
  readonly #due = new WeakMap<PartitionCopy, number>();
  /** Whose next comparison was brought forward. */
  readonly #hastened = new WeakSet<PartitionCopy>();
  /** Differences one after the other: of a replica that is made anew and differs again, every minute would be too often. */
  readonly #inARow = new WeakMap<PartitionCopy, number>();
  readonly #untold: ReplicaDifference[] = [];
  readonly counts: Record<Result, number> = { equal: 0, different: 0, gone: 0, busy: 0, failed: 0 };
  #isComparing = false;

  constructor(
    copies: () => readonly PartitionCopy[],
    everyMs: number,
    log: LogEvent,
    { clock = Date.now, chance = Math.random }: Surroundings = {},
  ) {
    this.#clock = clock;
    this.#chance = chance;
    this.#copies = copies;
    this.#everyMs = everyMs;
    this.#log = log;
  }

  /** How often to call {@link tick}, ms. */
  get tickMs(): number {
    return Math.max(20, Math.min(10_000, this.#everyMs / 4));
  }

  /** Differences for the next heartbeat; {@link told} when it was answered. */
  get untold(): readonly ReplicaDifference[] {
    return [...this.#untold];
  }

  told(differences: readonly ReplicaDifference[]): void {
    const known = new Set(differences);
    const left = this.#untold.filter((each) => !known.has(each));
    this.#untold.splice(0, this.#untold.length, ...left);
  }

  /** Compares the replica that has waited longest, if one is due. Never rejects. */
  async tick(): Promise<void> {
    if (this.#isComparing) return;
    const now = this.#clock();
    const due = this.#copies()
      .filter((copy) => this.#dueAt(copy, now) <= now && copy.isInSync)
      .sort((a, b) => this.#dueAt(a, now) - this.#dueAt(b, now));
    const [copy] = due;
    if (copy === undefined) return;
    this.#isComparing = true;
    try {
      await this.#compare(copy);
    } finally {
      this.#isComparing = false;
    }
  }

  #dueAt(copy: PartitionCopy, now: number): number {
    let due = this.#due.get(copy);
    if (due === undefined) {
      due = now + this.#everyMs * this.#chance();
      this.#due.set(copy, due);
    }
    if (!copy.isUnproved || this.#hastened.has(copy) || (this.#inARow.get(copy) ?? 0) > 1) return due;
    this.#hastened.add(copy);
    due = Math.min(due, now + this.#jittered(SOON_MS));
    this.#due.set(copy, due);
    return due;
  }

  async #compare(copy: PartitionCopy): Promise<void> {
    const { partition } = copy;
    const compared = await copy.compare();
    const { result } = compared;
    this.counts[result]++;
    this.#log(result === 'failed' ? 'warn' : 'info', 'compared', { partition, ...compared });
    const isDecided = result === 'equal' || result === 'different';
    this.#due.set(copy, this.#clock() + this.#jittered(isDecided ? this.#everyMs : AGAIN_MS));
    this.#hastened.delete(copy);
    if (result === 'equal') this.#inARow.delete(copy);
    if (result !== 'different') return;
    this.#inARow.set(copy, (this.#inARow.get(copy) ?? 0) + 1);
    const { tables, at } = compared;
    const names = tables.slice(0, TABLES_MAX).map((name) => name.slice(0, NAME_MAX));
    this.#untold.push({ partition, at, tables: names });
    this.#untold.splice(0, Math.max(0, this.#untold.length - UNTOLD_MAX));
  }

  /** Never more than the interval that was asked for. */
  #jittered(milliseconds: number): number {
    return Math.min(milliseconds, this.#everyMs) * (0.5 + this.#chance());
  }
}
