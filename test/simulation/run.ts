import { createHash } from 'node:crypto';
import { readHead } from '../../src/core/log/tables.ts';
import { newTrace } from '../../src/gateway/trace.ts';
import type { Transaction, Violation } from './checkers/history.ts';
import { Client } from './client.ts';
import { type Answer, SimulatedCluster } from './cluster.ts';
import { type Coverage, noCoverage } from './coverage.ts';
import { EventLoop } from './event-loop.ts';
import { checkIndexes } from './indexes.ts';
import { Nemesis } from './nemesis.ts';
import type { PartitionHost } from './partition-host.ts';
import { bank } from './workloads/bank.ts';
import { foreign } from './workloads/foreign.ts';
import { listAppend } from './workloads/list-append.ts';
import { people } from './workloads/people.ts';
import { unique } from './workloads/unique.ts';
import type { Workload } from './workloads/workload.ts';

/** Simulated time of trouble, ms. */
const TROUBLE_MS = 2_500;
/** After it everything must have come to rest, ms (chosen: recovery takes seconds). */
const REST_MS = 30_000;

// biome-ignore lint/suspicious/noExplicitAny: each workload has steps of its own, which only its checker reads.
const WORKLOADS: readonly (() => Workload<any>)[] = [
  bank,
  listAppend,
  unique,
  people,
  () => foreign('cascade', 'index'),
  () => foreign('restrict', 'row'),
];

export interface Report {
  readonly hash: string;
  readonly coverage: Coverage;
}

/** One seed. @throws with what was violated */
export async function runSeed(seed: number): Promise<Report> {
  const loop = new EventLoop(seed);
  // A process's routers share what tells their traces apart: it is made before chance is the seed's.
  newTrace();
  const restore = loop.install();
  try {
    return await simulate(loop, seed);
  } finally {
    restore();
  }
}

async function simulate(loop: EventLoop, seed: number): Promise<Report> {
  const { random } = loop;
  const coverage = noCoverage();
  const workload = (WORKLOADS[seed % WORKLOADS.length] as (typeof WORKLOADS)[number])();
  const cluster = new SimulatedCluster(loop, coverage, 2 + random.below(3), 2);
  const clients = Array.from(
    { length: 3 + random.below(4) },
    (_, index) => new Client(loop, cluster, coverage, index),
  );
  const operator = new Client<unknown>(loop, cluster, coverage, 99);
  await until(loop, setUp(operator, cluster, workload));
  const nemesis = new Nemesis(loop, cluster, coverage);
  nemesis.start();
  let over = false;
  const work = Promise.all([
    ...clients.map((client) => keepBusy(client, workload, random, () => over)),
    changeSchema(operator, workload, random, coverage, () => over),
  ]);
  await loop.run(() => false, loop.now + TROUBLE_MS);
  over = true;
  nemesis.stop();
  await until(loop, work);
  await until(loop, atRest(loop, operator, cluster));
  const last = clients[0] as Client<unknown>;
  const answer = await until(loop, readLast(last, workload));
  if (answer?.status !== 200) throw new Error(`the last read failed: ${JSON.stringify(answer?.json)}`);
  const [defect] = [...cluster.defects, ...loop.defects];
  if (defect !== undefined) throw defect;
  if (nemesis.isCalm) refuseTrouble(clients);
  checkIndexes(cluster.hosts.map(({ port }) => port));
  const history = clients.flatMap((client) => client.history) as Transaction<unknown>[];
  refuse(workload.check(history));
  for (const host of cluster.hosts) countEntries(host, coverage);
  return { hash: fingerprint(cluster, history), coverage };
}

/** Runs the simulation until the promise is settled. */
async function until<T>(loop: EventLoop, promise: Promise<T>): Promise<T> {
  let settled = false;
  const marked = promise.finally(() => {
    settled = true;
  });
  marked.catch(() => undefined);
  await loop.run(() => settled, loop.now + REST_MS);
  if (!settled) throw new Error(`nothing happens any more, or not within ${REST_MS} ms`);
  return marked;
}

async function setUp(
  operator: Client<unknown>,
  cluster: SimulatedCluster,
  workload: Workload<unknown>,
): Promise<void> {
  await cluster.found();
  for (const statements of workload.setUp) {
    const answer = await operator.perform({ path: '/v1/batch', body: { statements }, steps: () => [] });
    if (answer?.status !== 200) throw new Error(`${statements[0]?.sql}: ${JSON.stringify(answer?.json)}`);
  }
}

