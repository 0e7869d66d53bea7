import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { integer } from '../../src/cli/options.ts';
import { chaos } from './chaos.ts';

const { seconds, seed } = new Command('npm run chaos --')
  .description(
    'workerd and three agents, which are killed and cut off while clients write and read; then everything is compared. Exits ' +
      'with 1 if anything is not as it must be, and leaves the files.',
  )
  .allowExcessArguments(false)
  .option('--seconds <n>', 'how long faults happen', integer(1, 86_400), 60)
  .option('--seed <n>', 'decides which faults, and when', integer(0, 2 ** 31), 1)
  .parse()
  .opts<{ seconds: number; seed: number }>();
const directory = mkdtempSync(join(tmpdir(), 'atoll-chaos-'));
const { requests, ...report } = await chaos({
  seconds,
  seed,
  directory,
  log: (line) => console.log(line),
});
for (const [what, count] of [...requests].sort()) console.log(`${String(count).padStart(8)} ${what}`);
const { lost, doubled, resurrected, invented, violations, defects, differences, ...figures } = report;
const wrong = { lost, doubled, resurrected, invented, violations, defects, differences };
console.log(figures);
for (const [kind, cases] of Object.entries(wrong)) {
  console.log(`${kind}: ${cases.length}`);
  for (const each of cases.slice(0, 10)) console.log(`  ${each}`);
}
if (Object.values(wrong).some((cases) => cases.length > 0)) {
  console.log(`seed ${seed}; files in ${directory}`);
  process.exitCode = 1;
} else rmSync(directory, { recursive: true, force: true });
