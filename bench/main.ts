import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { benchImport, benchScatter } from './http/bulk.ts';
import { benchCertified } from './http/certified.ts';
import { startBenchCluster } from './http/cluster.ts';
import { benchConstraints } from './http/constraints.ts';
import { benchPoint } from './http/point.ts';
import { benchRebuild } from './http/rebuild.ts';
import { benchStart } from './http/start.ts';
import { benchTransactions } from './http/transactions.ts';
import { printRows } from './report.ts';

/**
 * `npm run bench [-- --quick] [--connections N] [--partitions N]`: start-up, reads, inserts, transactions, unique values, certified reads, import, an aggregate and a table that is rebuilt in one run,
 * the sides alternating, medians of five rounds. docs/benchmarks.md keeps the figures.
 */
const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    connections: { type: 'string', default: '64' },
    partitions: { type: 'string', default: '4' },
  },
});
const { quick } = values;
await benchStart(quick ? 3 : 5);
const storage = await mkdtemp(join(tmpdir(), 'atoll-bench-'));
const cluster = await startBenchCluster(Number(values.partitions), storage);
try {
  printRows(
    await benchPoint(cluster, { requests: quick ? 1_000 : 4_000, connections: Number(values.connections) }),
  );
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
