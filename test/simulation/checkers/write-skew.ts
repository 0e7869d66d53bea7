import { type AppearanceAnomaly, checkAppearances } from './appearances.ts';
import { assertWellFormed, type History, type Id, nameOf, type Violation } from './history.ts';
import { stepsOf, unfinished, type WholeRead, wholeReadsOf } from './whole-read.ts';

/** Jepsen's G2: in each group several insert a row on condition that the group has none, as a query shows them. */
export type WriteSkewStep =
  /** A transaction that found a row, and so did not insert, is `fail`. */
  | { readonly kind: 'guarded-insert'; readonly group: Id; readonly row: Id }
  | (WholeRead & { readonly rows: readonly { readonly group: Id; readonly row: Id }[] });

/** `G2`: two of one group are committed. `group`: a row is in another group than it was inserted into. */
export type WriteSkewAnomaly = 'G2' | 'group' | AppearanceAnomaly | 'unfinished';

/** Whether at most one of each group is committed: phantoms, which `list-append.ts` cannot see. */
export function checkWriteSkew(history: History<WriteSkewStep>): Violation<WriteSkewAnomaly>[] {
  assertWellFormed(history);
  const inserts = stepsOf(history, 'guarded-insert');
  const reads = wholeReadsOf(history);
  const groupOf = new Map(inserts.map(({ step }) => [step.row, step.group]));
  const found: Violation<WriteSkewAnomaly>[] = [];
  /** The committed rows of each group, and how they are known to be. */
  const committed = new Map<Id, Map<Id, string>>();
  const commit = (group: Id, row: Id, how: string): void => {
    const rows = committed.get(group) ?? new Map<Id, string>();
    committed.set(group, rows.set(row, rows.get(row) ?? how));
  };
  for (const { by, step } of inserts)
    if (by.outcome === 'ok') commit(step.group, step.row, `${nameOf(by)} was acknowledged`);
  for (const { by, step } of reads)
    for (const { group, row } of step.rows) {
      commit(group, row, `${nameOf(by)} saw it`);
      const written = groupOf.get(row);
      if (written === undefined || written === group) continue;
      const message = `${nameOf(by)} saw ${row} in ${group}; it was inserted into ${written}`;
      found.push({ anomaly: 'group', message });
    }
  for (const [group, rows] of committed)
    if (rows.size > 1) {
      const all = [...rows].map(([row, how]) => `${row}, ${how}`).join('; ');
      found.push({
        anomaly: 'G2',
        message: `group ${group} has ${rows.size} rows where one excludes the others: ${all}`,
      });
    }
  const lifetimes = inserts.map(({ by, step }) => ({ id: step.row, insertedBy: by, deletedBy: [] }));
  const sights = reads.map(({ by, step }) => {
    return { by, isStrong: step.isStrong, ids: step.rows.map(({ row }) => row) };
  });
  return [...found, ...checkAppearances(lifetimes, sights), ...unfinished(history)];
}
