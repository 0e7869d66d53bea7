import { describe, expect, test } from 'vitest';
import { type CycleStep, checkCycle } from './cycle.ts';
import type { History, Id, Transaction } from './history.ts';
import {
  anomaliesIn,
  around,
  atTheEnd,
  below,
  expectFound,
  fateOf,
  forEachHistory,
  type Generator,
  info,
  ok,
} from './made-up.ts';

const KEYS = new Set(['a', 'b', 'c', 'd']);

function readAll(next: Record<string, string>): CycleStep {
  return { kind: 'read-all', isStrong: true, next: new Map(Object.entries(next)) };
}

function found(next: Record<string, string>) {
  return anomaliesIn(checkCycle(KEYS, [ok(0, 1, { kind: 'exchange' }), ok(2, 3, readAll(next))]));
}

test('one ring, in whatever order', () => {
  expect(found({ a: 'b', b: 'c', c: 'd', d: 'a' })).toEqual([]);
  expect(found({ d: 'b', b: 'a', a: 'c', c: 'd' })).toEqual([]);
});

test('short: two rings, or a key that follows itself', () => {
  expect(found({ a: 'b', b: 'a', c: 'd', d: 'c' })).toEqual(['short']);
  expect(found({ a: 'b', b: 'c', c: 'a', d: 'd' })).toEqual(['short']);
});

test('broken: a key follows two others', () => {
  expect(found({ a: 'b', b: 'c', c: 'b', d: 'a' })).toEqual(['broken']);
});

test('broken: a successor is no key', () => {
  expect(found({ a: 'b', b: 'c', c: 'd', d: 'e' })).toEqual(['broken']);
});

test('keys: one is missing, one too many, another one', () => {
  expect(found({ a: 'b', b: 'c', c: 'a' })).toEqual(['keys']);
  expect(found({ a: 'b', b: 'c', c: 'd', d: 'e', e: 'a' })).toEqual(['keys']);
  expect(found({ a: 'b', b: 'c', c: 'e', e: 'a' })).toEqual(['keys']);
});

test('unfinished: nothing was read after the last exchange', () => {
  const ring = readAll({ a: 'b', b: 'c', c: 'd', d: 'a' });
  expect(anomaliesIn(checkCycle(KEYS, [ok(0, 1, ring), ok(2, 3, { kind: 'exchange' })]))).toEqual([
    'unfinished',
  ]);
  expect(checkCycle(KEYS, [info(0, { kind: 'exchange' }), ok(2, 3, ring)])).toEqual([]);
});

describe('an execution one by one, as clients see it', () => {
  test('has no anomaly', () => {
    forEachHistory((g) =>
      expect(
        checkCycle(
          NUMBERS,
          workload(g, 30, () => true),
        ),
      ).toEqual([]),
    );
  });

  test('with an exchange of which one write is lost', () => {
    forEachHistory((g) => {
      const lost = below(g, 3);
      expectFound(
        checkCycle(
          NUMBERS,
          workload(g, 1, (write) => write !== lost),
        ),
        'broken',
      );
    });
  });
});

const NUMBERS = new Set([0, 1, 2, 3, 4, 5, 6]);

/** Each exchange takes a key's successor and puts it one place further: three writes. */
function workload(g: Generator, count: number, isWritten: (write: number) => boolean): History<CycleStep> {
  let next: ReadonlyMap<Id, Id> = new Map([...NUMBERS].map((key) => [key, (key + 1) % NUMBERS.size]));
  const history: Transaction<CycleStep>[] = [];
  for (let number = 0; number < count; number++) {
    const { outcome, isApplied } = count === 1 ? { outcome: 'ok' as const, isApplied: true } : fateOf(g);
    if (isApplied) next = exchanged(next, below(g, NUMBERS.size), isWritten);
    history.push(around(g, number, outcome, [{ kind: 'exchange' }]));
    history.push(around(g, number, 'ok', [{ kind: 'read-all', isStrong: below(g, 2) === 0, next }]));
  }
  return [...history, atTheEnd(count, { kind: 'read-all', isStrong: true, next })];
}

function exchanged(
  next: ReadonlyMap<Id, Id>,
  first: Id,
  isWritten: (write: number) => boolean,
): ReadonlyMap<Id, Id> {
  const after = (key: Id) => next.get(key) ?? key;
  const second = after(first);
  const third = after(second);
  const writes: [Id, Id][] = [
    [first, third],
    [second, after(third)],
    [third, second],
  ];
  return new Map([...next, ...writes.filter((_, i) => isWritten(i))]);
}
