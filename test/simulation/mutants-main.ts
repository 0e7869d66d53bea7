import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { MUTANTS } from './mutants.ts';

/** `npm run simulate:mutants -- [--seeds N] [--from S] [--only TEXT]`: each planted defect, seeds until it was found, and by what. */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '60' },
    from: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
  },
});
const run = promisify(execFile);
const script = fileURLToPath(new URL('./mutant-main.ts', import.meta.url));
let missed = 0;
for (const [index, { name }] of MUTANTS.entries()) {
  if (!name.includes(values.only)) continue;
  const { stdout } = await run(process.execPath, [script, String(index), values.seeds, values.from]);
  const found = JSON.parse(stdout.trim().split('\n').at(-1) ?? 'null') as {
    seeds: number;
    detector: string;
  } | null;
  if (found === null) missed++;
  console.log(
    found === null
      ? `MISSED  ${name}`
      : `${String(found.seeds).padStart(4)} seeds  ${name}\n            ${found.detector.slice(0, 140)}`,
  );
}
if (missed > 0) {
  console.error(`${missed} of ${MUTANTS.length} were not found within ${values.seeds} seeds`);
  process.exitCode = 1;
}
