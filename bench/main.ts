import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { integer } from '../src/cli/options.ts';
import { benchImport, benchScatter } from './http/bulk.ts';
import { benchCertified } from './http/certified.ts';
import { startBenchCluster } from './http/cluster.ts';
import { benchConstraints } from './http/constraints.ts';
import { benchPoint } from './http/point.ts';
import { benchRebuild } from './http/rebuild.ts';
import { benchStart } from './http/start.ts';
import { benchTransactions } from './http/transactions.ts';
import { printRows } from './report.ts';

/** The sides alternate; medians of five rounds. docs/benchmarks.md keeps the figures. */
const values = new Command('npm run bench --')
  .description(
    'Start-up, reads, inserts, transactions, unique values, certified reads, import, an aggregate and a table that is rebuilt, in one run.',
  )
  .allowExcessArguments(false)
  .option('--quick', 'fewer requests and rows: two minutes', false)
  .option('--connections <n>', 'of the point reads and inserts', integer(1, 1_000), 64)
  .option('--partitions <n>', 'of the cluster', integer(1, 256), 4)
  .parse()
  .opts<{ quick: boolean; connections: number; partitions: number }>();
const { quick } = values;
await benchStart(quick ? 3 : 5);
const storage = await mkdtemp(join(tmpdir(), 'atoll-bench-'));
const cluster = await startBenchCluster(values.partitions, storage);
try {
  printRows(await benchPoint(cluster, { requests: quick ? 1_000 : 4_000, connections: values.connections }));
  printRows(await benchTransactions(cluster, quick ? 400 : 1_600));
  printRows(await benchConstraints(cluster, quick ? 400 : 1_600));
  printRows(await benchCertified(cluster, quick ? 200 : 1_000));
  const rows = quick ? 200_000 : 1_000_000;
  printRows(await benchImport(cluster, rows));
  printRows(await benchScatter(cluster, rows));
  printRows(await benchRebuild(cluster, rows));
} finally {
  await cluster.stop();
  await rm(storage, { recursive: true, force: true });
}
