import { createHash } from 'node:crypto';
import { readHead } from '../../src/core/log/tables.ts';
import type { SqlitePort } from '../../src/core/sqlite/port.ts';
import { newTrace } from '../../src/gateway/trace.ts';
import type { Transaction, Violation } from './checkers/history.ts';
import { Client } from './client.ts';
import { type Answer, SimulatedCluster } from './cluster.ts';
import { checkCopy } from './copies.ts';
import { type Coverage, noCoverage } from './coverage.ts';
import { EventLoop } from './event-loop.ts';
import { checkIndexes } from './indexes.ts';
import { checkLogs } from './logs.ts';
import { type Fault, Nemesis } from './nemesis.ts';
import type { PartitionHost } from './partition-host.ts';
import { workloadOf } from './workloads/all.ts';
import type { Workload } from './workloads/workload.ts';

/** Simulated time of trouble, ms. */
const TROUBLE_MS = 2_500;
/** After it everything must have come to rest, ms (chosen: recovery takes seconds). */
const REST_MS = 30_000;
/** How patient the operator is, who has more schema changes to make, ms. */
const SCHEMA_TIMEOUT_MS = 500;
const IS_MADE = /already exists|duplicate column name|no such (?:column|index)/;
/** No message is longer on its way, ms: two slow ends, and an own delay of its kind. */
const STRAGGLERS_MS = 4_000;

/** A run, or less of it: of the same seed, without some of what makes it fail. */
export interface Run {
  readonly seed: number;
  /** Numbers of faults that do not happen. */
  readonly without: ReadonlySet<number>;
  /** Of each client at most. */
  readonly operations: number;
  readonly clients: number;
}

export interface Report {
  readonly hash: string;
  readonly coverage: Coverage;
}

/** A run that was not clean; what was planned for it, so that it can be shrunk. */
export class FailedRun extends Error {
  readonly plan: readonly Fault[];
  readonly workload: string;
  readonly clients: number;
  readonly history: readonly Transaction<unknown>[];

  constructor(
    cause: unknown,
    { plan, workload, clients, history }: Pick<FailedRun, 'plan' | 'workload' | 'clients' | 'history'>,
  ) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.plan = plan;
    this.workload = workload;
    this.clients = clients;
    this.history = history;
  }
}

export function wholeRun(seed: number): Run {
  return {
    seed,
    without: new Set(),
    operations: Number.POSITIVE_INFINITY,
    clients: Number.POSITIVE_INFINITY,
  };
}

/** @throws FailedRun with what was violated */
export async function runSeed(run: number | Run): Promise<Report> {
  const whole = typeof run === 'number' ? wholeRun(run) : run;
  const loop = new EventLoop(whole.seed);
  // A process's routers share what tells their traces apart: it is made before chance is the seed's.
  newTrace();
  const restore = loop.install();
  try {
    return await simulate(loop, whole);
  } finally {
    restore();
  }
}

async function simulate(loop: EventLoop, run: Run): Promise<Report> {
  const { seed } = run;
  const random = loop.stream('shape');
  const coverage = noCoverage();
  const workload = workloadOf(seed);
  const cluster = new SimulatedCluster(loop, coverage, random.pick([2, 3, 3, 4, 4]), 2);
  const clients = Array.from(
    { length: Math.min(run.clients, 2 + random.below(5)) },
    (_, index) => new Client<unknown>(loop, cluster, coverage, index),
  );
  const { decisive, calm } = workload;
  const nemesis = new Nemesis(loop, cluster, coverage, { troubleMs: TROUBLE_MS, decisive, calm });
  try {
    await work(loop, run, { workload, cluster, clients, nemesis, coverage });
    const history = clients.flatMap((client) => client.history) as Transaction<unknown>[];
    refuse(workload.check(history));
    for (const host of cluster.hosts) countEntries(host, coverage);
    return { hash: fingerprint(loop, cluster, history), coverage };
  } catch (error) {
    const history = clients.flatMap((client) => client.history);
    const { plan } = nemesis;
    throw new FailedRun(error, { plan, workload: workload.name, clients: clients.length, history });
  } finally {
    cluster.close();
  }
}

interface Scene {
  readonly workload: Workload<unknown>;
  readonly cluster: SimulatedCluster;
  readonly clients: readonly Client<unknown>[];
  readonly nemesis: Nemesis;
  readonly coverage: Coverage;
}

