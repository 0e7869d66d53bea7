import { parseArgs } from 'node:util';
import { addCoverage, missing, noCoverage } from './coverage.ts';
import { runSeed } from './run.ts';

/**
 * `npm run simulate -- --seeds N --from S`: runs seeds S … S + N − 1, and stops at the first that fails. The same seed gives
 * the same run, byte for byte.
 */
const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '1000' }, from: { type: 'string', default: '1' } },
});
const from = Number(values.from);
const count = Number(values.seeds);
const started = performance.now();
const total = noCoverage();
for (let seed = from; seed < from + count; seed++) {
  try {
    addCoverage(total, (await runSeed(seed)).coverage);
  } catch (error) {
    console.error(`seed ${seed}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    console.error(`again: npm run simulate -- --seeds 1 --from ${seed}`);
    process.exit(1);
  }
  const done = seed - from + 1;
  if (done % 100 === 0 && done < count) {
    const perSecond = (1000 * done) / (performance.now() - started);
    console.log(
      `${done} of ${count} seeds clean, ${perSecond.toFixed(1)} a second, ${Math.round((count - done) / perSecond)} s to go`,
    );
  }
}
console.log(`${count} seeds from ${from}: clean`, total);
const never = missing(total);
if (count >= 50 && never.length > 0) {
  console.error(`never met: ${never.join(', ')}`);
  process.exitCode = 1;
}
