import { parseArgs } from 'node:util';
import { bank } from '../simulation/workloads/bank.ts';
import { listAppend } from '../simulation/workloads/list-append.ts';
import { unique } from '../simulation/workloads/unique.ts';
import type { RequestWorkload } from '../simulation/workloads/workload.ts';
import { runChaos } from './chaos.ts';

/** `npm run chaos:transactions -- [--faults N] [--clients N] [--seed S]`: every workload on real workerd, which is killed in between. */
const { values } = parseArgs({
  options: {
    faults: { type: 'string', default: '20' },
    clients: { type: 'string', default: '16' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
});
const options = {
  seed: Number(values.seed),
  clients: Number(values.clients),
  faults: Number(values.faults),
  progress: 60,
  say: console.log,
};
// biome-ignore lint/suspicious/noExplicitAny: each workload has steps of its own.
const workloads: readonly RequestWorkload<any>[] = [bank(), listAppend(), unique()];
for (const workload of workloads) {
  console.log(`${workload.name}, seed ${values.seed}`);
  const { violations, ...counts } = await runChaos(workload, options);
  console.log(counts);
  for (const { anomaly, message } of violations.slice(0, 10)) console.error(`${anomaly}: ${message}`);
  if (violations.length > 0) process.exitCode = 1;
}
