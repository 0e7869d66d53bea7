import { present } from '../../../src/base/assert.ts';
import { assertWellFormed, type History, type Id, nameOf, type Violation } from './history.ts';
import {
  isPrefix,
  type ListHistory,
  type ListStep,
  type ListTransaction,
  listHistoryOf,
} from './list-history.ts';

/**
 * `read-your-writes`: a read without an append that the session had been acknowledged. `monotonic-reads`: an older state
 * than the session had seen. `monotonic-writes`: the session's appends in another order. `incompatible-order`: a read
 * that is no state of the list at all.
 */
export type SessionAnomaly =
  | 'read-your-writes'
  | 'monotonic-reads'
  | 'monotonic-writes'
  | 'incompatible-order';

/**
 * Whether each session sees its own past, wherever it was served: at leaders or followers, with weaker reads than those
 * that `list-append.ts` judges. Transactions of one session that overlap have no order. Near-linear.
 */
export function checkSessions(transactions: History<ListStep>): Violation<SessionAnomaly>[] {
  assertWellFormed(transactions);
  const history = listHistoryOf(transactions);
  const sessions = Map.groupBy(transactions.keys(), (index) => transactions[index]?.session);
  return [...sessions.values()].flatMap((session) => checkSession(session, history));
}

/** How far along a key's list a session is known to be: lengths that it must not fall short of. */
interface Past {
  read: number;
  appended: number;
}

function checkSession(session: readonly number[], history: ListHistory): Violation<SessionAnomaly>[] {
  const found: Violation<SessionAnomaly>[] = [];
  const past = new Map<Id, Past>();
  const of = (index: number) => present(history.transactions[index], 'a transaction');
  const events = session.flatMap((index) => [
    { index, time: of(index).called, isReturn: false },
    { index, time: of(index).returned, isReturn: true },
  ]);
  // Calls first at equal times: those are concurrent.
  events.sort((a, b) => a.time - b.time || Number(a.isReturn) - Number(b.isReturn));
  for (const { index, isReturn } of events) {
    if (!history.committed.has(index)) continue;
    const transaction = of(index);
    // An info returns when nothing is called any more.
    if (isReturn) remember(transaction, history, past);
    else found.push(...anomaliesOf(transaction, history, past));
  }
  return found;
}

function anomaliesOf(
  transaction: ListTransaction,
  history: ListHistory,
  past: ReadonlyMap<Id, Past>,
): Violation<SessionAnomaly>[] {
  const found: Violation<SessionAnomaly>[] = [];
  for (const step of transaction.steps) {
    const { read, appended } = past.get(step.key) ?? { read: 0, appended: 0 };
    const add = (anomaly: SessionAnomaly, what: string): void => {
      const { session } = transaction;
      found.push({
        anomaly,
        message: `session ${session}, ${nameOf(transaction)}, key ${step.key}: ${what}`,
      });
    };
    if (step.kind === 'append') {
      const length = lengthWith(history, step.key, step.value);
      // Not seen at all: later than everything.
      if (length < appended) add('monotonic-writes', `${step.value} comes before what it appended earlier`);
      continue;
    }
    if (step.values === null) continue;
    const { length } = step.values;
    if (!isPrefix(step.values, history.orders.get(step.key))) {
      add('incompatible-order', `[${step.values.join(' ')}] is no beginning of what others read`);
      continue;
    }
    if (length < appended) {
      const which = Number.isFinite(appended) ? `element ${appended}` : 'an element that nobody has seen';
      add('read-your-writes', `${length} elements, but it had appended ${which}`);
    }
    if (length < read) add('monotonic-reads', `${length} elements, but it had read ${read}`);
  }
  return found;
}

function remember(transaction: ListTransaction, history: ListHistory, past: Map<Id, Past>): void {
  for (const step of transaction.steps) {
    const ofKey = past.get(step.key) ?? { read: 0, appended: 0 };
    past.set(step.key, ofKey);
    if (step.kind === 'append')
      ofKey.appended = Math.max(ofKey.appended, lengthWith(history, step.key, step.value));
    else if (step.values !== null && isPrefix(step.values, history.orders.get(step.key)))
      ofKey.read = Math.max(ofKey.read, step.values.length);
  }
}

/** The least length of a read that contains it; infinite if none does. */
function lengthWith(history: ListHistory, key: Id, value: Id): number {
  const position = history.orders.get(key)?.positions.get(value);
  return position === undefined ? Number.POSITIVE_INFINITY : position + 1;
}
