import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { runLoad } from '../http/load.ts';
import { median } from '../report.ts';
import { query, type Running, residentBytes, startAgent, startEdge, TOKEN } from './processes.ts';

/** Processes of their own on one machine, whose cores they share with the load. docs/benchmarks.md keeps the figures. */
const values = new Command('npm run bench:agents --')
  .description('What agents cost the edge, and what they give.')
  .allowExcessArguments(false)
  .option('--quick', 'fewer rows and rounds: two minutes', false)
  .parse()
  .opts<{ quick: boolean }>();
const ROWS = values.quick ? 200_000 : 1_000_000;
const ROUNDS = values.quick ? 3 : 5;
const REQUESTS = 4_000;
const CONNECTIONS = 64;
/** Of the lag's measurement. */
const WRITES_PER_SECOND = 1_000;
const SECONDS = values.quick ? 5 : 15;
const WIDE_ROWS = values.quick ? 40_000 : 200_000;
const WIDE_BYTES = 1_000;
const WIDE_BLOCK = 10_000;
const IDLE_PARTITIONS = 100;
const IDLE_MS = 10_000;

const directory = await mkdtemp(join(tmpdir(), 'atoll-bench-agents-'));
const running: Running[] = [];
try {
  await cluster();
  await wide();
  await idle();
} finally {
  await Promise.all(running.map(({ process }) => process.stop()));
  await rm(directory, { recursive: true, force: true });
}

async function cluster(): Promise<void> {
  const edge = await started(startEdge(join(directory, 'edge'), 4));
  const columns = 'id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, name TEXT, age INTEGER';
  await query(edge.url, `CREATE TABLE users (${columns}) PARTITION BY (tenant)`);
  await query(edge.url, 'CREATE INDEX users_tenant ON users (tenant)');
  const agents = [
    await started(startAgent(edge.url, join(directory, 'a1'))),
    await started(startAgent(edge.url, join(directory, 'a2'))),
  ];
  await writePath(edge, agents);
  await pointReads(edge, agents[0] as Running);
  await lag(edge, agents[0] as Running);
  await importFollowed(edge, agents[0] as Running);
  const third = await started(startAgent(edge.url, join(directory, 'a3')));
  snapshotRate(third, `${whole(ROWS)} rows of 20 bytes`, 'none: bound by rows');
}

/** A new agent of a database whose rows are of everyday size. */
async function wide(): Promise<void> {
  const edge = await started(startEdge(join(directory, 'wide'), 4));
  await query(edge.url, 'CREATE TABLE pages (tenant TEXT NOT NULL, body TEXT) PARTITION BY (tenant)');
  const body = 'x'.repeat(WIDE_BYTES - 16);
  for (let from = 0; from < WIDE_ROWS; from += WIDE_BLOCK) {
    const lines = Array.from(
      { length: WIDE_BLOCK },
      (_, index) => `{"tenant":"t${(from + index) % 5000}","body":"${from + index} ${body}"}`,
    );
    await importLines(edge, 'pages', `${lines.join('\n')}\n`);
  }
  const agent = await started(startAgent(edge.url, join(directory, 'wide-agent')));
  snapshotRate(agent, `${whole(WIDE_ROWS)} rows of ${WIDE_BYTES} bytes`, '≥ 50 MB/s');
  await Promise.all([agent, edge].map(({ process }) => process.stop()));
}

/** Inserts with both agents following, and with both standing still. */
async function writePath(edge: Running, agents: readonly Running[]): Promise<void> {
  const rates: { withAgents: number[]; without: number[] } = { withAgents: [], without: [] };
  let next = 0;
  const insert = async (): Promise<number> => {
    const from = next;
    next += REQUESTS;
    const { requestsPerSecond } = await load(edge, (index) => insertOf(from + index));
    return requestsPerSecond;
  };
  await insert();
  for (let round = 0; round < ROUNDS; round++) {
    rates.withAgents.push(await insert());
    await caughtUp(edge, agents);
    for (const { process } of agents) process.signal('SIGSTOP');
    rates.without.push(await insert());
    for (const { process } of agents) process.signal('SIGCONT');
    await caughtUp(edge, agents);
  }
  const [on, off] = [median(rates.withAgents), median(rates.without)];
  print('inserts with two learners', `${whole(on)}/s, ${whole(off)}/s without`, on / off, '≥ 0.9');
}

/** Reads by key: the agent's own replica, and the Worker with its objects. */
async function pointReads(edge: Running, agent: Running): Promise<void> {
  const rates: { agent: number[]; worker: number[] } = { agent: [], worker: [] };
  const read = (consistency: string) => (index: number) =>
    JSON.stringify({
      sql: 'SELECT id, name, age FROM users WHERE tenant = ?',
      args: [`u${index % 1_000}`],
      consistency,
    });
  for (let round = 0; round <= ROUNDS; round++) {
    const worker = await load(edge, read('strong'));
    const own = await load(agent, read('eventual'));
    if (round === 0) continue;
    rates.worker.push(worker.requestsPerSecond);
    rates.agent.push(own.requestsPerSecond);
  }
  const [own, worker] = [median(rates.agent), median(rates.worker)];
  print('reads by key at an agent', `${whole(own)}/s, ${whole(worker)}/s at the Worker`, own / worker, '≥ 2');
}

