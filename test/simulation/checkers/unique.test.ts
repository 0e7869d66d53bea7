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
import { checkUnique, type UniqueStep } from './unique.ts';

function insert(row: Id, value: Id | null): UniqueStep {
  return { kind: 'insert', row, value };
}

function remove(row: Id): UniqueStep {
  return { kind: 'delete', row };
}

function readAll(...rows: [row: Id, value: Id | null][]): UniqueStep {
  return { kind: 'read-all', isStrong: true, rows: rows.map(([row, value]) => ({ row, value })) };
}

function found(...history: History<UniqueStep>) {
  return anomaliesIn(checkUnique(history));
}

describe('values', () => {
  test('not-unique: two rows of one value at one moment', () => {
    const history = [info(0, insert(1, 'v')), info(0, insert(2, 'v'))];
    expect(found(...history, ok(2, 3, readAll([1, 'v'], [2, 'v'])))).toEqual(['not-unique']);
    expect(found(...history, ok(2, 3, readAll([2, 'v'])))).toEqual([]);
  });

  test('NULLs differ from each other', () => {
    const history = [ok(0, 1, insert(1, null)), ok(0, 1, insert(2, null))];
    expect(found(...history, ok(2, 3, readAll([1, null], [2, null])))).toEqual([]);
  });

  test('both-acknowledged: no read shows both, but no delete came between', () => {
    const both = [ok(0, 1, insert(1, 'v')), ok(2, 3, insert(2, 'v')), ok(4, 5, remove(1))];
    expect(found(...both, ok(6, 7, readAll([2, 'v'])))).toEqual(['both-acknowledged']);
  });

  test('a value is free again after a delete, acknowledged or not', () => {
    const end = ok(6, 7, readAll([2, 'v']));
    expect(found(ok(0, 1, insert(1, 'v')), ok(2, 3, remove(1)), ok(4, 5, insert(2, 'v')), end)).toEqual([]);
    expect(found(ok(0, 1, insert(1, 'v')), info(2, remove(1)), ok(4, 5, insert(2, 'v')), end)).toEqual([]);
    expect(found(ok(0, 1, insert(1, 'v')), fail(2, 3, remove(1)), ok(4, 5, insert(2, 'v')), end)).toContain(
      'both-acknowledged',
    );
  });

  test('a delete frees no value of a row that was inserted after it', () => {
    const end = ok(8, 9, readAll([1, 'v'], [2, 'v']));
    const early = [ok(0, 1, remove(1)), ok(2, 3, insert(1, 'v')), ok(4, 5, insert(2, 'v'))];
    expect(found(...early, end)).toEqual(['both-acknowledged', 'not-unique']);
    const unknown = [info(0, remove(1)), ok(0, 1, insert(2, 'v')), ok(2, 3, insert(1, 'v'))];
    expect(found(...unknown, end)).toEqual(['both-acknowledged', 'not-unique']);
  });

  test('of inserts that overlap either may have been first', () => {
    const both = [ok(0, 9, insert(1, 'v')), ok(0, 9, insert(2, 'v'))];
    expect(found(...both, ok(3, 4, remove(2)), ok(10, 11, readAll([1, 'v'])))).toEqual([]);
    expect(found(...both, ok(10, 11, remove(2)), ok(12, 13, readAll([1, 'v'])))).toEqual([
      'both-acknowledged',
    ]);
  });

  test('changed: a row has another value', () => {
    expect(found(ok(0, 1, insert(1, 'v')), ok(2, 3, readAll([1, 'w'])))).toEqual(['changed']);
  });
});

