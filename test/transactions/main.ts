import { Command } from 'commander';
import { integer } from '../../src/cli/options.ts';
import { bank } from '../simulation/workloads/bank.ts';
import { listAppend } from '../simulation/workloads/list-append.ts';
import { unique } from '../simulation/workloads/unique.ts';
import type { RequestWorkload } from '../simulation/workloads/workload.ts';
import { runChaos } from './chaos.ts';

const SEED_MAX = 2 ** 31;
const values = new Command('npm run chaos:transactions --')
  .description(
    'Every workload of transactions on real workerd, which is killed in between, and what clients saw is judged.',
  )
  .allowExcessArguments(false)
  .option('--faults <n>', 'how often something is done to workerd', integer(1, 100_000), 20)
  .option('--clients <n>', 'clients at a time', integer(1, 256), 16)
  .option('--seed <n>', 'decides what happens when; without, the time does', integer(0, SEED_MAX))
  .parse()
  .opts<{ faults: number; clients: number; seed?: number }>();
const { faults, clients, seed = Date.now() % SEED_MAX } = values;
const options = { seed, clients, faults, progress: 60, say: console.log };
// biome-ignore lint/suspicious/noExplicitAny: each workload has steps of its own.
const workloads: readonly RequestWorkload<any>[] = [bank(), listAppend(), unique()];
for (const workload of workloads) {
  console.log(`${workload.name}, seed ${seed}`);
  const { violations, ...counts } = await runChaos(workload, options);
  console.log(counts);
  for (const { anomaly, message } of violations.slice(0, 10)) console.error(`${anomaly}: ${message}`);
  if (violations.length > 0) process.exitCode = 1;
}
