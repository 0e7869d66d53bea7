import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chaos } from './chaos.ts';

/** `npm run chaos -- --seconds N --seed S`: see chaos.ts. Exits with 1 if anything was not as it must be; its files stay then. */
const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string', default: '1' } },
});
const directory = mkdtempSync(join(tmpdir(), 'atoll-chaos-'));
const { requests, ...report } = await chaos({
  seconds: Number(values.seconds),
  seed: Number(values.seed),
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
  console.log(`seed ${values.seed}; files in ${directory}`);
  process.exitCode = 1;
} else rmSync(directory, { recursive: true, force: true });
