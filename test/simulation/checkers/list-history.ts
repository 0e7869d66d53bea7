import { assert } from '../../../src/base/assert.ts';
import { type History, type Id, nameOf, type Transaction } from './history.ts';

/** Lists that only grow: whoever reads one sees all writes to it, in their order. */
export type ListStep =
  | { readonly kind: 'append'; readonly key: Id; readonly value: Id }
  /** `values` is null where the answer never came. */
  | { readonly kind: 'read'; readonly key: Id; readonly values: readonly Id[] | null };

export type ListTransaction = Transaction<ListStep>;

/** Who appended an element. */
export interface Writer {
  /** Index in the history. */
  readonly index: number;
  readonly transaction: ListTransaction;
  /** Whether it is the transaction's last append to this key: the others are intermediate states. */
  readonly isLast: boolean;
}

/** A key's elements in the order that the longest read of it has. */
export interface ListOrder {
  readonly values: readonly Id[];
  /** By element; the first, where one is there twice. */
  readonly positions: ReadonlyMap<Id, number>;
}

/** What follows from a list-append history at once. */
export interface ListHistory {
  readonly transactions: History<ListStep>;
  /** Indices: `ok`, and `info` that a committed transaction has seen a write of. */
  readonly committed: ReadonlySet<number>;
  writerOf(key: Id, value: Id): Writer | null;
  /** Of keys that no committed transaction has read there is none. */
  readonly orders: ReadonlyMap<Id, ListOrder>;
}

/** Each element is appended to its key at most once in the whole history: the workload sees to it. */
export function listHistoryOf(transactions: History<ListStep>): ListHistory {
  const writers = writersOf(transactions);
  const writerOf = (key: Id, value: Id) => writers.get(key)?.get(value) ?? null;
  const committed = committedOf(transactions, writerOf);
  const longest = new Map<Id, readonly Id[]>();
  for (const index of committed)
    for (const { key, values } of readsOf(transactions[index])) {
      const known = longest.get(key);
      if (known === undefined || values.length > known.length) longest.set(key, values);
    }
  const orders = new Map(
    [...longest].map(([key, values]) => [key, { values, positions: positionsOf(values) }]),
  );
  return { transactions, committed, writerOf, orders };
}

/** Reads with an answer. */
export function readsOf(
  transaction: ListTransaction | undefined,
): readonly { readonly key: Id; readonly values: readonly Id[] }[] {
  return (transaction?.steps ?? []).flatMap((step) =>
    step.kind === 'read' && step.values !== null ? [{ key: step.key, values: step.values }] : [],
  );
}

export function isPrefix(values: readonly Id[], order: ListOrder | undefined): boolean {
  return order !== undefined && values.every((value, i) => value === order.values[i]);
}

function writersOf(transactions: History<ListStep>): Map<Id, Map<Id, Writer>> {
  const writers = new Map<Id, Map<Id, Writer>>();
  for (const [index, transaction] of transactions.entries()) {
    const seen = new Set<Id>();
    for (const step of transaction.steps.toReversed()) {
      if (step.kind !== 'append') continue;
      const ofKey = writers.get(step.key) ?? new Map<Id, Writer>();
      writers.set(step.key, ofKey);
      assert(
        !ofKey.has(step.value),
        () => `${nameOf(transaction)} appends ${step.value} to ${step.key} again`,
      );
      ofKey.set(step.value, { index, transaction, isLast: !seen.has(step.key) });
      seen.add(step.key);
    }
  }
  return writers;
}

function committedOf(
  transactions: History<ListStep>,
  writerOf: (key: Id, value: Id) => Writer | null,
): ReadonlySet<number> {
  // A set is iterated in order of insertion, what is added meanwhile included.
  const committed = new Set(
    [...transactions.keys()].filter((index) => transactions[index]?.outcome === 'ok'),
  );
  for (const index of committed)
    for (const { key, values } of readsOf(transactions[index]))
      for (const value of values) {
        const writer = writerOf(key, value);
        if (writer?.transaction.outcome === 'info') committed.add(writer.index);
      }
  return committed;
}

function positionsOf(values: readonly Id[]): ReadonlyMap<Id, number> {
  const positions = new Map<Id, number>();
  for (const [position, value] of values.entries()) if (!positions.has(value)) positions.set(value, position);
  return positions;
}
