import { Command, Option } from 'commander';
import { integer } from '../../src/cli/options.ts';
import { SEED_MAX, type SeedOptions, withSeeds } from '../harness/seed-options.ts';
import { addCoverage, missing, noCoverage } from './coverage.ts';
import { plantNamed } from './mutate.ts';
import { runSeeds, type SeedResult } from './seeds.ts';
import { seedsOf, WORKLOADS } from './workloads/all.ts';

const whole = (text: string): string => String(integer(1, SEED_MAX)(text));
const values = withSeeds(
  new Command('npm run simulate --').description(
    'Runs the whole cluster, simulated, once for each seed, and stops at the first that fails, which is shrunk to the smallest ' +
      'command that still fails. The same seed gives the same run, byte for byte.',
  ),
  1000,
)
  .option('--jobs <n>', 'so many at a time', integer(1, 64), 1)
  .addOption(
    new Option('--workload <name>', 'only seeds that run this workload').choices([
      ...new Set(WORKLOADS.map((make) => make().name)),
    ]),
  )
  .option('--keep-going', 'goes on after a failure', false)
  .option('--mutant <text>', 'plants the defect of that name (mutants.ts)', '')
  .option('--without <list>', 'of a shrunk command: numbers of faults that are left out', '')
  .option('--clients <n>', 'of a shrunk command: so many clients', whole, '')
  .option('--operations <n>', 'of a shrunk command: so many operations of each', whole, '')
  .option('--history', 'of a shrunk command: prints what clients have seen, if it fails', false)
  .parse()
  .opts<
    SeedOptions & {
      jobs: number;
      workload?: string;
      keepGoing: boolean;
      mutant: string;
      without: string;
      clients: string;
      operations: string;
      history: boolean;
    }
  >();
const { from } = values;
const seeds = [...seedsOf(from, values.workload ?? null).take(values.seeds)];
const count = seeds.length;
/** From so many seeds on, each counter must have counted something. */
const ENOUGH_SEEDS = 100;

const isWhole = values.without === '' && values.operations === '' && values.clients === '';
if (isWhole) await runAll();
else await repeat();

async function runAll(): Promise<void> {
  const started = performance.now();
  const total = noCoverage();
  const failed: SeedResult[] = [];
  let done = 0;
  const ended = (result: SeedResult): boolean => {
    done++;
    if ('report' in result) addCoverage(total, result.report.coverage);
    else {
      failed.push(result);
      console.error(`seed ${result.seed}: ${result.error}`);
    }
    if (done % 100 === 0 && done < count) {
      const perSecond = (1000 * done) / (performance.now() - started);
      const toGo = Math.round((count - done) / perSecond);
      console.log(
        `${done} of ${count} seeds, ${failed.length} failed, ${perSecond.toFixed(1)} a second, ${toGo} s to go`,
      );
    }
    return failed.length === 0 || values.keepGoing;
  };
  await runSeeds(seeds, { jobs: values.jobs, mutant: values.mutant, ended });
  const [first] = failed;
  if (first !== undefined) {
    process.exitCode = 1;
    console.error(`${failed.length} of ${done} seeds failed: ${failed.map(({ seed }) => seed).join(' ')}`);
    await shrinkSeed(first.seed);
    return;
  }
  console.log(`${count} seeds from ${from}: clean`, total);
  const never = missing(total);
  if (count >= ENOUGH_SEEDS && never.length > 0) {
    console.error(`never met: ${never.join(', ')}`);
    process.exitCode = 1;
  }
}

async function shrinkSeed(seed: number): Promise<void> {
  plantNamed(values.mutant);
  const { commandOf } = await import('./command.ts');
  const { FailedRun, runSeed, wholeRun } = await import('./run.ts');
  const { shrink } = await import('./shrink.ts');
  const whole = wholeRun(seed);
  console.error(`again: ${commandOf(whole, values.mutant)}`);
  try {
    await runSeed(whole);
    console.error('it does not fail again: the run is not the same each time');
  } catch (error) {
    if (!(error instanceof FailedRun)) throw error;
    const { run, failure, runs } = await shrink(whole, error);
    const left = failure.plan.flatMap(({ at, name }, number) =>
      run.without.has(number) ? [] : [`  ${number}: ${Math.round(at)} ms: ${name}`],
    );
    console.error(
      `shrunk in ${runs} runs: ${failure.workload}, ${left.length} of ${failure.plan.length} faults`,
    );
    console.error([...left, failure.message, `smallest: ${commandOf(run, values.mutant)}`].join('\n'));
  }
}

/** Part of one run, as a shrunk command says it. */
async function repeat(): Promise<void> {
  plantNamed(values.mutant);
  const { runOf } = await import('./command.ts');
  const { FailedRun, runSeed } = await import('./run.ts');
  try {
    const { hash } = await runSeed(runOf(from, values));
    console.log(`seed ${from}, less of it: clean, ${hash}`);
  } catch (error) {
    if (!(error instanceof FailedRun)) throw error;
    process.exitCode = 1;
    console.error(error.cause);
    if (!values.history) return;
    for (const each of error.history.toSorted((a, b) => a.called - b.called))
      console.log(JSON.stringify(each));
  }
}