/** From a write's answer until a read at the agent shows it, for some of the writes. */
async function lag(edge: Running, agent: Running): Promise<void> {
  const lags: number[] = [];
  let isWriting = true;
  const writers = runLoad({
    url: new URL(`${edge.url}/v1/query`),
    connections: CONNECTIONS,
    requests: WRITES_PER_SECOND * SECONDS,
    perSecond: WRITES_PER_SECOND,
    body: (index) => insertOf(-1 - index),
    token: TOKEN,
  }).finally(() => {
    isWriting = false;
  });
  const probe = async (): Promise<void> => {
    for (let number = 0; isWriting; number++) {
      const tenant = `probe ${number}`;
      await query(edge.url, 'INSERT INTO users (tenant) VALUES (?)', { args: [tenant] });
      const answered = performance.now();
      const sql = 'SELECT count(*) FROM users WHERE tenant = ?';
      for (;;) {
        const { rows } = await query(agent.url, sql, { args: [tenant], consistency: 'eventual' });
        if (rows[0]?.[0] === 1) break;
        // Not at once: the probe shares the cores with what it measures.
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      lags.push(performance.now() - answered);
    }
  };
  const [{ requestsPerSecond }] = await Promise.all([writers, probe()]);
  lags.sort((a, b) => a - b);
  const at = (share: number) => (lags[Math.floor(lags.length * share)] ?? 0).toFixed(1);
  print(
    `lag at ${whole(requestsPerSecond)} writes/s`,
    `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms of ${lags.length}`,
    null,
    'p99 < 50 ms',
  );
}

async function importFollowed(edge: Running, agent: Running): Promise<void> {
  await query(
    edge.url,
    'CREATE TABLE visits (tenant TEXT NOT NULL, page INTEGER, ms REAL) PARTITION BY (tenant)',
  );
  const lines: string[] = [];
  for (let row = 0; row < ROWS; row++) {
    lines.push(`{"tenant":"t${(row * 7919) % 5000}","page":${row},"ms":${(row % 1000) / 8 + 0.0625}}`);
  }
  const body = `${lines.join('\n')}\n`;
  const started = performance.now();
  await importLines(edge, 'visits', body);
  const imported = performance.now();
  for (;;) {
    const { rows } = await query(agent.url, 'SELECT count(*) FROM visits', { consistency: 'eventual' }).catch(
      () => ({ rows: [[0]] }),
    );
    if (rows[0]?.[0] === ROWS) break;
  }
  const there = performance.now();
  const rate = ROWS / ((there - started) / 1000);
  const behind = `${whole(rate)} rows/s until the last is at the agent, ${whole(there - imported)} ms after the import's end`;
  print(`import of ${whole(ROWS)} rows, followed`, behind, null, '≥ 50,000/s');
}

async function importLines({ url }: Running, table: string, body: string): Promise<void> {
  const reply = await fetch(`${url}/v1/import/${table}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/x-ndjson' },
    body,
  });
  const text = await reply.text();
  if (!reply.ok) throw new Error(text);
}

/** From its log: what the snapshots of a new agent were, and took. */
function snapshotRate({ process }: Running, rows: string, target: string): void {
  const begun = new Map<number, number>();
  let [bytes, first, last] = [0, Number.POSITIVE_INFINITY, 0];
  for (const line of process.output.split('\n')) {
    if (!line.startsWith('{')) continue;
    const entry = JSON.parse(line) as { time: string; event: string; partition: number; bytes?: number };
    const time = Date.parse(entry.time);
    if (entry.event === 'snapshot-begun') begun.set(entry.partition, time);
    if (entry.event !== 'snapshot-finished') continue;
    bytes += entry.bytes ?? 0;
    first = Math.min(first, begun.get(entry.partition) ?? time);
    last = Math.max(last, time);
  }
  const rate = bytes / 1e6 / ((last - first) / 1000);
  const figures = `${(bytes / 1e6).toFixed(0)} MB at ${rate.toFixed(0)} MB/s, ${rows}`;
  print('snapshots of a new agent', figures, null, target);
}

/** An agent that holds many partitions and has nothing to do. */
async function idle(): Promise<void> {
  const edge = await started(startEdge(join(directory, 'idle'), IDLE_PARTITIONS));
  const agent = await started(startAgent(edge.url, join(directory, 'idle-agent')));
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const megabytes = residentBytes(agent.process.pid) / 1e6;
  print(
    `an agent with ${IDLE_PARTITIONS} idle partitions`,
    `${megabytes.toFixed(0)} MB resident`,
    null,
    '< 300 MB',
  );
}

function insertOf(index: number): string {
  return JSON.stringify({
    sql: 'INSERT INTO users (tenant, name, age) VALUES (?, ?, ?)',
    args: [`u${index}`, `name ${index}`, index % 90],
  });
}

function load({ url }: Running, body: (index: number) => string) {
  const requests = { connections: CONNECTIONS, requests: REQUESTS, body, token: TOKEN };
  return runLoad({ url: new URL(`${url}/v1/query`), ...requests });
}

/** Resolves when the agents show as many rows as the edge. */
async function caughtUp(edge: Running, agents: readonly Running[]): Promise<void> {
  const sql = 'SELECT count(*) FROM users';
  const { rows } = await query(edge.url, sql);
  for (const agent of agents) {
    for (;;) {
      const own = await query(agent.url, sql, { consistency: 'eventual' });
      if (own.rows[0]?.[0] === rows[0]?.[0]) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function started(starting: Promise<Running>): Promise<Running> {
  const one = await starting;
  running.push(one);
  return one;
}

function print(what: string, figures: string, ratio: number | null, target: string): void {
  const shown = ratio === null ? '' : `  ${ratio.toFixed(2)}`;
  console.log(`${what.padEnd(40)} ${figures}${shown}  (target ${target})`);
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en');
}
