import type { Holder } from './lock-table.ts';

/**
 * Whether a transaction that holds locks elsewhere may wait for these: only the older of two may, so that no circle of
 * waiting transactions closes (Rosenkrantz, Stearns, Lewis, "System Level Concurrency Control for Distributed Database
 * Systems", ACM TODS 3(2), 1978, section 3: WAIT-DIE). A transaction that is tried again keeps its age, and so at last is
 * the oldest. Equal ages are told apart by the names.
 */
export function mayWait(
  own: Pick<Holder, 'transaction' | 'startedMs'>,
  blockers: readonly Holder[],
): boolean {
  return blockers.every(
    (other) =>
      own.startedMs < other.startedMs ||
      (own.startedMs === other.startedMs && own.transaction < other.transaction),
  );
}
