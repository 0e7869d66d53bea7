import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { integer } from '../src/cli/options.ts';
import { startBenchCluster, TOKEN } from './http/cluster.ts';
import { runLoad } from './http/load.ts';
import { createUsers, insertUser, readUser } from './http/point.ts';
import { accountsByPartition, move } from './http/transactions.ts';
import { median } from './report.ts';

/**
 * What disturbs only ever adds to it: so the tenth least is shown. A ratio is the median of those of neighbouring rounds, which a slow spell meets alike. Linux: from /proc.
 */
const { rounds: ROUNDS } = new Command('node bench/cpu.ts')
  .description(
    "How much CPU time of workerd a request takes, beside a bare object's, and a transfer beside a batch, in many short rounds, the sides in turn.",
  )
  .allowExcessArguments(false)
  .option('--rounds <n>', 'of each pair', integer(1, 10_000), 80)
  .parse()
  .opts<{ rounds: number }>();
/** Of each side in each round. */
const REQUESTS = 150;
const WARM_UP = 1_500;

interface Side {
  readonly name: string;
  readonly path: string;
  readonly connections: number;
  readonly body: (index: number) => string;
}

const directory = await mkdtemp(join(tmpdir(), 'atoll-bench-cpu-'));
const before = new Set(await workers());
const cluster = await startBenchCluster(4, directory);
try {
  const [worker] = (await workers()).filter((pid) => !before.has(pid));
  if (worker === undefined) throw new Error('no workerd was started by this process');
  for (const [one, other] of await pairs()) {
    const costs = await measure(worker, one, other);
    const ratio = median(costs.map(([first, second]) => second / first));
    const shown = [one, other].map(({ name }, at) => {
      const least = tenthLeast(costs.map((round) => round[at as 0 | 1]));
      return `${name.padEnd(20)} ${least.toFixed(0).padStart(6)} µs   `;
    });
    console.log(`${shown.join('')}1 / ${ratio.toFixed(2)}`);
  }
} finally {
  await cluster.stop();
  await rm(directory, { recursive: true, force: true });
}

async function pairs(): Promise<readonly (readonly [Side, Side])[]> {
  await createUsers(cluster, ['/bare', '/v1/query'], 64);
  const beside = (what: string, body: Side['body']) =>
    [
      { name: `${what}: bare`, path: '/bare', connections: 64, body },
      { name: `${what}: Atoll`, path: '/v1/query', connections: 64, body },
    ] as const;
  const [first = [], second = []] = await accountsByPartition(cluster);
  const at = (names: readonly string[], index: number): string => names[index % names.length] as string;
  return [
    beside('read', readUser),
    beside('insert', (index) => insertUser(index)),
    [
      {
        name: 'batch in one',
        path: '/v1/batch',
        connections: 16,
        body: (i) => move(at(first, i), at(first, i + 1)),
      },
      {
        name: 'transfer over two',
        path: '/v1/batch',
        connections: 16,
        body: (i) => move(at(first, i), at(second, i + 1)),
      },
    ],
  ];
}

/** What a request of each takes, by round. */
async function measure(worker: string, one: Side, other: Side): Promise<(readonly [number, number])[]> {
  for (const side of [one, other]) await load(side, WARM_UP);
  const costs: (readonly [number, number])[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const cost = async (side: Side): Promise<number> => {
      const start = await cpuMicroseconds(worker);
      await load(side, REQUESTS, WARM_UP + round * REQUESTS);
      return ((await cpuMicroseconds(worker)) - start) / REQUESTS;
    };
    if (round % 2 === 0) costs.push([await cost(one), await cost(other)]);
    else {
      const second = await cost(other);
      costs.push([await cost(one), second]);
    }
  }
  return costs;
}

function load({ path, connections, body }: Omit<Side, 'name'>, requests: number, from = 0) {
  const url = new URL(cluster.url + path);
  return runLoad({ url, connections, requests, token: TOKEN, body: (index) => body(from + index) });
}

function tenthLeast(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 10)] ?? Number.NaN;
}

/** This process's own. */
async function workers(): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const own = await Promise.all(
    pids.map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
      const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
      return stat.includes('(workerd)') && parent === String(process.pid) ? pid : null;
    }),
  );
  return own.filter((pid) => pid !== null);
}

/** Of all its threads: https://www.kernel.org/doc/html/latest/scheduler/sched-stats.html#proc-pid-schedstat, nanoseconds. */
async function cpuMicroseconds(pid: string): Promise<number> {
  const threads = await readdir(`/proc/${pid}/task`);
  const times = await Promise.all(
    threads.map(async (thread) => {
      const text = await readFile(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').catch(() => '0');
      return Number(text.split(' ')[0]);
    }),
  );
  return times.reduce((sum, each) => sum + each, 0) / 1_000;
}
