import { parseArgs } from 'node:util';
import { add, missing, noCoverage, runSeed, STEPS } from './run.ts';

/** `npm run simulate -- --seeds N --from S [--steps K]`: runs seeds S … S + N − 1, and stops at the first failure. */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    steps: { type: 'string', default: String(STEPS) },
  },
});
const from = Number(values.from);
const count = Number(values.seeds);
const total = noCoverage();
for (let seed = from; seed < from + count; seed++) add(total, runSeed(seed, Number(values.steps)).coverage);
console.log(`${count} seeds from ${from}: ok`, total);
const never = missing(total);
if (count >= 50 && never.length > 0) {
  console.error(`never met: ${never.join(', ')}`);
  process.exitCode = 1;
}
