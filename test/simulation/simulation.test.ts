import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { addCoverage, noCoverage } from './coverage.ts';
import { runSeed } from './run.ts';
import { WORKLOADS } from './workloads/all.ts';

/** Always the same ones, each workload once; regressions have unit tests, since seeds mean other runs when workloads change. */
const SEEDS = WORKLOADS.map((_, index) => index + 1);

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

/** Runs the command as `npm run simulate --` does; what it says, and its exit code. */
async function simulate(args: readonly string[]): Promise<{ code: number; said: string }> {
  const script = fileURLToPath(new URL('./main.ts', import.meta.url));
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [script, ...args]);
    return { code: 0, said: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, said: stdout + stderr };
  }
}

test('a seed that fails is shrunk to a command that still fails', async () => {
  const defect = 'a write whose answer was lost is blindly sent again';
  const found = await simulate(['--seeds', '80', '--from', '900', '--workload', 'bank', '--mutant', defect]);
  expect(found.code, found.said).toBe(1);
  const [, left = '', of = ''] = /(\d+) of (\d+) faults/.exec(found.said) ?? [];
  expect(Number(left), found.said).toBeLessThan(Number(of) / 2);
  const smallest = /smallest: npm run simulate -- (--from .*) --mutant/.exec(found.said)?.[1] ?? '';
  const args = smallest.split(' ');
  const again = await simulate([...args, '--mutant', defect]);
  expect(again.code, again.said).toBe(1);
  expect((await simulate(args)).code, 'without the defect').toBe(0);
}, 240_000);
