import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../harness/random.ts';
import { until } from '../node-agent/process.ts';
import { ask, get, type Json, metrics, rows } from './api.ts';
import { Cable } from './cable.ts';
import { agentDumps, differences, edgeDumps } from './dump.ts';
import { type FaultCounts, Faults, pause, type Station } from './faults.ts';
import { Ledger, type LedgerReport } from './ledger.ts';
import { AgentProcess, EdgeProcess, freePort } from './processes.ts';
import { Session, Tally, type World } from './session.ts';

export interface ChaosOptions {
  /** How long faults happen. */
  readonly seconds: number;
  readonly seed: number;
  /** An empty directory. */
  readonly directory: string;
  readonly log: (line: string) => void;
}

export interface ChaosReport extends LedgerReport {
  readonly writes: Ledger['counts'];
  /** Longest time in which nobody's write was acknowledged, ms. */
  readonly longestSilenceMs: number;
  readonly requests: ReadonlyMap<string, number>;
  readonly faults: FaultCounts;
  /** What a session was shown that it must not have been. */
  readonly violations: readonly string[];
  /** Answers and ends of processes that no fault explains. */
  readonly defects: readonly string[];
  /** Where an agent's replicas are not as the leaders' are. */
  readonly differences: readonly string[];
  /** Replicas that were compared, rows that were there in the end, and how long it took until no agent lagged, ms. */
  readonly compared: number;
  readonly rows: number;
  readonly quietMs: number;
  /** Messages of the agents' routers since each was last started, by who has answered. */
  readonly answeredBy: Readonly<Record<string, number>>;
}

const PARTITIONS = 3;
const AGENTS = 3;
const SESSIONS = 8;
/** How long agents may take to have all that the leaders have, once nothing fails any more, ms. */
const QUIET_MS_MAX = 90_000;
const TABLES = [
  'CREATE TABLE item (id INTEGER PRIMARY KEY, tenant TEXT, number INTEGER, body TEXT, weight REAL) PARTITION BY (tenant)',
  'CREATE TABLE register (tenant TEXT PRIMARY KEY, value INTEGER) PARTITION BY (tenant)',
  'CREATE TABLE setting (name TEXT PRIMARY KEY, value INTEGER) REFERENCE',
];

/**
 * workerd and three agents, each behind a cable, as processes; clients that write and read through all of them; and all that
 * can happen to processes and links. Afterwards what is there is compared with what clients were told, and every replica
 * with its leader.
 */
export async function chaos(options: ChaosOptions): Promise<ChaosReport> {
  const cluster = await Cluster.start(options);
  try {
    return await cluster.run();
  } finally {
    await cluster.stop();
  }
}

class Cluster {
  readonly #options: ChaosOptions;
  readonly #edge: EdgeProcess;
  readonly #stations: readonly Station[];
  readonly #urls: readonly string[];

  private constructor(
    options: ChaosOptions,
    edge: EdgeProcess,
    stations: readonly Station[],
    urls: readonly string[],
  ) {
    this.#options = options;
    this.#edge = edge;
    this.#stations = stations;
    this.#urls = urls;
  }

