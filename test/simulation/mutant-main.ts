import { MUTANTS } from './mutants.ts';
import { plant } from './mutate.ts';

/**
 * `node test/simulation/mutant-main.ts INDEX SEEDS FROM`: looks for the planted defect; prints one line of JSON: how many seeds
 * it took and what was said, or null. A process of its own for each, since modules are loaded once.
 */
const [index, seeds, from] = process.argv.slice(2).map(Number) as [number, number, number];
const mutant = MUTANTS[index];
if (mutant === undefined) throw new Error(`there is no mutant ${index}`);
plant(mutant);
const { FailedRun, runSeed } = await import('./run.ts');
const { seedsOf } = await import('./workloads/all.ts');
let found: { seeds: number; detector: string } | null = null;
let tried = 0;
for (const seed of seedsOf(from, mutant.workload ?? null).take(seeds)) {
  tried++;
  try {
    await runSeed(seed);
  } catch (error) {
    if (!(error instanceof FailedRun)) throw error;
    const [message = ''] = error.message.split('\n');
    found = { seeds: tried, detector: `${error.workload}: ${message}` };
    break;
  }
}
process.stdout.write(`${JSON.stringify(found)}\n`);
process.exit();
