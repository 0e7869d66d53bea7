import { type AppearanceAnomaly, checkAppearances } from './appearances.ts';
import { assertWellFormed, type History, type Id, type Violation } from './history.ts';
import { stepsOf, unfinished, type WholeRead, wholeReadsOf } from './whole-read.ts';

/** A set: elements are added, each by one transaction only, and never taken out. */
export type SetStep =
  | { readonly kind: 'add'; readonly element: Id }
  | (WholeRead & { readonly elements: readonly Id[] });

/**
 * Whether each add that was acknowledged is there once, each that failed never, each of unknown outcome at most once: at
 * every read of everything, the last one included.
 */
export function checkNoDouble(history: History<SetStep>): Violation<AppearanceAnomaly | 'unfinished'>[] {
  assertWellFormed(history);
  const lifetimes = stepsOf(history, 'add').map(({ by, step }) => {
    return { id: step.element, insertedBy: by, deletedBy: [] };
  });
  const sights = wholeReadsOf(history).map(({ by, step }) => {
    return { by, isStrong: step.isStrong, ids: step.elements };
  });
  return [...checkAppearances(lifetimes, sights), ...unfinished(history)];
}
