import { type AppearanceAnomaly, checkAppearances, type Lifetime } from './appearances.ts';
import {
  assertWellFormed,
  type History,
  type Id,
  mayPrecede,
  nameOf,
  precedes,
  type Transaction,
  type Violation,
} from './history.ts';
import { stepsOf, unfinished, type WholeRead, wholeReadsOf } from './whole-read.ts';

/** A table with a UNIQUE column. */
export type UniqueStep =
  /** An insert that was refused is `fail`. Each row is inserted once; NULLs differ from each other. */
  | { readonly kind: 'insert'; readonly row: Id; readonly value: Id | null }
  | { readonly kind: 'delete'; readonly row: Id }
  | (WholeRead & { readonly rows: readonly { readonly row: Id; readonly value: Id | null }[] });

/**
 * `not-unique`: a read shows two rows of one value. `both-acknowledged`: two inserts of one value succeeded, and in
 * neither order can the first row have been deleted in between. `changed`: a row has another value than was inserted.
 */
export type UniqueAnomaly = 'not-unique' | 'both-acknowledged' | 'changed' | AppearanceAnomaly | 'unfinished';

/** Whether no two rows ever have the same value, and none is lost for that, or comes back. */
export function checkUnique(history: History<UniqueStep>): Violation<UniqueAnomaly>[] {
  assertWellFormed(history);
  const inserts = stepsOf(history, 'insert');
  const deletes = Map.groupBy(stepsOf(history, 'delete'), ({ step }) => step.row);
  const rows = inserts.map(({ by, step }): Row => {
    const deletedBy = (deletes.get(step.row) ?? []).map((deletion) => deletion.by);
    return { id: step.row, insertedBy: by, deletedBy, value: step.value };
  });
  const written = new Map(inserts.map(({ step }) => [step.row, step.value]));
  const reads = wholeReadsOf(history);
  const sights = reads.map(({ by, step }) => {
    return { by, isStrong: step.isStrong, ids: step.rows.map(({ row }) => row) };
  });
  return [
    ...bothAcknowledged(rows),
    ...reads.flatMap(({ by, step }) => wrongWith(by, step.rows, written)),
    ...checkAppearances(rows, sights),
    ...unfinished(history),
  ];
}

function wrongWith(
  by: Transaction<UniqueStep>,
  rows: readonly { readonly row: Id; readonly value: Id | null }[],
  written: ReadonlyMap<Id, Id | null>,
): Violation<UniqueAnomaly>[] {
  const found: Violation<UniqueAnomaly>[] = [];
  const holders = new Map<Id, Id>();
  for (const { row, value } of rows) {
    const original = written.get(row);
    if (original !== undefined && original !== value) {
      const message = `${nameOf(by)} saw ${row} with ${value}; ${original} was inserted`;
      found.push({ anomaly: 'changed', message });
    }
    if (value === null) continue;
    const other = holders.get(value);
    if (other !== undefined) {
      found.push({
        anomaly: 'not-unique',
        message: `${nameOf(by)} saw ${value} in both ${other} and ${row}`,
      });
    }
    holders.set(value, row);
  }
  return found;
}

interface Row extends Lifetime {
  readonly value: Id | null;
}

/** Pairs within one value: let workloads draw values from a pool that is not too small. */
function bothAcknowledged(rows: readonly Row[]): Violation<UniqueAnomaly>[] {
  const acknowledged = rows.filter(({ insertedBy, value }) => insertedBy.outcome === 'ok' && value !== null);
  return [...Map.groupBy(acknowledged, ({ value }) => value)].flatMap(([value, same]) =>
    same.flatMap((a, i) =>
      same.slice(i + 1).flatMap((b): Violation<UniqueAnomaly>[] => {
        if (canFollow(a, b) || canFollow(b, a)) return [];
        const message = `${value} was inserted by ${nameOf(a.insertedBy)} as ${a.id} and by ${nameOf(b.insertedBy)} as ${b.id}, with no delete between them`;
        return [{ anomaly: 'both-acknowledged', message }];
      }),
    ),
  );
}

/** Whether `second` may have been inserted when `first` had been, and was deleted again. */
function canFollow(first: Row, second: Row): boolean {
  return (
    mayPrecede(first.insertedBy, second.insertedBy) &&
    first.deletedBy.some(
      (deletion) => mayPrecede(deletion, second.insertedBy) && !precedes(deletion, first.insertedBy),
    )
  );
}
