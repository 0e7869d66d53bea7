import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
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
import { checkNoDouble, type SetStep } from './no-double.ts';

function add(element: Id): SetStep {
  return { kind: 'add', element };
}

function readAll(...elements: Id[]): SetStep {
  return { kind: 'read-all', isStrong: true, elements };
}

function found(...history: History<SetStep>) {
  return anomaliesIn(checkNoDouble(history));
}

test('acknowledged adds are there, failed ones are not, unknown ones may be', () => {
  const history = [ok(0, 1, add(1)), fail(0, 1, add(2)), info(0, add(3)), info(0, add(4))];
  expect(found(...history, ok(2, 3, readAll(1, 4)))).toEqual([]);
});

test('lost: an acknowledged add is not there', () => {
  expect(found(ok(0, 1, add(1)), ok(2, 3, readAll()))).toEqual(['lost']);
});

test('lost: it was, and is no more', () => {
  expect(found(ok(0, 1, add(1)), ok(2, 3, readAll(1)), ok(4, 5, readAll()))).toEqual(['lost']);
});

test('failed: a failed add is there', () => {
  expect(found(fail(0, 1, add(1)), ok(2, 3, readAll(1)))).toEqual(['failed']);
});

test('doubled: an element is there twice, whatever the outcome', () => {
  expect(found(ok(0, 1, add(1)), ok(2, 3, readAll(1, 1)))).toEqual(['doubled']);
  expect(found(info(0, add(1)), ok(2, 3, readAll(1, 1)))).toEqual(['doubled']);
});

test('unwritten: nobody adds it, or only later', () => {
  expect(found(ok(2, 3, readAll(1)))).toEqual(['unwritten']);
  expect(found(ok(2, 3, readAll(1)), ok(4, 5, add(1)), ok(6, 7, readAll(1)))).toEqual(['unwritten']);
});

test('vanished: an add of unknown outcome was seen, and is no more', () => {
  const history = [info(0, add(1)), ok(2, 3, readAll(1))];
  expect(found(...history, ok(3, 5, readAll()), ok(6, 7, readAll(1)))).toEqual([]);
  expect(found(...history, ok(4, 5, readAll()))).toEqual(['vanished']);
});

test('a read that overlaps the add may show it or not', () => {
  const add1 = ok(0, 9, add(1));
  expect(found(add1, ok(1, 2, readAll(1)), ok(3, 4, readAll(1)), ok(10, 11, readAll(1)))).toEqual([]);
  expect(found(add1, ok(1, 2, readAll()), ok(3, 4, readAll(1)), ok(10, 11, readAll(1)))).toEqual([]);
});

test('what a transaction of unknown outcome has read says nothing', () => {
  expect(found(info(0, readAll(9)), ok(2, 3, readAll()))).toEqual([]);
});

test('unfinished: nothing was read after the last add', () => {
  expect(found(ok(0, 1, readAll()), ok(2, 3, add(1)))).toEqual(['unfinished']);
  expect(found(ok(1, 2, readAll()), info(3, add(1)))).toEqual(['unfinished']);
  expect(found(ok(0, 1, add(1)), info(2, readAll(1)))).toEqual(['unfinished']);
  expect(found()).toEqual(['unfinished']);
});

describe('an execution one by one, as clients see it', () => {
  test('has no anomaly', () => {
    forEachHistory((g) => expect(checkNoDouble(workload(g, 50))).toEqual([]));
  });

  test('with a stale read', () => {
    forEachHistory((g) => {
      const history = workload(g, 40);
      const pairs = history.flatMap((read, i) =>
        history.flatMap(({ outcome, returned, steps: [step] }) =>
          outcome === 'ok' &&
          step?.kind === 'add' &&
          returned < read.called &&
          read.steps[0]?.kind === 'read-all'
            ? [{ i, element: step.element }]
            : [],
        ),
      );
      fc.pre(pairs.length > 0);
      const { i, element } = pick(g, pairs);
      expectFound(
        checkNoDouble(changed(history, i, (all) => all.filter((each) => each !== element))),
        'lost',
      );
    });
  });

  test('with an element twice', () => {
    forEachHistory((g) => {
      const history = workload(g, 30);
      const read = history.findIndex(
        ({ steps: [step] }) => step?.kind === 'read-all' && step.elements.length > 0,
      );
      fc.pre(read >= 0);
      expectFound(checkNoDouble(changed(history, read, (all) => [...all, pick(g, all)])), 'doubled');
    });
  });
});

function workload(g: Generator, count: number): History<SetStep> {
  const elements: Id[] = [];
  const history = Array.from({ length: count }, (_, number): Transaction<SetStep> => {
    if (below(g, 3) === 0) return around(g, number, 'ok', [readAll(...elements)]);
    const { outcome, isApplied } = fateOf(g);
    if (isApplied) elements.push(number);
    return around(g, number, outcome, [add(number)]);
  });
  return [...history, atTheEnd(count, readAll(...elements))];
}

function changed(
  history: History<SetStep>,
  at: number,
  change: (elements: readonly Id[]) => Id[],
): History<SetStep> {
  return history.map((each, i) => ({
    ...each,
    steps: each.steps.map((step) =>
      i === at && step.kind === 'read-all' ? { ...step, elements: change(step.elements) } : step,
    ),
  }));
}
