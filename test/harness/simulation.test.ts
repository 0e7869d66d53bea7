import { expect, test } from 'vitest';
import { add, missing, noCoverage, runSeed } from './run.ts';

const SEEDS = Array.from({ length: 60 }, (_, index) => index + 1);

test('random histories under crashes, faults, lost and repeated messages keep every promise', () => {
  const total = noCoverage();
  for (const seed of SEEDS) add(total, runSeed(seed).coverage);
  expect(missing(total)).toEqual([]);
});

test('one more history, of a seed nobody has chosen', () => {
  runSeed(1000 + Math.floor(Math.random() * 2 ** 31));
});

test('the same seed gives the same history', () => {
  expect(runSeed(7).hash).toBe(runSeed(7).hash);
  expect(runSeed(7).hash).not.toBe(runSeed(8).hash);
});
