import { present } from '../../../src/base/assert.ts';
import { type Cycle, DependencyGraph, type Edge, type EdgeKind } from './dependency-graph.ts';
import {
  assertWellFormed,
  type History,
  type Id,
  nameOf,
  type Transaction,
  type Violation,
} from './history.ts';
import { type ListAnomaly, listAnomalies } from './list-anomalies.ts';
import { isPrefix, type ListHistory, type ListStep, listHistoryOf, readsOf } from './list-history.ts';

/**
 * `G0`: writes alone form a cycle. `G1c`: writes and reads of them. `G-single`: with one anti-dependency (read skew).
 * `G2`: with several (write skew). `realtime`: serializable perhaps, but not in an order that clients could have seen.
 * A. Adya, Weak consistency (1999); P. Alvaro and K. Kingsbury, Elle (VLDB 2020).
 */
export type CycleAnomaly = 'G0' | 'G1c' | 'G-single' | 'G2' | 'realtime';

/**
 * Whether a history of appends and strong reads is strictly serializable. What is reported is one: no order of the
 * transactions explains it. The converse holds as far as reads show the order: without a last read of every key, what
 * nobody saw is lost unnoticed.
 *
 * Near-linear in the lengths of all reads: let a key retire after some hundred appends. Predicates are beyond it
 * (`write-skew.ts`).
 */
export function checkListAppend(transactions: History<ListStep>): Violation<ListAnomaly | CycleAnomaly>[] {
  assertWellFormed(transactions);
  const history = listHistoryOf(transactions);
  const graph = new DependencyGraph(transactions.length);
  addWrites(graph, history);
  addReads(graph, history);
  addRealtime(graph, history);
  return [...listAnomalies(history), ...cyclesOf(graph, history)];
}

/** ww: elements next to each other; whatever no read shows is after all that one does. */
function addWrites(graph: DependencyGraph, history: ListHistory): void {
  const unseen = unseenByKey(history);
  for (const [key, order] of history.orders) {
    let last = -1;
    for (const { writer, value } of committedWriters(history, key, order.values)) {
      if (last !== -1) graph.add({ from: last, to: writer, kind: 'ww', about: { key, value } });
      last = writer;
    }
    if (last === -1) continue;
    for (const { writer, value } of unseen.get(key) ?? [])
      graph.add({ from: last, to: writer, kind: 'ww', about: { key, value } });
  }
}

/** wr from the writer of the last element; rw to the writer of the next one, or to all whose elements nobody has seen. */
function addReads(graph: DependencyGraph, history: ListHistory): void {
  const unseen = unseenByKey(history);
  const writers = new Map(
    [...history.orders].map(([key, { values }]) => [key, committedWriters(history, key, values)]),
  );
  for (const reader of history.committed)
    for (const { key, values } of externalReadsOf(history.transactions[reader])) {
      // Of a read that contradicts others nothing follows; it is reported as such.
      if (!isPrefix(values, history.orders.get(key))) continue;
      const ofKey = present(writers.get(key), 'an order of what is read');
      const next = firstAtOrAfter(ofKey, values.length);
      const before = ofKey[next - 1];
      if (before !== undefined)
        graph.add({ from: before.writer, to: reader, kind: 'wr', about: { key, value: before.value } });
      const after = ofKey[next];
      for (const { writer, value } of after === undefined ? (unseen.get(key) ?? []) : [after])
        graph.add({ from: reader, to: writer, kind: 'rw', about: { key, value } });
    }
}

/**
 * rt from each that has returned to each that is called then. An edge that others imply is left out: `latest` holds what
 * has returned and precedes nothing else that has, at most as many as were ever concurrent.
 */
function addRealtime(graph: DependencyGraph, { transactions, committed }: ListHistory): void {
  const events = [...committed].flatMap((index) => {
    const { called, returned } = present(transactions[index], 'a transaction');
    const call = { index, time: called, isReturn: false };
    return Number.isFinite(returned) ? [call, { index, time: returned, isReturn: true }] : [call];
  });
  // Calls first at equal times: those are concurrent.
  events.sort((a, b) => a.time - b.time || Number(a.isReturn) - Number(b.isReturn));
  const latest = new Set<number>();
  const before = new Map<number, readonly number[]>();
  for (const { index, isReturn } of events) {
    if (isReturn) {
      for (const each of before.get(index) ?? []) latest.delete(each);
      before.delete(index);
      latest.add(index);
      continue;
    }
    before.set(index, [...latest]);
    for (const each of latest) graph.add({ from: each, to: index, kind: 'rt', about: null });
  }
}

