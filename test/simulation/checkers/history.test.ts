import { expect, test } from 'vitest';
import { assertWellFormed, mayPrecede, precedes } from './history.ts';
import { fail, info, ok } from './made-up.ts';

test('a transaction precedes those that are called after its return, and may precede all that have not returned before', () => {
  expect(precedes(ok(0, 1), ok(2, 3))).toBe(true);
  expect(precedes(ok(0, 2), ok(2, 3))).toBe(false);
  expect(precedes(info(0), ok(2, 3))).toBe(false);
  expect(mayPrecede(ok(2, 3), ok(0, 2))).toBe(true);
  expect(mayPrecede(ok(2, 3), ok(0, 1))).toBe(false);
  expect(mayPrecede(info(2), ok(2, 3))).toBe(true);
  expect(mayPrecede(fail(0, 1), ok(2, 3))).toBe(false);
});

test('a history that no checker can judge is refused: the workload has a defect', () => {
  assertWellFormed([ok(0, 0), fail(1, 2), info(3)]);
  expect(() => assertWellFormed([ok(2, 1)])).toThrow('before its call');
  expect(() => assertWellFormed([ok(0, Number.POSITIVE_INFINITY)])).toThrow('never returns');
  expect(() => assertWellFormed([{ ...info(0), returned: 1 }])).toThrow('never returns');
});
