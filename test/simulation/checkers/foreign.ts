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

/** Two tables, the one's rows referring to the other's. Each row is inserted once; a refused step is `fail`. */
export type ForeignStep =
  | { readonly kind: 'insert-parent'; readonly parent: Id }
  | { readonly kind: 'delete-parent'; readonly parent: Id }
  | { readonly kind: 'insert-child'; readonly child: Id; readonly parent: Id }
  | { readonly kind: 'delete-child'; readonly child: Id }
  /** Children that were seen beside no parent. */
  | { readonly kind: 'orphans'; readonly children: readonly Id[] }
  /** Both tables, as of one moment. */
  | (WholeRead & { readonly parents: readonly Id[]; readonly children: readonly ChildRow[] });

interface ChildRow {
  readonly child: Id;
  readonly parent: Id;
}

/**
 * `orphan`: a read shows a child without its parent. `orphan-acknowledged`: an insert of a child succeeded when its parent
 * cannot have been there. `changed`: a child has another parent than was inserted.
 */
export type ForeignAnomaly = 'orphan' | 'orphan-acknowledged' | 'changed' | AppearanceAnomaly | 'unfinished';

interface Child extends Lifetime {
  readonly parent: Id;
}

/** Whether no child is ever without its parent, and no row is lost for that, or comes back. */
export function checkForeign(
  history: History<ForeignStep>,
  onDelete: 'cascade' | 'restrict',
): Violation<ForeignAnomaly>[] {
  assertWellFormed(history);
  const parentDeletes = Map.groupBy(stepsOf(history, 'delete-parent'), ({ step }) => step.parent);
  const childDeletes = Map.groupBy(stepsOf(history, 'delete-child'), ({ step }) => step.child);
  const parents = stepsOf(history, 'insert-parent').map(({ by, step }): Lifetime => {
    const deletedBy = (parentDeletes.get(step.parent) ?? []).map((each) => each.by);
    return { id: step.parent, insertedBy: by, deletedBy };
  });
  const parentOf = new Map(parents.map((parent) => [parent.id, parent]));
  const children = stepsOf(history, 'insert-child').map(({ by, step }): Child => {
    const own = (childDeletes.get(step.child) ?? []).map((each) => each.by);
    const cascaded = onDelete === 'cascade' ? (parentOf.get(step.parent)?.deletedBy ?? []) : [];
    return { id: step.child, insertedBy: by, deletedBy: [...own, ...cascaded], parent: step.parent };
  });
  const written = new Map(children.map(({ id, parent }) => [id, parent]));
  const reads = wholeReadsOf(history);
  const parentSights = reads.map(({ by, step }) => ({ by, isStrong: step.isStrong, ids: step.parents }));
  const childSights = reads.map(({ by, step }) => {
    return { by, isStrong: step.isStrong, ids: step.children.map(({ child }) => child) };
  });
  return [
    ...reads.flatMap(({ by, step }) => wrongWith(by, new Set(step.parents), step.children, written)),
    ...history.flatMap((by) =>
      by.steps.flatMap((step) =>
        step.kind === 'orphans' && step.children.length > 0 ? orphans(by, step.children) : [],
      ),
    ),
    ...children.flatMap((child) => orphanAcknowledged(child, parentOf.get(child.parent))),
    ...checkAppearances(parents, parentSights),
    ...checkAppearances(children, childSights),
    ...unfinished(history),
  ];
}

function orphans(by: Transaction<ForeignStep>, children: readonly Id[]): Violation<ForeignAnomaly>[] {
  return [{ anomaly: 'orphan', message: `${nameOf(by)} saw ${children.join(', ')} beside no parent` }];
}

function wrongWith(
  by: Transaction<ForeignStep>,
  parents: ReadonlySet<Id>,
  children: readonly ChildRow[],
  written: ReadonlyMap<Id, Id>,
): Violation<ForeignAnomaly>[] {
  const found: Violation<ForeignAnomaly>[] = [];
  for (const { child, parent } of children) {
    if (!parents.has(parent)) {
      found.push({ anomaly: 'orphan', message: `${nameOf(by)} saw ${child} without its parent ${parent}` });
    }
    const original = written.get(child);
    if (original === undefined || original === parent) continue;
    const message = `${nameOf(by)} saw ${child} under ${parent}; it was inserted under ${original}`;
    found.push({ anomaly: 'changed', message });
  }
  return found;
}

function orphanAcknowledged(child: Child, parent: Lifetime | undefined): Violation<ForeignAnomaly>[] {
  const { insertedBy } = child;
  if (insertedBy.outcome !== 'ok') return [];
  const add = (why: string): Violation<ForeignAnomaly>[] => {
    const message = `${nameOf(insertedBy)} inserted ${child.id} under ${child.parent}, ${why}`;
    return [{ anomaly: 'orphan-acknowledged', message }];
  };
  if (parent === undefined || !mayPrecede(parent.insertedBy, insertedBy)) {
    return add('which nobody had inserted');
  }
  const deletion = parent.deletedBy.find(
    (each) => each.outcome === 'ok' && precedes(parent.insertedBy, each) && precedes(each, insertedBy),
  );
  return deletion === undefined ? [] : add(`which ${nameOf(deletion)} had deleted`);
}
