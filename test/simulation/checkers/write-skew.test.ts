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
import { checkWriteSkew, type WriteSkewStep } from './write-skew.ts';

function insert(group: Id, row: Id): WriteSkewStep {
  return { kind: 'guarded-insert', group, row };
}

function readAll(...rows: [group: Id, row: Id][]): WriteSkewStep {
  return { kind: 'read-all', isStrong: true, rows: rows.map(([group, row]) => ({ group, row })) };
}

function found(...history: History<WriteSkewStep>) {
  return anomaliesIn(checkWriteSkew(history));
}

test('one of a pair is committed, or none', () => {
  expect(found(ok(0, 9, insert('g', 1)), fail(0, 9, insert('g', 2)), ok(10, 11, readAll(['g', 1])))).toEqual(
    [],
  );
  expect(found(fail(0, 9, insert('g', 1)), fail(0, 9, insert('g', 2)), ok(10, 11, readAll()))).toEqual([]);
});

test('G2: both are acknowledged', () => {
  const both = [ok(0, 9, insert('g', 1)), ok(0, 9, insert('g', 2))];
  expect(found(...both, ok(10, 11, readAll(['g', 1], ['g', 2])))).toEqual(['G2']);
  expect(found(...both, ok(10, 11, readAll(['g', 1])))).toEqual(['G2', 'lost']);
});

test('G2: one is acknowledged, and one of unknown outcome is there', () => {
  const both = [ok(0, 9, insert('g', 1)), info(0, insert('g', 2))];
  expect(found(...both, ok(10, 11, readAll(['g', 1])))).toEqual([]);
  expect(found(...both, ok(10, 11, readAll(['g', 1], ['g', 2])))).toEqual(['G2']);
});

test('G2: reads show each of two unknown ones', () => {
  const both = [info(0, insert('g', 1)), info(0, insert('g', 2))];
  expect(found(...both, ok(10, 11, readAll(['g', 1])), ok(10, 11, readAll(['g', 2])))).toContain('G2');
});

test('rows of different groups do not exclude each other', () => {
  const history = [ok(0, 9, insert('g', 1)), ok(0, 9, insert('h', 2))];
  expect(found(...history, ok(10, 11, readAll(['g', 1], ['h', 2])))).toEqual([]);
});

test('group: a row is where it was not inserted', () => {
  expect(found(ok(0, 9, insert('g', 1)), ok(10, 11, readAll(['h', 1])))).toContain('group');
});

test('rows that are lost, failed or there twice', () => {
  expect(found(ok(0, 9, insert('g', 1)), ok(10, 11, readAll()))).toEqual(['lost']);
  expect(found(fail(0, 9, insert('g', 1)), ok(10, 11, readAll(['g', 1])))).toEqual(['failed']);
  expect(found(ok(0, 9, insert('g', 1)), ok(10, 11, readAll(['g', 1], ['g', 1])))).toEqual(['doubled']);
});

test('unfinished: nothing was read at the end', () => {
  expect(found(ok(0, 9, insert('g', 1)))).toEqual(['unfinished']);
});

describe('an execution one by one, as clients see it', () => {
  test('has no anomaly', () => {
    forEachHistory((g) => expect(checkWriteSkew(workload(g, 40, false))).toEqual([]));
  });

  test('in which one insert did not look', () => {
    forEachHistory((g) => expectFound(checkWriteSkew(workload(g, 40, true)), 'G2'));
  });
});

/** Pairs, the second of which finds the row of the first; `isBlind`: once one finds nothing though there is one. */
function workload(g: Generator, count: number, isBlind: boolean): History<WriteSkewStep> {
  const rows = new Map<Id, Id[]>();
  const history: Transaction<WriteSkewStep>[] = [];
  const look = () =>
    readAll(...[...rows].flatMap(([group, all]) => all.map((row): [Id, Id] => [group, row])));
  for (let number = 0; number < count; number++) {
    const group = Math.floor(number / 2);
    const isTaken = rows.has(group);
    const { outcome, isApplied } = isTaken ? { outcome: 'fail' as const, isApplied: false } : fateOf(g);
    if (isApplied) rows.set(group, [number]);
    history.push(around(g, number, outcome, [insert(group, number)]));
    if (below(g, 3) === 0) history.push(around(g, number, 'ok', [look()]));
  }
  if (isBlind) {
    const pair = [insert('skew', -1), insert('skew', -2)];
    rows.set('skew', [-1, -2]);
    const { outcome } = pick(g, [{ outcome: 'ok' as const }, { outcome: 'info' as const }]);
    history.push(around(g, count, 'ok', pair.slice(0, 1)), around(g, count + 1, outcome, pair.slice(1)));
  }
  return [...history, atTheEnd(count + 1, look())];
}
