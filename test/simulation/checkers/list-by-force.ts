import type { History, Id } from './history.ts';
import type { ListStep, ListTransaction } from './list-history.ts';
import { atTheEnd, below, type Generator, pick } from './made-up.ts';

const KEYS = 2;

/**
 * A few transactions whose reads return whatever may look right: half of such histories are strictly serializable. A last
 * transaction reads every key, so that all that happened shows.
 */
export function randomOutcomes(g: Generator): History<ListStep> {
  const count = 2 + below(g, 3);
  const appends = Array.from({ length: KEYS }, () => [] as Id[]);
  let value = 0;
  const shapes = Array.from({ length: count }, () =>
    Array.from({ length: 1 + below(g, 2) }, () => {
      const key = below(g, KEYS);
      const isRead = below(g, 2) === 0;
      if (!isRead) appends[key]?.push(++value);
      return { key, value: isRead ? null : value };
    }),
  );
  // What each list may have become: some order of some of its elements.
  const finals = appends.map((values) => {
    const left = [...values];
    const list: Id[] = [];
    while (left.length > 0) {
      const [taken] = left.splice(below(g, left.length), 1);
      if (taken !== undefined && below(g, 8) > 0) list.push(taken);
    }
    return list;
  });
  const read = (key: number): ListStep => {
    const list = finals[key] ?? [];
    return { kind: 'read', key, values: list.slice(0, below(g, list.length + 1)) };
  };
  const history = shapes.map((steps, process): ListTransaction => {
    const outcome = pick(g, ['ok', 'ok', 'ok', 'ok', 'info', 'fail'] as const);
    const called = below(g, 12);
    const returned = outcome === 'info' ? Number.POSITIVE_INFINITY : called + below(g, 8);
    const made = steps.map(
      ({ key, value }): ListStep => (value === null ? read(key) : { kind: 'append', key, value }),
    );
    return { process, session: process, called, returned, outcome, steps: made };
  });
  const all = finals.map((values, key): ListStep => ({ kind: 'read', key, values }));
  return [...history, atTheEnd(count, ...all)];
}

/** By trying every order of the acknowledged transactions with any of the unknown ones: by the definition. */
export function isStrictlySerializable(history: History<ListStep>): boolean {
  const left = history.filter(({ outcome }) => outcome !== 'fail');
  return canContinue(left, new Map());
}

function canContinue(left: readonly ListTransaction[], lists: ReadonlyMap<Id, readonly Id[]>): boolean {
  if (left.every(({ outcome }) => outcome === 'info')) return true;
  return left.some((next) => {
    if (left.some((other) => other.returned < next.called)) return false;
    const after = execute(next, lists);
    return (
      after !== null &&
      canContinue(
        left.filter((each) => each !== next),
        after,
      )
    );
  });
}

function execute(
  { steps }: ListTransaction,
  lists: ReadonlyMap<Id, readonly Id[]>,
): ReadonlyMap<Id, readonly Id[]> | null {
  const now = new Map(lists);
  for (const step of steps) {
    const list = now.get(step.key) ?? [];
    if (step.kind === 'append') now.set(step.key, [...list, step.value]);
    else if (step.values !== null && step.values.join() !== list.join()) return null;
  }
  return now;
}
