import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { benchImport, benchScatter } from './http/bulk.ts';
import { startBenchCluster } from './http/cluster.ts';
import { benchPoint } from './http/point.ts';
import { printRows } from './report.ts';

/**
 * `npm run bench [-- --quick]`: reads, inserts, import and an aggregate in one run, the sides alternating, medians of
 * five rounds. docs/benchmarks.md keeps the figures.
 */
const quick = process.argv.includes('--quick');
const storage = await mkdtemp(join(tmpdir(), 'atoll-bench-'));
const cluster = await startBenchCluster(4, storage);
try {
  printRows(await benchPoint(cluster, quick ? 1_000 : 4_000));
  const rows = quick ? 200_000 : 1_000_000;
  printRows(await benchImport(cluster, rows));
  printRows(await benchScatter(cluster, rows));
} finally {
  await cluster.stop();
  await rm(storage, { recursive: true, force: true });
}
