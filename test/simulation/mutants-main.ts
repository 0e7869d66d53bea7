import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Command } from 'commander';
import { integer } from '../../src/cli/options.ts';
import { type SeedOptions, withSeeds } from '../harness/seed-options.ts';
import { MUTANTS } from './mutants.ts';

const values = withSeeds(
  new Command('npm run simulate:mutants --').description(
    'Plants each defect of mutants.ts by itself, and says after how many seeds it was found, in which workload, and by what.',
  ),
  200,
)
  .option('--only <text>', 'only defects whose name has this text', '')
  .option('--jobs <n>', 'so many at a time', integer(1, 64), 1)
  .parse()
  .opts<SeedOptions & { only: string; jobs: number }>();
const run = promisify(execFile);
const script = fileURLToPath(new URL('./mutant-main.ts', import.meta.url));
const wanted = MUTANTS.keys().filter((index) => MUTANTS[index]?.name.includes(values.only));
let missed = 0;
if (!MUTANTS.some(({ name }) => name.includes(values.only))) {
  console.error(`no planted defect has '${values.only}' in its name: mutants.ts lists them`);
  process.exit(2);
}

async function work(): Promise<void> {
  // All workers take from the same iterator.
  for (const index of wanted) {
    const { stdout } = await run(process.execPath, [
      script,
      String(index),
      String(values.seeds),
      String(values.from),
    ]);
    const found = JSON.parse(stdout.trim().split('\n').at(-1) ?? 'null') as {
      seeds: number;
      detector: string;
    } | null;
    if (found === null) missed++;
    const name = MUTANTS[index]?.name;
    console.log(
      found === null
        ? `MISSED  ${name}`
        : `${String(found.seeds).padStart(4)} seeds  ${name}\n            ${found.detector.slice(0, 140)}`,
    );
  }
}

await Promise.all(Array.from({ length: values.jobs }, work));
if (missed > 0) {
  console.error(`${missed} were not found within ${values.seeds} seeds`);
  process.exitCode = 1;
}
