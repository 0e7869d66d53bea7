import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import { referenceTables } from '../core/replica/reference-tables.ts';
import type { Replica } from '../core/replica/replica.ts';
import type { Freeze, Freezes } from '../protocol/freeze.ts';
import type { LockWaits } from './lock-waits.ts';
import type { Peers } from './surroundings.ts';

/** An instance does not know what was frozen before it began: everything, until it has asked. */
const UNKNOWN = 'unknown';
/** A freeze that is older asks whether it is over, ms (chosen: well above what a write of a reference table takes). */
const SUSPECT_MS = 200;

/** This partition's copies of reference tables that are about to change: see protocol/freeze.ts. */
export class FrozenCopies {
  readonly #replica: () => Replica;
  readonly #peers: Peers;
  readonly #waits: LockWaits;
  readonly #catchUp: () => Promise<unknown>;
  /** When the system partition was asked last, Unix ms; of a freeze, when it began. */
  #since = 0;
  #asking = false;

  constructor(replica: () => Replica, peers: Peers, waits: LockWaits, catchUp: () => Promise<unknown>) {
    this.#replica = replica;
    this.#peers = peers;
    this.#waits = waits;
    this.#catchUp = catchUp;
  }

  /** A new instance: nothing is answered from copies before the system partition has said which are frozen. */
  start(replica: Replica): void {
    const tables = replica.isSystem ? [] : referenceTables(replica);
    if (tables.length > 0) replica.locks.freeze(UNKNOWN, tables);
  }

  /** In the turn in which nothing that reads the copies is prepared here. */
  freeze({ name, tables }: Freeze): void {
    if (this.#replica().locks.freezes.length === 0) this.#since = Date.now();
    this.#replica().locks.freeze(name, tables);
  }

  thaw(names: readonly string[]): void {
    const { locks } = this.#replica();
    for (const name of names) locks.thaw(name);
    this.#waits.changed();
  }

  /** Sees to it that nothing stays frozen whose end was lost; at once in a new instance. */
  check(): void {
    const { locks } = this.#replica();
    const [oldest] = locks.freezes;
    if (oldest === undefined || this.#asking) return;
    if (oldest !== UNKNOWN && Date.now() - this.#since < SUSPECT_MS) return;
    this.#asking = true;
    this.#ask()
      .catch((error: unknown) => console.warn(`what is frozen is not known: ${String(error)}`))
      .finally(() => {
        this.#asking = false;
        this.#since = Date.now();
      });
  }

  async #ask(): Promise<void> {
    const { locks, identity } = this.#replica();
    const before = locks.freezes;
    const { open, system } = await this.#peers.call<Freezes>(
      identity.database,
      SYSTEM_PARTITION,
      'freezes',
      {},
    );
    // What froze the others was written by then, or never will be.
    if (this.#replica().systemIndex < system) await this.#catchUp();
    const names = new Set(open.map(({ name }) => name));
    if (before.includes(UNKNOWN)) {
      for (const freeze of open) this.#replica().locks.freeze(freeze.name, freeze.tables);
    }
    this.thaw(before.filter((name) => !names.has(name)));
  }
}
