import { TestCluster } from '../cluster/cluster.ts';
import { Random } from '../harness/random.ts';
import type { Outcome, Transaction, Violation } from '../simulation/checkers/history.ts';
import type { Operation } from '../simulation/client.ts';
import type { RequestWorkload } from '../simulation/workloads/workload.ts';

export interface ChaosOptions {
  readonly seed: number;
  readonly clients: number;
  /** How often workerd is killed, or an object reset: after each, {@link ChaosOptions.progress} operations must succeed. */
  readonly faults: number;
  readonly progress: number;
  /** Told after each fault. */
  readonly say?: (line: string) => void;
}

export interface ChaosReport {
  readonly acknowledged: number;
  readonly refused: number;
  readonly unknown: number;
  readonly violations: readonly Violation<string>[];
}

/** A simulator's workload over HTTP, on real workerd, which is killed meanwhile, and judged by the same checkers. */
export async function runChaos<Step>(
  workload: RequestWorkload<Step>,
  { seed, clients, faults, progress, say }: ChaosOptions,
): Promise<ChaosReport> {
  const random = new Random(seed);
  const partitions = 4;
  const cluster = await TestCluster.start({ partitions });
  try {
    for (const statements of workload.setUp) await acknowledged(cluster, { statements });
    const history: Transaction<Step>[] = [];
    let running = true;
    const count = (outcome: Outcome) => history.filter((each) => each.outcome === outcome).length;
    const work = Array.from({ length: clients }, async (_, process) => {
      while (running) history.push(await perform(cluster, process, workload.next(random, process)));
    });
    for (let fault = 1; fault <= faults; fault++) {
      const enough = count('ok') + progress;
      while (count('ok') < enough) await new Promise((resolve) => setTimeout(resolve, 5));
      if (fault % 2 === 1) await cluster.kill();
      else await cluster.reset(random.below(partitions + 1));
      say?.(`fault ${fault} of ${faults}: ${count('ok')} acknowledged, ${count('info')} unknown`);
    }
    running = false;
    await Promise.all(work);
    history.push(await lastRead(cluster, workload));
    return {
      acknowledged: count('ok'),
      refused: count('fail'),
      unknown: count('info'),
      violations: workload.check(history),
    };
  } finally {
    await cluster.dispose();
  }
}

async function acknowledged(cluster: TestCluster, body: unknown): Promise<void> {
  const { status, text } = await cluster.post('/v1/batch', body);
  if (status !== 200) throw new Error(text);
}

async function perform<Step>(
  cluster: TestCluster,
  process: number,
  { path, body, steps }: Operation<Step>,
): Promise<Transaction<Step>> {
  const called = performance.now();
  const reply = await cluster.post(path, { timeoutMs: 5_000, ...body }).catch(() => null);
  const outcome: Outcome =
    reply?.status === 200 ? 'ok' : reply?.json.error?.outcome === 'none' ? 'fail' : 'info';
  const results: { rows: unknown[][] }[] = reply?.json.results ?? [reply?.json];
  return {
    process,
    session: process,
    called,
    returned: outcome === 'info' ? Number.POSITIVE_INFINITY : performance.now(),
    outcome,
    steps: steps(outcome === 'ok' ? results.map(({ rows }) => rows) : null),
  };
}

/** What is in doubt is settled within seconds of the last start, by itself. */
async function lastRead<Step>(
  cluster: TestCluster,
  workload: RequestWorkload<Step>,
): Promise<Transaction<Step>> {
  for (let attempt = 1; ; attempt++) {
    const read = await perform(cluster, 0, workload.final());
    if (read.outcome === 'ok' || attempt === 5) return read;
  }
}
