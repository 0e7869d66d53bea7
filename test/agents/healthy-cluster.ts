import { join } from 'node:path';
import { expect } from 'vitest';
import { temporaryDirectory } from '../cli/process.ts';
import { until } from '../node-agent/process.ts';
import { ask, get, type Json, rows } from './api.ts';
import { type AgentOptions, AgentProcess, EdgeProcess, hostKeyOf } from './processes.ts';

export const ALL = 'SELECT id, tenant, body FROM post ORDER BY id';
const PARTITIONS = 2;
const ROWS = 120;

/** workerd and one agent with some rows: what nothing that others do may harm. */
export class HealthyCluster {
  readonly edge: EdgeProcess;
  readonly agent: AgentProcess;
  /** Base URLs of both. */
  readonly urls: readonly string[];
  /** All rows, as they must be. */
  expected: unknown[][] = [];
  readonly #directory: ReturnType<typeof temporaryDirectory>;
  readonly #others: AgentProcess[] = [];
  #inserted = 0;

  private constructor(
    edge: EdgeProcess,
    agent: AgentProcess,
    urls: readonly string[],
    directory: ReturnType<typeof temporaryDirectory>,
  ) {
    this.edge = edge;
    this.agent = agent;
    this.urls = urls;
    this.#directory = directory;
  }

  static async start(): Promise<HealthyCluster> {
    const directory = temporaryDirectory();
    const edge = await EdgeProcess.start(join(directory.path, 'edge'), PARTITIONS, 16);
    await rows(
      edge.url,
      'CREATE TABLE post (id INTEGER PRIMARY KEY, tenant TEXT, body TEXT) PARTITION BY (tenant)',
    );
    const agent = new AgentProcess({
      name: 'healthy',
      join: [edge.url],
      data: join(directory.path, 'healthy'),
    });
    const cluster = new HealthyCluster(edge, agent, [edge.url, await agent.start()], directory);
    for (let number = 0; number < ROWS; number++) await cluster.insert();
    cluster.expected = await rows(edge.url, ALL);
    await agent.ready();
    const host = await cluster.idOf(agent);
    await until('it is read from', async () => ((await cluster.statusOf(host)) === 'read' ? true : null));
    return cluster;
  }

  async stop(): Promise<void> {
    await this.agent.end('SIGKILL');
    await this.edge.stop();
    this.#directory.remove();
  }

  /** One more row, at the edge; `expected` does not have it. */
  async insert(): Promise<void> {
    const number = this.#inserted++;
    const args = [`tenant ${number % 7}`, `body ${number} ${'é'.repeat(200 + (number % 50))}`];
    await rows(this.edge.url, 'INSERT INTO post (tenant, body) VALUES (?, ?)', args);
  }

  /** Another agent of the cluster, unless `more` says otherwise; not started yet. */
  other(name: string, more: Partial<AgentOptions> = {}): AgentProcess {
    const made = new AgentProcess({ name, join: [this.edge.url], data: this.path(name), ...more });
    this.#others.push(made);
    return made;
  }

  path(name: string): string {
    return join(this.#directory.path, name);
  }

  async idOf({ data }: AgentProcess): Promise<string> {
    return (await hostKeyOf(data)).host;
  }

  /** Undefined: the cluster does not know it. */
  async statusOf(host: string): Promise<string | undefined> {
    const { hosts } = await get(this.edge.url, '/v1/hosts');
    return hosts.find((each: Json) => each.host === host)?.status;
  }

  /** Whatever was tried: both run, are members, and answer with the rows that there are. Ends all others. */
  async check(): Promise<void> {
    for (const other of this.#others.splice(0)) {
      await other.end('SIGKILL');
      const host = await this.idOf(other).catch(() => null);
      // Its vote on the next one would be waited for.
      if (host !== null && (await this.statusOf(host)) !== undefined)
        await ask(this.edge.url, `/v1/hosts/${host}/remove`, {});
    }
    for (const url of this.urls) {
      expect(await get(url, '/healthz')).toEqual({ ok: true });
      for (const consistency of ['strong', 'eventual'])
        expect(await rows(url, ALL, [], { consistency })).toEqual(this.expected);
    }
    expect(this.agent.isRunning).toBe(true);
    expect(await this.statusOf('edge')).toBe('write');
    expect(await this.statusOf(await this.idOf(this.agent))).toBe('read');
    expect(this.edge.log).not.toMatch(/crashed/);
  }
}
