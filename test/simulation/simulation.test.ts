import { describe, expect, test } from 'vitest';
import { addCoverage, noCoverage } from './coverage.ts';
import { runSeed } from './run.ts';

/** Always the same ones; a regression keeps its seed here. */
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];

describe('transactions over several partitions', () => {
  test('a fixed set of seeds is clean, and meets what it is there for', async () => {
    const total = noCoverage();
    for (const seed of SEEDS) addCoverage(total, (await runSeed(seed)).coverage);
    for (const name of ['committed', 'unknown', 'prepares', 'decisions', 'applies', 'aborts'] as const)
      expect(total[name], name).toBeGreaterThan(0);
  }, 240_000);

  test('so is one that nobody has chosen', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    await expect(runSeed(seed), `npm run simulate -- --seeds 1 --from ${seed}`).resolves.toBeDefined();
  }, 120_000);

  test('the same seed is the same run', async () => {
    const [first, second] = [await runSeed(11), await runSeed(11)];
    expect(first.hash).toBe(second.hash);
  }, 120_000);
});
