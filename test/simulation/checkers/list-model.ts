import type { History, Id } from './history.ts';
import type { ListStep, ListTransaction } from './list-history.ts';
import { around, atTheEnd, below, fateOf, type Generator } from './made-up.ts';

const KEYS = 3;

/** Random transactions over a few lists, executed one by one, and as clients see that; a last one reads every key. */
export function listWorkload(g: Generator, count: number): History<ListStep> {
  let lists: ReadonlyMap<Id, readonly Id[]> = new Map();
  const history: ListTransaction[] = [];
  let appended = 0;
  for (let number = 0; number < count; number++) {
    const { outcome, isApplied } = fateOf(g);
    const now = new Map(lists);
    const steps = Array.from({ length: 1 + below(g, 3) }, (): ListStep => {
      const key = below(g, KEYS);
      const values = now.get(key) ?? [];
      if (below(g, 2) === 0) return { kind: 'read', key, values: outcome === 'ok' ? values : null };
      const value = ++appended;
      now.set(key, [...values, value]);
      return { kind: 'append', key, value };
    });
    if (isApplied) lists = now;
    history.push(around(g, number, outcome, steps));
  }
  const all = Array.from({ length: KEYS }, (_, key): ListStep => {
    return { kind: 'read', key, values: lists.get(key) ?? [] };
  });
  return [...history, atTheEnd(count, ...all)];
}
