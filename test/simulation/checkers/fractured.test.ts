import { describe, expect, test } from 'vitest';
import { checkFractured, type FracturedStep } from './fractured.ts';
import type { History, Transaction } from './history.ts';
import {
  anomaliesIn,
  around,
  below,
  expectFound,
  fail,
  fateOf,
  forEachHistory,
  type Generator,
  info,
  ok,
} from './made-up.ts';

function write(value: number): FracturedStep {
  return { kind: 'write', set: 's', value };
}

function read(...values: number[]): FracturedStep {
  return { kind: 'read', set: 's', rows: 2, values, isStrong: true };
}

function past(...values: number[]): FracturedStep {
  return { kind: 'read', set: 's', rows: 2, values, isStrong: false };
}

function found(...history: Transaction<FracturedStep>[]) {
  return anomaliesIn(checkFractured(history));
}

test('all of one write, or of none yet', () => {
  expect(found(ok(0, 1, read(0, 0)), ok(2, 3, write(1)), ok(4, 5, read(1, 1)))).toEqual([]);
});

test('fractured: one row of each', () => {
  expect(found(ok(2, 3, write(1)), ok(2, 5, read(0, 1)))).toEqual(['fractured']);
  expect(found(ok(2, 3, write(1)), ok(4, 5, past(1, 0)))).toEqual(['fractured']);
});

test('lost: a row is missing, or there is one more', () => {
  expect(found(ok(0, 1, read(0)))).toEqual(['lost']);
  expect(found(ok(0, 1, read()))).toEqual(['lost']);
  expect(found(ok(0, 1, read(0, 0, 0)))).toEqual(['lost']);
});

test('imagined: nobody has written it, it failed, or it came later', () => {
  expect(found(ok(0, 1, read(7, 7)))).toEqual(['imagined']);
  expect(found(fail(0, 1, write(7)), ok(2, 3, read(7, 7)))).toEqual(['imagined']);
  expect(found(ok(0, 1, read(7, 7)), ok(2, 3, write(7)))).toEqual(['imagined']);
  expect(found(info(0, write(7)), ok(2, 3, read(7, 7)))).toEqual([]);
});

test('stale: another write was acknowledged after that one, and before the read', () => {
  expect(found(ok(0, 1, write(1)), ok(2, 3, write(2)), ok(4, 5, read(1, 1)))).toEqual(['stale']);
  expect(found(ok(0, 1, write(1)), ok(2, 3, read(0, 0)))).toEqual(['stale']);
  expect(found(ok(0, 1, write(1)), ok(2, 3, past(0, 0)))).toEqual([]);
  // Either may have been the last.
  expect(found(ok(0, 3, write(1)), ok(2, 3, write(2)), ok(4, 5, read(1, 1)))).toEqual([]);
  expect(found(info(0, write(1)), ok(2, 3, write(2)), ok(4, 5, read(1, 1)))).toEqual([]);
});

test('overlooked: the last write was acknowledged before, and no other can have come since', () => {
  const other: FracturedStep = { kind: 'other', set: 's', value: 1 };
  expect(found(ok(0, 1, other))).toEqual([]);
  expect(found(ok(0, 1, write(1)), ok(2, 3, other))).toEqual(['overlooked']);
  expect(found(ok(0, 1, write(2)), ok(2, 3, write(1)), ok(4, 5, other))).toEqual(['overlooked']);
  expect(found(ok(0, 1, { ...other, value: 0 }))).toEqual(['overlooked']);
  expect(found(fail(0, 1, write(2)), ok(0, 1, write(1)), ok(4, 5, other))).toEqual(['overlooked']);
  // Another one may be the last.
  expect(found(ok(0, 1, write(1)), ok(2, 3, write(2)), ok(4, 5, other))).toEqual([]);
  expect(found(info(0, write(2)), ok(2, 3, write(1)), ok(4, 5, other))).toEqual([]);
  expect(found(ok(0, 4, write(1)), ok(2, 3, other))).toEqual([]);
});

describe('an execution one by one, as clients see it', () => {
  test('has no anomaly', () => {
    forEachHistory((g) => expect(checkFractured(workload(g, 30, null))).toEqual([]));
  });

  test('with a write that is lost in one row', () => {
    forEachHistory((g) => expectFound(checkFractured(workload(g, 1, below(g, 3))), 'fractured'));
  });
});

function workload(g: Generator, count: number, lost: number | null): History<FracturedStep> {
  let rows = [0, 0, 0];
  const history: Transaction<FracturedStep>[] = [];
  for (let number = 0; number < count; number++) {
    const { outcome, isApplied } = lost === null ? fateOf(g) : { outcome: 'ok' as const, isApplied: true };
    if (isApplied) rows = rows.map((row, index) => (index === lost ? row : number + 1));
    history.push(around(g, number, outcome, [write(number + 1)]));
    history.push(
      around(g, number, 'ok', [
        { kind: 'read', set: 's', rows: 3, values: rows, isStrong: below(g, 2) === 0 },
      ]),
    );
  }
  return history;
}
