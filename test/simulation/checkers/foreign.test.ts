import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkForeign, type ForeignStep } from './foreign.ts';
import type { History, Id, Transaction } from './history.ts';
import {
  anomaliesIn,
  around,
  atTheEnd,
  below,
  expectFound,
  fail,
  fateOf,
  forEachHistory,
  type Generator,
  info,
  ok,
  pick,
} from './made-up.ts';

const PARENT: ForeignStep = { kind: 'insert-parent', parent: 'p' };
const NO_PARENT: ForeignStep = { kind: 'delete-parent', parent: 'p' };
const CHILD: ForeignStep = { kind: 'insert-child', child: 'c', parent: 'p' };
const NO_CHILD: ForeignStep = { kind: 'delete-child', child: 'c' };

function readAll(parents: readonly Id[], ...children: [child: Id, parent: Id][]): ForeignStep {
  const rows = children.map(([child, parent]) => ({ child, parent }));
  return { kind: 'read-all', isStrong: true, parents, children: rows };
}

function found(onDelete: 'cascade' | 'restrict', ...history: History<ForeignStep>) {
  return anomaliesIn(checkForeign(history, onDelete));
}

const FAMILY = [ok(0, 1, PARENT), ok(2, 3, CHILD)];

test('a child with its parent, together and apart', () => {
  expect(found('restrict', ...FAMILY, ok(4, 5, readAll(['p'], ['c', 'p'])))).toEqual([]);
  expect(
    found('restrict', ok<ForeignStep>(0, 1, PARENT, CHILD), ok(4, 5, readAll(['p'], ['c', 'p']))),
  ).toEqual([]);
  const gone = [ok(4, 5, NO_CHILD), ok(6, 7, NO_PARENT)];
  expect(found('restrict', ...FAMILY, ...gone, ok(8, 9, readAll([])))).toEqual([]);
});

test('orphan: a read shows a child without its parent', () => {
  expect(found('cascade', ...FAMILY, ok(4, 5, NO_PARENT), ok(6, 7, readAll([], ['c', 'p'])))).toContain(
    'orphan',
  );
  expect(found('restrict', ...FAMILY, ok(4, 5, NO_PARENT), ok(6, 7, readAll([], ['c', 'p'])))).toEqual([
    'orphan',
  ]);
  expect(found('restrict', info(0, PARENT), info(0, CHILD), ok(6, 7, readAll([], ['c', 'p'])))).toEqual([
    'orphan',
  ]);
});

test('orphan: a join shows children beside no parent', () => {
  const end = ok(6, 7, readAll(['p'], ['c', 'p']));
  const join = (...children: Id[]) => ok<ForeignStep>(4, 5, { kind: 'orphans', children });
  expect(found('cascade', ...FAMILY, join(), end)).toEqual([]);
  expect(found('cascade', ...FAMILY, join('c'), end)).toEqual(['orphan']);
});

test('orphan-acknowledged: a child was accepted when its parent cannot have been there', () => {
  const end = ok(20, 21, readAll([]));
  const gone = ok(10, 11, NO_CHILD);
  expect(found('cascade', fail(0, 1, PARENT), ok(2, 3, CHILD), gone, end)).toEqual(['orphan-acknowledged']);
  expect(found('cascade', ok(2, 3, CHILD), gone, end)).toEqual(['orphan-acknowledged']);
  const late = [ok(0, 1, PARENT), ok(2, 3, NO_PARENT), ok(4, 5, CHILD)];
  expect(found('cascade', ...late, gone, end)).toEqual(['orphan-acknowledged']);
  expect(found('cascade', ok(0, 1, PARENT), ok(2, 4, NO_PARENT), ok(4, 5, CHILD), gone, end)).toEqual([]);
  expect(
    found(
      'cascade',
      ok(1, 3, PARENT),
      ok(0, 2, NO_PARENT),
      ok(4, 5, CHILD),
      gone,
      ok(12, 13, NO_PARENT),
      end,
    ),
  ).toEqual([]);
  expect(found('cascade', info(0, PARENT), ok(2, 3, CHILD), gone, info(12, NO_PARENT), end)).toEqual([]);
});

test('a deleted parent takes its children along, where that is declared', () => {
  const history = [...FAMILY, ok(4, 5, NO_PARENT), ok(6, 7, readAll([]))];
  expect(found('cascade', ...history)).toEqual([]);
  expect(found('restrict', ...history)).toEqual(['lost']);
});