describe('rows', () => {
  test('lost: acknowledged and gone, without a delete that may have happened', () => {
    const row = ok(0, 1, insert(1, 'v'));
    const end = ok(6, 7, readAll());
    expect(found(row, end)).toEqual(['lost']);
    expect(found(row, fail(2, 3, remove(1)), end)).toEqual(['lost']);
    expect(found(row, ok(2, 3, remove(1)), end)).toEqual([]);
    expect(found(row, info(2, remove(1)), end)).toEqual([]);
    expect(found(ok(2, 3, insert(1, 'v')), ok(0, 1, remove(1)), end)).toEqual(['lost']);
  });

  test('failed: a refused row is there', () => {
    expect(found(fail(0, 1, insert(1, 'v')), ok(2, 3, readAll([1, 'v'])))).toEqual(['failed']);
  });

  test('resurrected: there after an acknowledged delete', () => {
    const history = [ok(0, 1, insert(1, 'v')), ok(2, 3, remove(1))];
    expect(found(...history, ok(4, 5, readAll([1, 'v'])))).toEqual(['resurrected']);
    expect(found(...history, ok(3, 4, readAll([1, 'v'])), ok(5, 6, readAll()))).toEqual([]);
  });

  test('a weaker read may show what was deleted since', () => {
    const history = [ok(0, 1, insert(1, 'v')), ok(2, 3, remove(1))];
    const past: UniqueStep = { kind: 'read-all', isStrong: false, rows: [{ row: 1, value: 'v' }] };
    expect(found(...history, ok(4, 5, past), ok(6, 7, readAll()))).toEqual([]);
  });

  test('resurrected: there after a read in which it was gone', () => {
    const history = [ok(0, 1, insert(1, 'v')), info(2, remove(1)), ok(4, 5, readAll())];
    expect(found(...history, ok(6, 7, readAll([1, 'v'])))).toEqual(['resurrected']);
  });

  test('a delete of what may not be there yet says nothing', () => {
    const late = [info(0, insert(1, 'v')), ok(2, 3, remove(1)), ok(4, 5, readAll([1, 'v']))];
    expect(found(...late)).toEqual([]);
    expect(found(ok(2, 3, insert(1, 'v')), ok(0, 2, remove(1)), ok(4, 5, readAll([1, 'v'])))).toEqual([]);
  });

  test('unfinished: nothing was read at the end', () => {
    expect(found(ok(0, 1, insert(1, 'v')))).toEqual(['unfinished']);
  });
});

describe('an execution one by one, as clients see it', () => {
  test('has no anomaly', () => {
    forEachHistory((g) => expect(checkUnique(workload(g, 60))).toEqual([]));
  });

  test('with a row that another one displaced', () => {
    forEachHistory((g) => {
      const history = workload(g, 40);
      const end = history.length;
      const twice = [
        ok(1000, 1001 + below(g, 20), insert('first', 'twice')),
        ok(1000, 1001 + below(g, 20), insert('second', 'twice')),
      ];
      const last = history.at(-1)?.steps[0];
      fc.pre(last?.kind === 'read-all');
      const rows = [...last.rows, { row: pick(g, ['first', 'second']), value: 'twice' }];
      const changed = [...history.slice(0, end - 1), ...twice, ok(1100, 1101, { ...last, rows })];
      expectFound(checkUnique(changed), 'both-acknowledged');
      expectFound(checkUnique(changed), 'lost');
    });
  });

  test('with a lost row, and with one that came back', () => {
    forEachHistory((g) => {
      const history = workload(g, 40);
      const last = history.at(-1);
      const step = last?.steps[0];
      fc.pre(last !== undefined && step?.kind === 'read-all');
      const deleted = new Set(
        history.flatMap(({ steps: [each] }) => (each?.kind === 'delete' ? [each.row] : [])),
      );
      const certain = history.flatMap(({ outcome, steps: [each] }) =>
        outcome === 'ok' && each?.kind === 'insert' && !deleted.has(each.row) ? [each.row] : [],
      );
      fc.pre(certain.length > 0);
      const lost = pick(g, certain);
      const without = { ...step, rows: step.rows.filter(({ row }) => row !== lost) };
      expectFound(checkUnique([...history.slice(0, -1), { ...last, steps: [without] }]), 'lost');
      const again = [ok(1000, 1001, remove(lost)), ok(1002, 1003, step)];
      expectFound(checkUnique([...history, ...again]), 'resurrected');
    });
  });
});

function workload(g: Generator, count: number): History<UniqueStep> {
  const table = new Map<Id, Id | null>();
  const look = () => readAll(...table);
  const known: Id[] = [];
  const history = Array.from({ length: count }, (_, number): Transaction<UniqueStep> => {
    const kind = below(g, 4);
    if (kind === 0) return around(g, number, 'ok', [look()]);
    const { outcome, isApplied } = fateOf(g);
    if (kind === 1 && known.length > 0) {
      const row = pick(g, known);
      if (isApplied) table.delete(row);
      return around(g, number, outcome, [remove(row)]);
    }
    const value = pick(g, [null, 0, 1, 2, 3, 4]);
    if (value !== null && [...table.values()].includes(value))
      return around(g, number, 'fail', [insert(number, value)]);
    known.push(number);
    if (isApplied) table.set(number, value);
    return around(g, number, outcome, [insert(number, value)]);
  });
  return [...history, atTheEnd(count, look())];
}
