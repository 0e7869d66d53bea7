import type { History, Transaction, Violation } from './history.ts';

/** A step that reads everything as of one moment. */
export interface WholeRead {
  readonly kind: 'read-all';
  /** The moment is between call and return. Else it is any before the return: a session's read, or one as of the past. */
  readonly isStrong: boolean;
}

interface AnyStep {
  readonly kind: string;
}

type StepOf<Step extends AnyStep, Kind extends Step['kind']> = Extract<Step, { readonly kind: Kind }>;

/** All steps of one kind, each with its transaction, whatever came of it. */
export function stepsOf<Step extends AnyStep, Kind extends Step['kind']>(
  history: History<Step>,
  kind: Kind,
): { readonly by: Transaction<Step>; readonly step: StepOf<Step, Kind> }[] {
  const isOfKind = (step: Step): step is StepOf<Step, Kind> => step.kind === kind;
  return history.flatMap((by) => by.steps.filter(isOfKind).map((step) => ({ by, step })));
}

/** Reads of everything whose transactions are acknowledged: only their results count. */
export function wholeReadsOf<Step extends AnyStep>(
  history: History<Step>,
): { readonly by: Transaction<Step>; readonly step: StepOf<Step, 'read-all'> }[] {
  return stepsOf(history, 'read-all').filter(({ by }) => by.outcome === 'ok');
}

/**
 * A violation unless the history ends with a strong read of everything, called when all else had returned: without one,
 * what was lost at the end or came twice would pass unseen.
 */
export function unfinished<Step extends AnyStep | WholeRead>(
  history: History<Step>,
): Violation<'unfinished'>[] {
  const isStrongRead = (step: AnyStep | WholeRead) => 'isStrong' in step && step.isStrong;
  const reads = history.filter(({ outcome, steps }) => outcome === 'ok' && steps.some(isStrongRead));
  const others = history.filter(({ steps }) => steps.some(({ kind }) => kind !== 'read-all'));
  const lastRead = latest(reads.map(({ called }) => called));
  // What never returned is known to be under way at its call.
  const lastOther = latest(
    others.map(({ outcome, called, returned }) => (outcome === 'info' ? called : returned)),
  );
  if (lastRead > lastOther) return [];
  return [
    {
      anomaly: 'unfinished',
      message: 'no strong read of everything when all else had returned: what the run left is not known',
    },
  ];
}

function latest(times: readonly number[]): number {
  return times.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
}