test('changed: a child has another parent than was inserted', () => {
  const parents = [...FAMILY, ok(0, 1, { kind: 'insert-parent', parent: 'q' } as const)];
  expect(found('restrict', ...parents, ok(4, 5, readAll(['p', 'q'], ['c', 'q'])))).toEqual(['changed']);
});

test('rows that are lost, failed, there twice, or come back', () => {
  expect(found('restrict', ...FAMILY, ok(4, 5, readAll(['p'])))).toEqual(['lost']);
  expect(found('restrict', fail(0, 1, PARENT), ok(4, 5, readAll(['p'])))).toEqual(['failed']);
  expect(found('restrict', ...FAMILY, ok(4, 5, readAll(['p', 'p'], ['c', 'p'])))).toEqual(['doubled']);
  const deleted = [...FAMILY, ok(4, 5, NO_CHILD)];
  expect(found('restrict', ...deleted, ok(6, 7, readAll(['p'], ['c', 'p'])))).toEqual(['resurrected']);
});

test('unfinished: nothing was read at the end', () => {
  expect(found('restrict', ...FAMILY)).toEqual(['unfinished']);
});

describe.each(['cascade', 'restrict'] as const)(
  'an execution one by one, as clients see it: %s',
  (onDelete) => {
    test('has no anomaly', () => {
      forEachHistory((g) => expect(checkForeign(workload(g, 60, onDelete), onDelete)).toEqual([]));
    });

    test('with a parent that was deleted under its child', () => {
      forEachHistory((g) => {
        const history = workload(g, 40, onDelete);
        const last = history.at(-1);
        const step = last?.steps[0];
        fc.pre(last !== undefined && step?.kind === 'read-all' && step.children.length > 0);
        const { parent } = pick(g, step.children);
        const parents = step.parents.filter((each) => each !== parent);
        const changed = [...history.slice(0, -1), { ...last, steps: [{ ...step, parents }] }];
        expectFound(checkForeign(changed, onDelete), 'orphan');
      });
    });
  },
);

function workload(g: Generator, count: number, onDelete: 'cascade' | 'restrict'): History<ForeignStep> {
  const parents = new Set<Id>();
  const children = new Map<Id, Id>();
  const known: { readonly parents: Id[]; readonly children: Id[] } = { parents: [], children: [] };
  const look = () => readAll([...parents], ...children);
  /** What it does to the tables; null: refused. */
  const effectOf = (step: ForeignStep): (() => void) | null => {
    if (step.kind === 'insert-parent') return () => parents.add(step.parent);
    if (step.kind === 'insert-child') {
      return parents.has(step.parent) ? () => children.set(step.child, step.parent) : null;
    }
    if (step.kind === 'delete-child') return () => children.delete(step.child);
    if (step.kind === 'read-all' || step.kind === 'orphans') return () => undefined;
    const own = [...children].filter(([, parent]) => parent === step.parent);
    if (own.length > 0 && onDelete === 'restrict') return null;
    return () => {
      parents.delete(step.parent);
      for (const [child] of own) children.delete(child);
    };
  };
  const stepOf = (number: number): ForeignStep => {
    const kind = below(g, 6);
    if (kind === 0) return look();
    if (kind === 1 && known.parents.length > 0)
      return { kind: 'delete-parent', parent: pick(g, known.parents) };
    if (kind === 2 && known.children.length > 0)
      return { kind: 'delete-child', child: pick(g, known.children) };
    if (kind <= 4 && known.parents.length > 0)
      return { kind: 'insert-child', child: number, parent: pick(g, known.parents) };
    return { kind: 'insert-parent', parent: number };
  };
  const history = Array.from({ length: count }, (_, number): Transaction<ForeignStep> => {
    const step = stepOf(number);
    const effect = effectOf(step);
    const { outcome, isApplied } =
      effect === null ? { outcome: 'fail' as const, isApplied: false } : fateOf(g);
    if (isApplied) effect?.();
    if (step.kind === 'insert-parent') known.parents.push(number);
    if (step.kind === 'insert-child' && effect !== null) known.children.push(number);
    return around(g, number, outcome, [step]);
  });
  return [...history, atTheEnd(count, look())];
}
