import { assertWellFormed, type History, type Id, nameOf, type Violation } from './history.ts';
import { unfinished, type WholeRead, wholeReadsOf } from './whole-read.ts';

/** Each key points at another one; transactions exchange successors, so that all keys stay one ring. */
export type CycleStep =
  | { readonly kind: 'exchange' }
  /** Every key with its successor, as of one moment. */
  | (WholeRead & { readonly next: ReadonlyMap<Id, Id> });

/** `keys`: others than there are. `broken`: a successor that is no key, or is that of two. `short`: several rings. */
export type CycleAnomaly = 'keys' | 'broken' | 'short' | 'unfinished';

/** FoundationDB's workload of that name: whether each read of everything shows one ring over all keys. */
export function checkCycle(keys: ReadonlySet<Id>, history: History<CycleStep>): Violation<CycleAnomaly>[] {
  assertWellFormed(history);
  const found = wholeReadsOf(history).flatMap(({ by, step }) => {
    const wrong = wrongWith(keys, step.next);
    return wrong === null ? [] : [{ ...wrong, message: `${nameOf(by)} saw ${wrong.message}` }];
  });
  return [...found, ...unfinished(history)];
}

function wrongWith(keys: ReadonlySet<Id>, next: ReadonlyMap<Id, Id>): Violation<CycleAnomaly> | null {
  if (next.size !== keys.size || ![...next.keys()].every((key) => keys.has(key))) {
    return {
      anomaly: 'keys',
      message: `the keys ${[...next.keys()].join(' ')}; there are ${[...keys].join(' ')}`,
    };
  }
  const before = new Map<Id, Id>();
  for (const [key, successor] of next) {
    const other = before.get(successor);
    if (!keys.has(successor))
      return { anomaly: 'broken', message: `${key} before ${successor}, which is no key` };
    if (other !== undefined) {
      return { anomaly: 'broken', message: `${successor} after both ${other} and ${key}` };
    }
    before.set(successor, key);
  }
  // Each key has one successor and is one: rings and nothing else.
  const ring: Id[] = [];
  const [start] = keys;
  for (let key = start; key !== undefined; key = next.get(key)) {
    if (ring.length > 0 && key === start) break;
    ring.push(key);
  }
  if (ring.length === keys.size) return null;
  return { anomaly: 'short', message: `a ring of ${ring.length} of ${keys.size} keys: ${ring.join(' ')}` };
}
