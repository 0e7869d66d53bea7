import { describe, expect, test } from 'vitest';
import { MUTANTS, type Mutant } from './mutants.ts';
import { add, missing, noCoverage, runSeed } from './run.ts';

const SEEDS = Array.from({ length: 16 }, (_, index) => index + 1);
/** Within so many seeds each planted defect is found (measured: within 7). */
const MUTANT_SEEDS_MAX = 40;

test('random histories under crashes, faults, lost and repeated messages keep every promise', () => {
  const total = noCoverage();
  const hashes = SEEDS.map((seed) => {
    const { coverage, hash } = runSeed(seed);
    add(total, coverage);
    return hash;
  });
  expect(missing(total)).toEqual([]);
  // And the same seed gives the same history.
  expect(new Set(hashes).size).toBe(SEEDS.length);
  expect(runSeed(SEEDS[0] ?? 0).hash).toBe(hashes[0]);
});

test('one more history, of a seed nobody has chosen', () => {
  runSeed(1000 + Math.floor(Math.random() * 2 ** 31));
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