/** Everything up to the last read. */
async function work(loop: EventLoop, run: Run, scene: Scene): Promise<void> {
  const { workload, cluster, clients, nemesis, coverage } = scene;
  const operator = new Client<unknown>(loop, cluster, coverage, 99);
  await until(loop, setUp(operator, cluster, workload));
  for (const client of clients) client.begin();
  if (loop.stream('followers').chance(0.35)) cluster.follow();
  nemesis.start(run.without);
  let over = false;
  const working = Promise.all([
    ...clients.map((client) => keepBusy(client, workload, run.operations, () => over)),
    changeSchema(operator, workload, coverage, () => over),
  ]);
  // What it fails with is looked at below.
  working.catch(() => undefined);
  await loop.run(() => false, loop.now + TROUBLE_MS);
  over = true;
  nemesis.stop();
  await until(loop, working);
  await until(loop, atRest(loop, operator, cluster));
  // A prepare that is still on its way brings its transaction into doubt once more.
  await loop.run(() => false, loop.now + STRAGGLERS_MS);
  await until(loop, atRest(loop, operator, cluster));
  const answer = await until(loop, readLast(clients[0] as Client<unknown>, workload));
  if (answer?.status !== 200) throw new Error(`the last read failed: ${JSON.stringify(answer?.json)}`);
  await until(loop, atRest(loop, operator, cluster));
  await until(loop, caughtUp(operator, cluster, checkCopies));
  const [defect] = [...cluster.defects, ...loop.defects];
  if (defect !== undefined) throw defect;
  if (nemesis.isCalm) refuseTrouble(clients, workload.mayBeTold ?? []);
  const ports = cluster.hosts.map(({ port }) => port);
  checkIndexes(ports);
  checkLogs(ports);
}

function checkCopies({ hosts, followers }: SimulatedCluster): void {
  for (const [index, { name, port }] of followers.entries())
    checkCopy(name, hosts[index]?.port as SqlitePort, port as SqlitePort);
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
  operations: number,
  over: () => boolean,
): Promise<void> {
  const { choices } = client;
  for (let count = 0; count < operations && !over(); count++) {
    const task = workload.next(choices, count);
    const how = choices.next();
    if ('run' in task) await client.performProgram(task);
    else if ('lines' in task) await client.performImport(task);
    else if (task.agoMs !== undefined || task.session === true) await client.perform(task);
    else if (workload.interactive && task.alone !== true && how < 0.3)
      await client.performInteractively(task);
    else if (how < 0.6) await client.performSurely(task);
    else await client.perform(task);
    if (choices.chance(0.4)) await client.readPastAgain();
    if (choices.chance(0.1)) await client.repeatAnswered();
    await client.pause(choices.next() * choices.pick([2, 20, 150]));
  }
}

async function changeSchema(
  operator: Client<unknown>,
  workload: Workload<unknown>,
  coverage: Coverage,
  over: () => boolean,
): Promise<void> {
  const { choices } = operator;
  const pauseMs = choices.pick(workload.schemaPausesMs);
  for (const change of choices.chance(0.2) ? [] : workload.schemaChanges) {
    const statements = typeof change === 'string' ? [change] : change;
    const body = { statements: statements.map((sql) => ({ sql })), timeoutMs: SCHEMA_TIMEOUT_MS };
    for (let changed = false; !changed; ) {
      await operator.pause(choices.next() * 2 * pauseMs);
      if (over()) return;
      const answer = await operator.perform({ path: '/v1/batch', body, steps: () => [] });
      changed = answer?.status === 200;
      coverage[changed ? 'schemaChanges' : 'schemaChangesRefused']++;
      if (changed && statements.length > 1) coverage.rebuilds++;
      // An attempt whose answer was lost may have made it.
      if (answer !== null && answer.status !== 200 && IS_MADE.test(answer.json.error.message)) changed = true;
    }
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

/** `check`: of what both have at that moment, since a leader may yet write down who has confirmed what. */
async function caughtUp(
  operator: Client<unknown>,
  cluster: SimulatedCluster,
  check: (cluster: SimulatedCluster) => void,
): Promise<void> {
  while (!cluster.followers.every(({ isCaughtUp }) => isCaughtUp)) await operator.pause(100);
  check(cluster);
}

/** A schema change that nobody waits for any more may still be decided on. */
async function readLast(client: Client<unknown>, workload: Workload<unknown>): Promise<Answer | null> {
  for (let attempt = 1; ; attempt++) {
    const answer = await client.perform(workload.final());
    if (answer?.status === 200 || attempt === 8) return answer;
  }
}

/** What clients may be told when nothing goes wrong; `history-gone`: of a moment before a table was altered. */
const EXPECTED: ReadonlySet<string> = new Set([
  'ok',
  'conflict',
  'constraint',
  'history-gone',
  'rolled-back',
  'schema-conflict',
  // An upsert, while the index that it would look in is being built.
  'needs-global-index',
  'sql',
]);

/** Without faults there are none but answers and refusals. */
function refuseTrouble(clients: readonly Client<unknown>[], more: readonly string[]): void {
  const expected = EXPECTED.union(new Set(more));
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
function fingerprint(
  loop: EventLoop,
  cluster: SimulatedCluster,
  history: readonly Transaction<unknown>[],
): string {
  const hash = createHash('sha256');
  const plain = (_: string, value: unknown): unknown => (value instanceof Map ? [...value] : value);
  hash.update(JSON.stringify(history, plain));
  for (const { port } of cluster.hosts) hash.update(JSON.stringify(readHead(port)));
  return hash.update(String(loop.trace)).digest('hex').slice(0, 16);
}
