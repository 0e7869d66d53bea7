import { type Id, nameOf, type Violation } from './history.ts';
import { isPrefix, type ListHistory, type ListTransaction } from './list-history.ts';

/**
 * What shows without following who is before whom. `internal`: a transaction contradicts its own earlier steps.
 * `scattered`: its appends to one key are not there one after another, in its order. The others: Elle's terms.
 */
export type ListAnomaly =
  | 'incompatible-order'
  | 'duplicate'
  | 'unwritten'
  | 'G1a'
  | 'G1b'
  | 'internal'
  | 'scattered';

/**
 * The anomalies that are no cycles. They are none at weaker reads either (of a session, at some moment), as long as
 * each is of committed states: so this may be asked alone.
 */
export function listAnomalies(history: ListHistory): Violation<ListAnomaly>[] {
  return [...history.committed].flatMap((index) => {
    const transaction = history.transactions[index];
    if (transaction === undefined) return [];
    return [...readAnomalies(transaction, index, history), ...scatteredAppends(transaction, history)];
  });
}

/** Between two appends of one transaction nothing can come: an edge from the transaction to itself would not tell. */
function scatteredAppends(transaction: ListTransaction, history: ListHistory): Violation<ListAnomaly>[] {
  const appends = transaction.steps.filter(({ kind }) => kind === 'append');
  return [...Map.groupBy(appends, ({ key }) => key)].flatMap(([key, ofKey]) => {
    const order = history.orders.get(key);
    const values = ofKey.flatMap((step) => (step.kind === 'append' ? [step.value] : []));
    const positions = values.flatMap((value) => order?.positions.get(value) ?? []);
    const start = Math.min(...positions);
    if (order === undefined || positions.length === 0) return [];
    if (isSame(order.values.slice(start, start + values.length), values)) return [];
    const message = `${nameOf(transaction)} appends ${values.join(' ')} to ${key}; it is read as [${order.values.join(' ')}]`;
    return [{ anomaly: 'scattered', message }];
  });
}

function readAnomalies(
  transaction: ListTransaction,
  index: number,
  history: ListHistory,
): Violation<ListAnomaly>[] {
  const found: Violation<ListAnomaly>[] = [];
  /** What a key's list must end with by the transaction's own steps so far, and whether that is all of it. */
  const own = new Map<Id, { readonly tail: readonly Id[]; readonly isAll: boolean }>();
  for (const step of transaction.steps) {
    const { tail, isAll } = own.get(step.key) ?? { tail: [], isAll: false };
    if (step.kind === 'append') {
      own.set(step.key, { tail: [...tail, step.value], isAll });
      continue;
    }
    if (step.values === null) continue;
    const { key, values } = step;
    const add = (anomaly: ListAnomaly, why: string): void => {
      found.push({ anomaly, message: `${nameOf(transaction)} read ${key} as [${values.join(' ')}]: ${why}` });
    };

    if (new Set(values).size < values.length) add('duplicate', 'an element is there twice');
    const order = history.orders.get(key);
    if (!isPrefix(values, order)) {
      add(
        'incompatible-order',
        `another read has [${order?.values.join(' ')}], and neither continues the other`,
      );
    }

    for (const value of values) {
      const writer = history.writerOf(key, value);
      if (writer === null) add('unwritten', `nobody has appended ${value}`);
      else if (writer.transaction.outcome === 'fail') add('G1a', `${value} is of a failed transaction`);
      else if (writer.index === index && !tail.includes(value)) {
        add('internal', `it appends ${value} itself, but later`);
      }
    }
    const last = values.at(-1);
    const writer = last === undefined ? null : history.writerOf(key, last);
    if (writer !== null && writer.index !== index && !writer.isLast) {
      add('G1b', `${last} is not the last that ${nameOf(writer.transaction)} appends to it`);
    }

    const start = isAll ? 0 : Math.max(0, values.length - tail.length);
    if (!isSame(values.slice(start), tail)) {
      add('internal', `its own steps before leave ${isAll ? '' : '… '}[${tail.join(' ')}]`);
    }
    own.set(key, { tail: values, isAll: true });
  }
  return found;
}

function isSame(a: readonly Id[], b: readonly Id[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
