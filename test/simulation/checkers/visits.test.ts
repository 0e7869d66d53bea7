import { expect, test } from 'vitest';
import type { Id, Transaction } from './history.ts';
import { anomaliesIn, fail, info, ok } from './made-up.ts';
import { checkVisits, type VisitStep } from './visits.ts';

function write(value: number): VisitStep {
  return { kind: 'write', key: 'k', value };
}

function visit(count: number, counts: boolean, value: Id | null, place = 'here'): VisitStep {
  return { kind: 'visit', place, count, counts, key: 'k', value };
}

function found(...history: Transaction<VisitStep>[]) {
  return anomaliesIn(checkVisits([ok(0, 1, write(1)), ok(2, 3, write(2)), ...history]));
}

test('values go forward as visitors are counted, whatever the time says', () => {
  expect(
    found(ok(0, 9, visit(1, true, null)), ok(0, 9, visit(2, true, 1)), ok(0, 9, visit(2, false, 2))),
  ).toEqual([]);
  expect(found(ok(0, 9, visit(1, true, 2)), ok(0, 9, visit(1, false, 2)))).toEqual([]);
});

test('back: who is counted later has seen an older value, or none', () => {
  expect(found(ok(0, 9, visit(1, false, 2)), ok(0, 9, visit(2, true, 1)))).toEqual(['back']);
  expect(found(ok(0, 9, visit(1, false, 1)), ok(0, 9, visit(2, true, null)))).toEqual(['back']);
});

test('back: who looks only comes after the last that was counted', () => {
  expect(found(ok(0, 9, visit(2, true, 2)), ok(0, 9, visit(2, false, 1)))).toEqual(['back']);
  expect(found(ok(0, 9, visit(2, true, 1)), ok(0, 9, visit(2, false, 2)))).toEqual([]);
  expect(found(ok(0, 9, visit(2, false, 2)), ok(0, 9, visit(2, false, 1)))).toEqual([]);
});

test('nothing follows from other places, from what failed or is unknown, and from writes in no certain order', () => {
  expect(found(ok(0, 9, visit(1, false, 2, 'there')), ok(0, 9, visit(2, true, 1)))).toEqual([]);
  expect(found(ok(0, 9, visit(1, false, 2)), info(0, visit(2, true, 1)))).toEqual([]);
  expect(found(ok(0, 9, visit(1, false, 2)), fail(0, 9, visit(2, true, 1)))).toEqual([]);
  const either = [ok(4, 7, write(3)), ok(5, 6, write(4))];
  expect(found(...either, ok(0, 9, visit(1, false, 4)), ok(0, 9, visit(2, true, 3)))).toEqual([]);
});
