import { Command, Option } from 'commander';
import { integer } from '../../src/cli/options.ts';
import { MUTANTS, type Mutant } from './mutants.ts';
import { add, findMutant, missing, noCoverage, runSeed, STEPS } from './run.ts';
import { SEED_MAX, type SeedOptions, withSeeds } from './seed-options.ts';

const values = withSeeds(
  new Command('npm run simulate:replication --').description(
    'Replication, simulated, once for each seed; stops at the first that fails, and tells its last events.',
  ),
  1000,
)
  .option('--steps <n>', 'steps of each', integer(1, SEED_MAX), STEPS)
  .option('--events <n>', 'how many events are told of a failure', integer(1, SEED_MAX), 60)
  .addOption(new Option('--mutant <name>', 'plants a defect, which is to be found').choices(MUTANTS))
  .option('--mutants', 'says of each planted defect by which seed it is found', false)
  .parse()
  .opts<SeedOptions & { steps: number; events: number; mutant?: Mutant; mutants: boolean }>();
const { from, seeds: count, steps, events, mutant = null } = values;
const options = { steps, mutant, events };
if (values.mutants) {
  for (const each of MUTANTS) {
    const found = findMutant(each, from, count);
    console.log(`${each}: ${found ?? 'not found'}`);
    if (found === null) process.exitCode = 1;
  }
  process.exit();
}

const started = Date.now();
const total = noCoverage();
for (let seed = from; seed < from + count; seed++) {
  try {
    add(total, runSeed(seed, options).coverage);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    console.error(error instanceof Error && error.cause instanceof Error ? error.cause.stack : '');
    process.exit(1);
  }
  const done = seed - from + 1;
  if (done % 100 === 0 && done < count) {
    const perSecond = (1000 * done) / (Date.now() - started);
    const left = Math.round((count - done) / perSecond);
    console.log(`${done} of ${count} seeds clean, ${perSecond.toFixed(1)} a second, ${left} s to go`);
  }
}
console.log(`${count} seeds from ${from}: ok`, total);
const never = missing(total);
if (count >= 50 && never.length > 0) {
  console.error(`never met: ${never.join(', ')}`);
  process.exitCode = 1;
}
