import type { SqlitePort } from '../../src/core/sqlite/port.ts';
import { newTrace } from '../../src/gateway/trace.ts';
import { type Answer, SimulatedCluster } from './cluster.ts';
import { noCoverage } from './coverage.ts';
import { type Actor, EventLoop } from './event-loop.ts';

/** Routers and partitions as they are, in simulated time, without any trouble: whole clusters for tests of what they answer. */
export class CalmCluster {
  readonly #loop: EventLoop;
  readonly #cluster: SimulatedCluster;
  readonly #client: Actor = { name: 'client', clockOffsetMs: 0, alive: true };
  readonly #uninstall: () => void;

  private constructor(loop: EventLoop, cluster: SimulatedCluster, uninstall: () => void) {
    this.#loop = loop;
    this.#cluster = cluster;
    this.#uninstall = uninstall;
  }

  static async start(seed: number, partitions: number): Promise<CalmCluster> {
    const loop = new EventLoop(seed);
    newTrace();
    const uninstall = loop.install();
    const cluster = new SimulatedCluster(loop, noCoverage(), partitions, 1);
    const calm = new CalmCluster(loop, cluster, uninstall);
    await calm.#until(cluster.found());
    return calm;
  }

  stop(): void {
    this.#uninstall();
  }

  query(sql: string, args: readonly unknown[] = []): Promise<Answer> {
    return this.post('/v1/query', { sql, args });
  }

  batch(...statements: readonly (readonly [sql: string, args?: readonly unknown[]])[]): Promise<Answer> {
    return this.post('/v1/batch', { statements: statements.map(([sql, args = []]) => ({ sql, args })) });
  }

  /** @throws unless it is answered by rows */
  async rows(sql: string, args: readonly unknown[] = []): Promise<unknown[][]> {
    const { status, json } = await this.query(sql, args);
    if (status !== 200) throw new Error(`${sql}: ${JSON.stringify(json)}`);
    return json.rows;
  }

  async post(path: string, body: unknown): Promise<Answer> {
    const answer = await this.#until(this.#cluster.ask(this.#client, 0, path, body));
    const [defect] = [...this.#cluster.defects, ...this.#loop.defects];
    if (defect !== undefined) throw defect;
    if (answer === null) throw new Error(`no answer to ${JSON.stringify(body)}`);
    return answer;
  }

  /** Until what was decided is applied everywhere. */
  async rest(): Promise<void> {
    await this.#loop.run(() => false, this.#loop.now + 5_000);
  }

  get ports(): readonly SqlitePort[] {
    return this.#cluster.hosts.map(({ port }) => port);
  }

  async #until<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const marked = promise.finally(() => {
      settled = true;
    });
    marked.catch(() => undefined);
    await this.#loop.run(() => settled, this.#loop.now + 60_000);
    if (!settled) throw new Error('nothing happens any more');
    return marked;
  }
}
