import {
  assertWellFormed,
  type History,
  mayPrecede,
  nameOf,
  precedes,
  type Transaction,
  type Violation,
} from './history.ts';

/** Rows that are always written together, all with one value that no other write has; at first all have `FIRST`. */
export type FracturedStep =
  | { readonly kind: 'write'; readonly set: string; readonly value: number }
  /** The value of each row of `rows` that were asked for; `isStrong`: as of a moment between call and return. */
  | {
      readonly kind: 'read';
      readonly set: string;
      readonly rows: number;
      readonly values: readonly number[];
      readonly isStrong: boolean;
    }
  /** At a moment between call and return a row had another value. */
  | { readonly kind: 'other'; readonly set: string; readonly value: number };

export const FIRST = 0;

/**
 * `fractured`: rows of one write beside rows of another (P. Bailis and others, "Scalable Atomic Visibility with RAMP
 * Transactions", SIGMOD 2014). `lost`: other rows than there are. `imagined`: a value that nobody can have written by then.
 * `stale`: a value that was certainly overwritten before the read began. `overlooked`: the value was there all the time.
 */
export type FracturedAnomaly = 'fractured' | 'lost' | 'imagined' | 'stale' | 'overlooked';

type By = Transaction<FracturedStep>;
/** By what they have written. */
type Writers = ReadonlyMap<number, By>;

/** Whether each read saw whole writes, and a strong one the last. */
export function checkFractured(history: History<FracturedStep>): Violation<FracturedAnomaly>[] {
  assertWellFormed(history);
  const writers = new Map<string, Map<number, By>>();
  for (const by of history)
    for (const step of by.steps)
      if (step.kind === 'write') {
        const own = writers.get(step.set) ?? new Map<number, By>();
        writers.set(step.set, own.set(step.value, by));
      }
  return history.flatMap((by) => {
    if (by.outcome !== 'ok') return [];
    return by.steps.flatMap((step): Violation<FracturedAnomaly>[] => {
      if (step.kind === 'write') return [];
      const own = writers.get(step.set) ?? new Map<number, By>();
      const wrong = step.kind === 'read' ? wrongWith(step, by, own) : overlooked(step.value, by, own);
      if (wrong === null) return [];
      const saw = step.kind === 'read' ? step.values.join(' ') : `another value than ${step.value}`;
      return [{ anomaly: wrong, message: `${nameOf(by)} saw ${saw} in ${step.set}` }];
    });
  });
}

function wrongWith(
  { rows, values, isStrong }: Extract<FracturedStep, { kind: 'read' }>,
  by: By,
  writers: Writers,
): FracturedAnomaly | null {
  const [value] = values;
  if (value === undefined || values.length !== rows) return 'lost';
  if (values.some((other) => other !== value)) return 'fractured';
  const writer = writers.get(value);
  if (value !== FIRST && (writer === undefined || !mayPrecede(writer, by))) return 'imagined';
  if (!isStrong) return null;
  const isBefore = (other: By) =>
    writer === undefined || (writer.outcome === 'ok' && precedes(writer, other));
  const overwritten = writers
    .values()
    .some((other) => other.outcome === 'ok' && isBefore(other) && precedes(other, by));
  return overwritten ? 'stale' : null;
}

/** It was written before, and whatever else was written came before it, or after this. */
function overlooked(value: number, by: By, writers: Writers): FracturedAnomaly | null {
  const writer = writers.get(value);
  if (writer === undefined ? value !== FIRST : writer.outcome !== 'ok' || !precedes(writer, by)) return null;
  const mayBeBetween = (other: By) =>
    other !== writer &&
    mayPrecede(other, by) &&
    !(writer !== undefined && other.outcome === 'ok' && precedes(other, writer));
  return writers.values().some(mayBeBetween) ? null : 'overlooked';
}