  static async start(options: ChaosOptions): Promise<Cluster> {
    const { directory } = options;
    mkdirSync(directory, { recursive: true });
    const edge = await EdgeProcess.start(join(directory, 'edge'), PARTITIONS, AGENTS);
    const stations: Station[] = [];
    const urls: string[] = [];
    for (let number = 1; number <= AGENTS; number++) {
      const cable = await Cable.start(edge.port);
      const [port, name] = [await freePort(), `a${number}`];
      urls.push(`http://127.0.0.1:${port}`);
      const agent = new AgentProcess({ name, join: [cable.url], data: join(directory, name), port });
      stations.push({ agent, cable });
    }
    const cluster = new Cluster(options, edge, stations, urls);
    try {
      for (const table of TABLES) await rows(edge.url, table);
      for (const { agent } of stations) await agent.start();
      await Promise.all(stations.map(({ agent }) => agent.ready()));
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  async run(): Promise<ChaosReport> {
    const { seconds, seed, log } = this.#options;
    const random = new Random(seed);
    const endsAt = Date.now() + seconds * 1000;
    const ledger = new Ledger();
    const tally = new Tally();
    const sessions: Session[] = [];
    let over = false;
    // Clients go by what answers; a process that has just been started does not yet.
    const entries = (): string[] => [
      this.#edge.url,
      ...this.#urls.filter((_, index) => this.#stations[index]?.agent.isRunning),
    ];
    const world: World = { ledger, entries, isOver: () => over, tally, sessions };
    for (let number = 1; number <= SESSIONS; number++)
      sessions.push(new Session(`t${number}`, new Random(seed * 1000 + number), world));
    const stations = this.#stations;
    const faults = new Faults({ random, edge: this.#edge, stations, ledger, tally, until: endsAt, log });
    const progress = setInterval(() => {
      const { acknowledged, unknown, failed } = ledger.counts;
      log(`          writes: ${acknowledged} acknowledged, ${unknown} unknown, ${failed} failed`);
    }, PROGRESS_MS);
    const clients = sessions.map((session) => session.run());
    try {
      await faults.run();
    } finally {
      over = true;
      clearInterval(progress);
      await Promise.all(clients);
    }
    log(`quiet: waiting until no agent lags`);
    const quietAt = Date.now();
    await this.#settle();
    const quietMs = Date.now() - quietAt;
    const answeredBy = await this.#answeredBy();
    const found = await this.#rows('SELECT tenant, number FROM item');
    const registers = [
      ...(await this.#rows('SELECT tenant, value FROM register')),
      ...(await this.#rows("SELECT 'setting', coalesce(max(value), 0) FROM setting")),
    ];
    const compared = await this.#compare();
    return {
      ...ledger.judge(found as [string, number][], registers as [string, number][]),
      writes: ledger.counts,
      longestSilenceMs: ledger.longestSilenceMs,
      requests: tally.counts,
      faults: faults.counts,
      violations: tally.violations,
      defects: [...tally.defects, ...this.#crashes(), ...this.#defectsInLogs()],
      ...compared,
      rows: found.length,
      quietMs,
      answeredBy,
    };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#stations.map(({ agent }) => agent.end('SIGKILL')));
    await this.#edge.stop();
    await Promise.all(this.#stations.map(({ cable }) => cable.close()));
  }

  /** Removes the host that an emptied disk has left behind, and waits until every agent has all that the leaders have; no longer if one is not there. */
  async #settle(): Promise<void> {
    const { url } = this.#edge;
    await until(
      'no agent lags',
      async () => {
        if (this.#crashes().length > 0) return true;
        const { hosts } = await get(url, '/v1/hosts');
        const agents = hosts.filter(({ kind }: Json) => kind === 'agent');
        const names = Map.groupBy<string, Json>(agents, ({ name }) => name);
        for (const same of names.values()) {
          const gone = same.sort((a, b) => String(b.seenAt).localeCompare(String(a.seenAt))).slice(1);
          for (const { host, status } of gone)
            if (status !== 'removed') await ask(url, `/v1/hosts/${host}/remove`, {});
        }
        const leaders = new Map<number, number>(
          (await get(url, '/v1/network')).partitions.map(({ partition, commit }: Json) => [
            partition,
            commit,
          ]),
        );
        const behind = agents
          .filter(({ status }: Json) => status !== 'removed')
          .flatMap(({ name, status, replicas }: Json) => {
            const matched = new Map(
              replicas
                .filter(({ state }: Json) => state === 'in-sync')
                .map(({ partition, matched }: Json) => [partition, matched]),
            );
            const late = [...leaders].filter(([p, commit]) => p !== 0 && matched.get(p) !== commit);
            return status === 'read' && matched.size === PARTITIONS + 1 && late.length === 0
              ? []
              : [
                  `${name} ${status} ${JSON.stringify(replicas.map(({ partition, state, matched }: Json) => [partition, state, matched]))}`,
                ];
          });
        if (behind.length > 0) {
          await pause(POLL_MS);
          throw new Error(`${behind.join('; ')}; leaders ${JSON.stringify([...leaders])}`);
        }
        return true;
      },
      QUIET_MS_MAX,
    );
  }

  async #answeredBy(): Promise<Record<string, number>> {
    const sums: Record<string, number> = {};
    for (const url of this.#urls) {
      for (const [, by = '', count] of (await metrics(url)).matchAll(
        /^atoll_agent_messages_total\{by="(\w+)"\} (\d+)$/gm,
      ))
        sums[by] = (sums[by] ?? 0) + Number(count);
    }
    return sums;
  }

  async #rows(sql: string): Promise<unknown[][]> {
    return rows(this.#edge.url, sql);
  }

  async #compare(): Promise<{ differences: string[]; compared: number }> {
    await this.stop();
    const leaders = new Map(edgeDumps(this.#edge.data).map((dump) => [dump.partition, dump]));
    const found: string[] = [];
    let compared = 0;
    for (const { agent } of this.#stations) {
      const dumps = agentDumps(agent.data);
      if (dumps.length !== PARTITIONS + 1) found.push(`${agent.name} has ${dumps.length} replicas`);
      for (const dump of dumps) {
        const leader = leaders.get(dump.partition);
        compared++;
        if (leader === undefined) found.push(`${agent.name}: partition ${dump.partition} has no leader`);
        else found.push(...differences(dump, leader).map((difference) => `${agent.name}: ${difference}`));
      }
    }
    return { differences: found, compared };
  }

  /** An agent ends when it is told to, and else never. */
  #crashes(): string[] {
    return this.#stations.flatMap(({ agent }) =>
      agent.crashes.map((crash) => `${agent.name} ended by itself with ${crash}`),
    );
  }

  /** An agent reports nothing worse than that others are away. */
  #defectsInLogs(): string[] {
    return this.#stations.flatMap(({ agent }) =>
      agent.log
        .split('\n')
        .filter((line) => line !== '' && !EXPECTED.test(line))
        .map((line) => `${agent.name} logs ${line.slice(0, 600)}`),
    );
  }
}

/** The host of an emptied disk is looked for where its successor answers. */
const EXPECTED = /"level":"(info|warn|debug)"|"event":"(slow-statement|peer-is-another)"/;
const PROGRESS_MS = 10_000;
const POLL_MS = 250;
