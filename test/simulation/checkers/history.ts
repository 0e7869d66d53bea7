import { assert } from '../../../src/base/assert.ts';

/**
 * `ok`: acknowledged. `fail`: certainly not applied, proved, not guessed. `info`: unknown, which is what a timeout, a
 * reset, an overload or a thrown error is; it may take effect at any later time, or never.
 */
export type Outcome = 'ok' | 'fail' | 'info';

/** What one client asked for in one go, and what it was told: the unit of every history. */
export interface Transaction<Step> {
  /** The client. */
  readonly process: number;
  /** Transactions of one session carry its token along, wherever they are sent. */
  readonly session: number;
  /** Logical time. What happens at equal times counts as concurrent. */
  readonly called: number;
  /** Logical time; Infinity exactly if the outcome is `info`: its effect has no latest moment. */
  readonly returned: number;
  readonly outcome: Outcome;
  /** Micro-operations in the order that the client gave them. Results count only where the transaction is known to be committed. */
  readonly steps: readonly Step[];
}

/** In any order. One entry for a transaction, however often it was sent: a retry under the same key is no second one. */
export type History<Step> = readonly Transaction<Step>[];

/** A key, an element, an id: compared by identity. */
export type Id = string | number;

/** Something that cannot have happened. */
export interface Violation<Anomaly extends string> {
  readonly anomaly: Anomaly;
  /** For a reader of the report: who saw what, and why it is impossible. */
  readonly message: string;
}

/** Refuses a history that no checker could judge: the workload that made it has a defect. */
export function assertWellFormed(history: History<unknown>): void {
  for (const transaction of history) {
    const { called, returned, outcome } = transaction;
    assert(
      Number.isFinite(called) && called <= returned,
      () => `${nameOf(transaction)} returns before its call`,
    );
    assert(
      (outcome === 'info') === (returned === Number.POSITIVE_INFINITY),
      () => `${nameOf(transaction)} is ${outcome}: exactly an info never returns`,
    );
  }
}

/** Whether `a` had returned before `b` was called, so that strict serializability puts it first. */
export function precedes(a: Transaction<unknown>, b: Transaction<unknown>): boolean {
  return a.returned < b.called;
}

/** Whether `a` may have taken effect before `b` had: false only if that is impossible. */
export function mayPrecede(a: Transaction<unknown>, b: Transaction<unknown>): boolean {
  return a.outcome !== 'fail' && a.called <= b.returned;
}

export function nameOf({ process, called, returned, outcome }: Transaction<unknown>): string {
  return `process ${process} [${called}, ${returned === Number.POSITIVE_INFINITY ? '…' : returned}] ${outcome}`;
}
