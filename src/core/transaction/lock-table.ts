import type { PartitionId, TableId, Token } from '../../base/brand.ts';
import { SYSTEM_PARTITION } from '../../base/system-partition.ts';
import { conflict, copyLock, type Lock } from './lock.ts';

/** A prepared transaction, or a freeze, that others may have to wait for. */
export interface Holder {
  readonly transaction: string;
  /** The partition that decides. */
  readonly anchor: PartitionId;
  /** When the transaction was first tried, Unix ms: the older of two may wait for the younger (wait-die). */
  readonly startedMs: number;
}

/** A freeze waits for what is prepared, so whoever is prepared anywhere must not wait for it. */
const OLDEST = 0;

interface Held extends Holder {
  /** Those of one key, by its token. */
  readonly keys: ReadonlyMap<Token, readonly Lock[]>;
  /** Those of every key. */
  readonly wide: readonly Lock[];
}

/**
 * The locks of a partition's prepared transactions: memory that follows the table of them (core/replica/prepared.ts).
 * Nothing else holds a lock: what runs in one turn needs none. Besides, tables may be frozen, in memory alone.
 */
export class LockTable {
  readonly #held = new Map<string, Held>();
  readonly #frozen = new Map<string, readonly Lock[]>();

  /** Nobody has to wait for anything. */
  get isEmpty(): boolean {
    return this.#held.size === 0 && this.#frozen.size === 0;
  }

  /** Prepared transactions. */
  get size(): number {
    return this.#held.size;
  }

  /** Prepared transactions. */
  get holders(): readonly Holder[] {
    return [...this.#held.values()];
  }

  has(name: string): boolean {
    return this.#held.has(name) || this.#frozen.has(name);
  }

  /** Null: it is not prepared here, or no longer. */
  prepared(transaction: string): Holder | null {
    return this.#held.get(transaction) ?? null;
  }

  /** Names of what is frozen, oldest first. */
  get freezes(): readonly string[] {
    return [...this.#frozen.keys()];
  }

  /** Until {@link thaw}, nobody gets a lock of these tables, not even a shared one. */
  freeze(name: string, tables: readonly TableId[]): void {
    this.#frozen.set(
      name,
      tables.map((table) => copyLock(table, true)),
    );
  }

  thaw(name: string): void {
    this.#frozen.delete(name);
  }

  /** The freezes but that of `own`, as holders. */
  frozenBy(own: string | null): Holder[] {
    const others = [...this.#frozen.keys()].filter((name) => name !== own);
    return others.map(freezeAsHolder);
  }

  /** What is frozen in `former` is so here. */
  keepFrozen(former: LockTable): this {
    for (const [name, locks] of former.#frozen) this.#frozen.set(name, locks);
    return this;
  }

  add(holder: Holder, locks: readonly Lock[]): void {
    const keys = new Map<Token, Lock[]>();
    const wide: Lock[] = [];
    for (const lock of locks) {
      if (lock.token === null) {
        wide.push(lock);
        continue;
      }
      const own = keys.get(lock.token);
      if (own === undefined) keys.set(lock.token, [lock]);
      else own.push(lock);
    }
    this.#held.set(holder.transaction, { ...holder, keys, wide });
  }

  remove(transaction: string): void {
    this.#held.delete(transaction);
  }

  /** Who holds a lock that conflicts with one of these; `own`, the transaction that asks, does not count, nor what is frozen for it. */
  blockers(locks: readonly Lock[], own: string | null = null): Holder[] {
    const found = this.preparedBlockers(locks, own);
    for (const [transaction, frozen] of this.#frozen) {
      if (transaction === own) continue;
      if (frozen.some((other) => locks.some((lock) => conflict(other, lock))))
        found.push(freezeAsHolder(transaction));
    }
    return found;
  }

  /** As {@link blockers}, of prepared transactions alone. */
  preparedBlockers(locks: readonly Lock[], own: string | null = null): Holder[] {
    const found: Holder[] = [];
    for (const held of this.#held.values()) {
      if (held.transaction !== own && locks.some((lock) => blocks(held, lock))) found.push(held);
    }
    return found;
  }
}

function freezeAsHolder(transaction: string): Holder {
  return { transaction, anchor: SYSTEM_PARTITION, startedMs: OLDEST };
}

function blocks({ keys, wide }: Held, lock: Lock): boolean {
  if (wide.some((other) => conflict(other, lock))) return true;
  if (lock.token !== null) return keys.get(lock.token)?.some((other) => conflict(other, lock)) ?? false;
  for (const others of keys.values()) if (others.some((other) => conflict(other, lock))) return true;
  return false;
}
