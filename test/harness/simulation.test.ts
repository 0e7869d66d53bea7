import { describe, expect, test } from 'vitest';
import { MUTANTS, type Mutant } from './mutants.ts';
import { add, missing, noCoverage, runSeed } from './run.ts';

const SEEDS = Array.from({ length: 24 }, (_, index) => index + 1);
/** Within so many seeds each planted defect is found (measured: mutants.ts). */
const MUTANT_SEEDS_MAX = 40;

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

describe('a planted defect is found', () => {
  test.each(MUTANTS)('%s', (mutant) => {
    expect(finding(mutant)).not.toBeNull();
  });
});

/** What the first seed says that fails with the defect. */
function finding(mutant: Mutant): string | null {
  for (let seed = 1; seed <= MUTANT_SEEDS_MAX; seed++) {
    try {
      runSeed(seed, { mutant });
    } catch (error) {
      return (error as Error).message;
    }
  }
  return null;
}
