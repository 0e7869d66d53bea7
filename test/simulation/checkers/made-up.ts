import fc from 'fast-check';
import { expect } from 'vitest';
import type { Outcome, Transaction, Violation } from './history.ts';

/** An acknowledged transaction of a history made by hand. */
export function ok<Step>(called: number, returned: number, ...steps: Step[]): Transaction<Step> {
  return { process: 0, session: 0, called, returned, outcome: 'ok', steps };
}

export function fail<Step>(called: number, returned: number, ...steps: Step[]): Transaction<Step> {
  return { ...ok(called, returned, ...steps), outcome: 'fail' };
}

export function info<Step>(called: number, ...steps: Step[]): Transaction<Step> {
  return { ...ok(called, Number.POSITIVE_INFINITY, ...steps), outcome: 'info' };
}

/** Each anomaly once. */
export function anomaliesIn<Anomaly extends string>(violations: readonly Violation<Anomaly>[]): Anomaly[] {
  return [...new Set(violations.map(({ anomaly }) => anomaly))].sort();
}

export type Generator = fc.GeneratorValue;

/** What becomes of a transaction of a generated history. */
export interface Fate {
  readonly outcome: Outcome;
  readonly isApplied: boolean;
}

const FATES: readonly Fate[] = [
  { outcome: 'ok', isApplied: true },
  { outcome: 'ok', isApplied: true },
  { outcome: 'ok', isApplied: true },
  { outcome: 'ok', isApplied: true },
  { outcome: 'fail', isApplied: false },
  { outcome: 'info', isApplied: true },
  { outcome: 'info', isApplied: false },
];

export function fateOf(g: Generator): Fate {
  return pick(g, FATES);
}

export function pick<T>(g: Generator, items: readonly T[]): T {
  return items[below(g, items.length)] as T;
}

/** 0 ≤ result < limit */
export function below(g: Generator, limit: number): number {
  return g(fc.nat, { max: limit - 1 });
}

/** The moment at which the transaction of that number takes effect, in an execution one by one. */
export function momentOf(number: number): number {
  return number * 10;
}

/** A transaction that took effect at that moment, called some time before and acknowledged some time after: it overlaps others. */
export function around<Step>(
  g: Generator,
  number: number,
  outcome: Outcome,
  steps: readonly Step[],
): Transaction<Step> {
  const called = momentOf(number) - below(g, 40);
  const returned = outcome === 'info' ? Number.POSITIVE_INFINITY : momentOf(number) + below(g, 40);
  return { process: number, session: number, called, returned, outcome, steps };
}

/** A transaction after which all is over. */
export function atTheEnd<Step>(number: number, ...steps: Step[]): Transaction<Step> {
  return ok(momentOf(number + 10), momentOf(number + 11), ...steps);
}

/** Generates many histories; one that fails is shrunk. */
export function forEachHistory(act: (g: Generator) => void, runs = 200): void {
  fc.assert(
    fc.property(fc.gen(), (g) => {
      act(g);
    }),
    { numRuns: runs },
  );
}

/** That something of this kind was found, and said in words. */
export function expectFound<Anomaly extends string>(
  violations: readonly Violation<Anomaly>[],
  ...expected: Anomaly[]
): void {
  const names = anomaliesIn(violations);
  expect(
    names.some((name) => expected.includes(name)),
    `one of ${expected.join(', ')} in ${names.join(', ')}`,
  ).toBe(true);
  for (const { message } of violations) expect(message).not.toMatch(/undefined|NaN|\[object/);
}
