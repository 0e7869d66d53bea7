import { parseArgs } from 'node:util';
import { isMutant, MUTANTS } from './mutants.ts';
import { add, findMutant, missing, noCoverage, runSeed, STEPS } from './run.ts';

/**
 * `npm run simulate -- --seeds N --from S [--steps K] [--mutant M] [--events E]`: runs seeds S … S + N − 1, and stops at the
 * first failure, of which it tells the last E events. With a planted defect (mutants.ts) that is what shall happen.
 * `--mutants`: tells of each planted defect by which seed it is found, of the same ones.
 */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    steps: { type: 'string', default: String(STEPS) },
    mutant: { type: 'string' },
    events: { type: 'string', default: '60' },
    mutants: { type: 'boolean', default: false },
  },
});
const { mutant = null } = values;
if (mutant !== null && !isMutant(mutant)) throw new Error(`--mutant is one of ${MUTANTS.join(', ')}`);

const from = Number(values.from);
const count = Number(values.seeds);
const options = { steps: Number(values.steps), mutant, events: Number(values.events) };
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