async function keepBusy(
  client: Client<unknown>,
  workload: Workload<unknown>,
  random: EventLoop['random'],
  over: () => boolean,
): Promise<void> {
  for (let process = 0; !over(); process++) {
    const operation = workload.next(random, process);
    const stepwise = workload.interactive && operation.alone !== true && random.chance(0.35);
    await (stepwise ? client.performInteractively(operation) : client.perform(operation));
    await client.pause(random.next() * random.pick([2, 20, 150]));
  }
}

async function changeSchema(
  operator: Client<unknown>,
  workload: Workload<unknown>,
  random: EventLoop['random'],
  coverage: Coverage,
  over: () => boolean,
): Promise<void> {
  for (const sql of workload.schemaChanges) {
    await operator.pause(random.next() * 2_000);
    if (over() || random.chance(0.3)) return;
    const answer = await operator.perform({ path: '/v1/query', body: { sql }, steps: () => [] });
    if (answer?.status === 200) coverage.schemaChanges++;
  }
}

/** Waits until no transaction is in doubt anywhere and no schema change is being decided, without anybody's doing anything. */
async function atRest(loop: EventLoop, operator: Client<unknown>, cluster: SimulatedCluster): Promise<void> {
  const deadline = loop.now + REST_MS - 2_000;
  for (;;) {
    const open = cluster.hosts.filter(hasOpen);
    if (open.length === 0) return;
    if (loop.now > deadline)
      throw new Error(`in doubt for ever: ${open.map(({ id }) => `partition ${id}`).join(', ')}`);
    await operator.pause(200);
  }
}

/** A schema change that nobody waits for any more may still be decided on. */
async function readLast(client: Client<unknown>, workload: Workload<unknown>): Promise<Answer | null> {
  for (let attempt = 1; ; attempt++) {
    const answer = await client.perform(workload.final());
    if (answer?.status === 200 || attempt === 8) return answer;
  }
}

/** Without faults there are none but answers and refusals. */
function refuseTrouble(clients: readonly Client<unknown>[]): void {
  const expected = new Set(['ok', 'conflict', 'constraint', 'schema-conflict']);
  const codes = clients.flatMap((client) => [...client.codes]).filter((code) => !expected.has(code));
  if (codes.length > 0) throw new Error(`nothing went wrong, but clients were told: ${codes.join(', ')}`);
}

/** Elsewhere a hold ends when somebody writes: it asks for its fate. */
function hasOpen({ id, port }: PartitionHost): boolean {
  const sql = `SELECT 1 FROM _atoll_prepared UNION ALL SELECT 1 FROM _atoll_decisions
    UNION ALL SELECT 1 FROM _atoll_progress WHERE name = 'hold' AND ${id} = 0`;
  const building = `SELECT 1 FROM _atoll_settings WHERE name GLOB 'build:*'`;
  if (id === 0 && port.query(building).rows.length > 0) return true;
  return port.query(sql).rows.length > 0;
}

function countEntries({ port }: PartitionHost, coverage: Coverage): void {
  const { rows } = port.query('SELECT kind, count(*) FROM _atoll_commits GROUP BY kind');
  for (const [kind, count] of rows) {
    if (kind === 'prepare') coverage.prepares += Number(count);
    if (kind === 'decide') coverage.decisions += Number(count);
    if (kind === 'apply') coverage.applies += Number(count);
    if (kind === 'abort') coverage.aborts += Number(count);
  }
}

function refuse(violations: readonly Violation<string>[]): void {
  if (violations.length === 0) return;
  const shown = violations.slice(0, 5).map(({ anomaly, message }) => `${anomaly}: ${message}`);
  throw new Error(shown.join('\n  '));
}

/** Equal for equal runs. */
function fingerprint(cluster: SimulatedCluster, history: readonly Transaction<unknown>[]): string {
  const hash = createHash('sha256');
  const plain = (_: string, value: unknown): unknown => (value instanceof Map ? [...value] : value);
  hash.update(JSON.stringify(history, plain));
  for (const { port } of cluster.hosts) hash.update(JSON.stringify(readHead(port)));
  return hash.digest('hex').slice(0, 16);
}
