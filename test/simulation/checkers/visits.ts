import {
  assertWellFormed,
  type History,
  type Id,
  nameOf,
  precedes,
  type Transaction,
  type Violation,
} from './history.ts';

/** A register that is written by its own, and was read beside a place that counts who changes it. */
export type VisitStep =
  | { readonly kind: 'write'; readonly key: Id; readonly value: Id }
  | {
      readonly kind: 'visit';
      readonly place: Id;
      /** What the place had counted; if the visitor counts, with itself. */
      readonly count: number;
      readonly counts: boolean;
      readonly key: Id;
      /** Null: there was nothing yet. */
      readonly value: Id | null;
    };

type By = Transaction<VisitStep>;
type Visit = Extract<VisitStep, { kind: 'visit' }> & { readonly by: By };

/** `back`: who came later at a place has seen an older value. */
export type VisitAnomaly = 'back';

/**
 * Whether visitors of a place, in the order in which it has counted them, saw a register go forward: one by one that is the
 * order in which they came. No real time is needed between them, only between the writes of what they saw.
 */
export function checkVisits(history: History<VisitStep>): Violation<VisitAnomaly>[] {
  assertWellFormed(history);
  const writers = new Map<string, By>();
  const visits: Visit[] = [];
  for (const by of history)
    for (const step of by.steps) {
      if (step.kind === 'write') writers.set(nameOfValue(step), by);
      else if (by.outcome === 'ok') visits.push({ ...step, by });
    }
  const isOlder = (left: Visit, right: Visit): boolean => {
    if (right.value === null || left.value === right.value) return false;
    if (left.value === null) return true;
    const [older, newer] = [writers.get(nameOfValue(left)), writers.get(nameOfValue(right))];
    return older !== undefined && newer !== undefined && precedes(older, newer);
  };
  const together = Map.groupBy(visits, ({ place, key }) => JSON.stringify([place, key]));
  return [...together.values()].flatMap((there) =>
    there.flatMap((first) =>
      there.flatMap((second): Violation<VisitAnomaly>[] => {
        if (!isBefore(first, second) || !isOlder(second, first)) return [];
        const { by, key, place, value } = second;
        const before = `after ${nameOf(first.by)} saw ${first.value}`;
        return [{ anomaly: 'back', message: `${nameOf(by)} saw ${key} as ${value} at ${place} ${before}` }];
      }),
    ),
  );
}

function isBefore(first: Visit, second: Visit): boolean {
  if (first.by === second.by) return false;
  if (first.count !== second.count) return first.count < second.count;
  return first.counts && !second.counts;
}

function nameOfValue({ key, value }: { readonly key: Id; readonly value: Id | null }): string {
  return JSON.stringify([key, value]);
}
