import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBenchCluster } from './http/cluster.ts';
import { benchPoint } from './http/point.ts';
import { printRows } from './report.ts';

/** `npm run bench`: everything in one run, the sides alternating; figures belong into docs/benchmarks.md. */
const quick = process.argv.includes('--quick');
const storage = await mkdtemp(join(tmpdir(), 'atoll-bench-'));
const cluster = await startBenchCluster(4, storage);
try {
  printRows(await benchPoint(cluster, quick ? 1_000 : 4_000));
} finally {
  await cluster.stop();
  await rm(storage, { recursive: true, force: true });
}
