import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { MUTANTS } from './mutants.ts';

/**
 * `npm run simulate:mutants -- [--seeds N] [--from S] [--only TEXT] [--jobs J]`: each planted defect, seeds until it was found, in
 * which workload, and by what.
 */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    jobs: { type: 'string', default: '1' },
  },
});
const run = promisify(execFile);
const script = fileURLToPath(new URL('./mutant-main.ts', import.meta.url));
const wanted = MUTANTS.keys().filter((index) => MUTANTS[index]?.name.includes(values.only));
let missed = 0;

async function work(): Promise<void> {
  // All workers take from the same iterator.
  for (const index of wanted) {
    const { stdout } = await run(process.execPath, [script, String(index), values.seeds, values.from]);
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

await Promise.all(Array.from({ length: Number(values.jobs) }, work));
if (missed > 0) {
  console.error(`${missed} were not found within ${values.seeds} seeds`);
  process.exitCode = 1;
}