const SEARCHES: readonly { readonly first: EdgeKind; readonly rest: readonly EdgeKind[] }[] = [
  { first: 'ww', rest: ['ww'] },
  { first: 'wr', rest: ['ww', 'wr'] },
  { first: 'rw', rest: ['ww', 'wr'] },
  { first: 'rw', rest: ['ww', 'wr', 'rw'] },
  { first: 'rt', rest: ['ww', 'wr', 'rw', 'rt'] },
];

function cyclesOf(graph: DependencyGraph, history: ListHistory): Violation<CycleAnomaly>[] {
  const shortest = new Map<CycleAnomaly, Cycle>();
  for (const { first, rest } of SEARCHES)
    for (const [anomaly, cycle] of graph.shortestCycles(first, new Set(rest), anomalyOf))
      if (cycle.length < (shortest.get(anomaly)?.length ?? Number.POSITIVE_INFINITY))
        shortest.set(anomaly, cycle);
  return [...shortest].map(([anomaly, cycle]) => ({ anomaly, message: inWords(cycle, history) }));
}

function anomalyOf(cycle: Cycle): CycleAnomaly {
  const count = (kind: EdgeKind) => cycle.filter((edge) => edge.kind === kind).length;
  if (count('rt') > 0) return 'realtime';
  if (count('rw') > 1) return 'G2';
  if (count('rw') === 1) return 'G-single';
  return count('wr') > 0 ? 'G1c' : 'G0';
}

function inWords(cycle: Cycle, { transactions }: ListHistory): string {
  const lines = cycle.map(({ from }) => {
    const transaction = present(transactions[from], 'a transaction');
    return `  T${from} = ${nameOf(transaction)}: ${transaction.steps.map(stepInWords).join(', ')}`;
  });
  return [...cycle.map(edgeInWords), 'where', ...lines].join('\n');
}

function edgeInWords({ from, to, kind, about }: Edge): string {
  if (about === null) return `T${from} is before T${to}: it had returned when T${to} was called`;
  const append = `append of ${about.value} to ${about.key}`;
  if (kind === 'wr') return `T${from} is before T${to}, which saw its ${append}`;
  if (kind === 'rw') return `T${from} is before T${to}: it did not see T${to}'s ${append}`;
  return `T${from} is before T${to}: T${to}'s ${append} comes after its own`;
}

function stepInWords(step: ListStep): string {
  if (step.kind === 'append') return `append ${step.value} to ${step.key}`;
  return `read ${step.key} as ${step.values === null ? 'unknown' : `[${step.values.join(' ')}]`}`;
}

interface Write {
  readonly writer: number;
  readonly value: Id;
  readonly position: number;
}

/** In order; elements of nobody, of failed transactions, and the second of a pair are reported elsewhere and left out. */
function committedWriters(history: ListHistory, key: Id, values: readonly Id[]): readonly Write[] {
  return values.flatMap((value, position) => {
    const writer = history.writerOf(key, value)?.index ?? -1;
    const isFirst = history.orders.get(key)?.positions.get(value) === position;
    return isFirst && history.committed.has(writer) ? [{ writer, value, position }] : [];
  });
}

/** Appends of committed transactions that no read shows. */
function unseenByKey(history: ListHistory): ReadonlyMap<Id, readonly Write[]> {
  const unseen = new Map<Id, Write[]>();
  for (const index of history.committed)
    for (const step of history.transactions[index]?.steps ?? []) {
      const order = history.orders.get(step.key);
      if (step.kind !== 'append' || order === undefined || order.positions.has(step.value)) continue;
      const ofKey = unseen.get(step.key) ?? [];
      unseen.set(step.key, ofKey);
      ofKey.push({ writer: index, value: step.value, position: order.values.length });
    }
  return unseen;
}

/** Reads before the transaction's own append to their key: the others are of a state that never was anyone else's. */
function externalReadsOf(transaction: Transaction<ListStep> | undefined): ReturnType<typeof readsOf> {
  const appended = new Set<Id>();
  const steps = (transaction?.steps ?? []).filter((step) => {
    if (step.kind === 'append') appended.add(step.key);
    return !appended.has(step.key);
  });
  return transaction === undefined ? [] : readsOf({ ...transaction, steps });
}

/** Index of the first write at `position` or later. */
function firstAtOrAfter(writes: readonly Write[], position: number): number {
  // As many are before it as elements, unless some were left out.
  let index = Math.min(position, writes.length);
  while (index > 0 && (writes[index - 1]?.position ?? 0) >= position) index--;
  return index;
}
