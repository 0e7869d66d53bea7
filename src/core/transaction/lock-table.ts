import type { PartitionId, Token } from '../../base/brand.ts';
import { conflict, type Lock } from './lock.ts';

/** A prepared transaction that others may have to wait for. */
export interface Holder {
  readonly transaction: string;
  /** The partition that decides. */
  readonly anchor: PartitionId;
  /** When the transaction was first tried, Unix ms: the older of two may wait for the younger (wait-die). */
  readonly startedMs: number;
}

interface Held extends Holder {
  /** Those of one key, by its token. */
  readonly keys: ReadonlyMap<Token, readonly Lock[]>;
  /** Those of every key. */
  readonly wide: readonly Lock[];
}

/**
 * The locks of a partition's prepared transactions: memory that follows the table of them (core/replica/prepared.ts).
 * Nothing else holds a lock: what runs in one turn needs none.
 */
export class LockTable {
  readonly #held = new Map<string, Held>();

  get isEmpty(): boolean {
    return this.#held.size === 0;
  }

  get size(): number {
    return this.#held.size;
  }

  get holders(): readonly Holder[] {
    return [...this.#held.values()];
  }

  has(transaction: string): boolean {
    return this.#held.has(transaction);
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

  /** Who holds a lock that conflicts with one of these; `own`, the transaction that asks, does not count. */
  blockers(locks: readonly Lock[], own: string | null = null): Holder[] {
    const found: Holder[] = [];
    for (const held of this.#held.values()) {
      if (held.transaction !== own && locks.some((lock) => blocks(held, lock))) found.push(held);
    }
    return found;
  }
}

function blocks({ keys, wide }: Held, lock: Lock): boolean {
  if (wide.some((other) => conflict(other, lock))) return true;
  if (lock.token !== null) return keys.get(lock.token)?.some((other) => conflict(other, lock)) ?? false;
  for (const others of keys.values()) if (others.some((other) => conflict(other, lock))) return true;
  return false;
}
