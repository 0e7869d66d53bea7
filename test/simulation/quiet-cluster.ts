import { newTrace } from '../../src/gateway/trace.ts';
import { type Answer, SimulatedCluster } from './cluster.ts';
import { noCoverage } from './coverage.ts';
import { type Actor, EventLoop } from './event-loop.ts';
import { checkIndexes } from './indexes.ts';

/** Simulated time that an answer may take, ms. */
const ANSWER_MS = 30_000;
/** Simulated time after which everything has come to rest, ms. */
const REST_MS = 5_000;

/** A cluster in this process in which nothing goes wrong: routers and partitions as they are, over simulated time. */
export class QuietCluster {
  readonly #loop: EventLoop;
  readonly #cluster: SimulatedCluster;
  readonly #client: Actor = { name: 'client', clockOffsetMs: 0, alive: true };

  private constructor(loop: EventLoop, cluster: SimulatedCluster) {
    this.#loop = loop;
    this.#cluster = cluster;
  }

  static async open(seed: number, partitions: number, schema: readonly string[] = []): Promise<QuietCluster> {
    const loop = new EventLoop(seed);
    newTrace();
    const restore = loop.install();
    let opened: QuietCluster;
    try {
      opened = new QuietCluster(loop, new SimulatedCluster(loop, noCoverage(), partitions, 1));
    } finally {
      restore();
    }
    await opened.#until(() => opened.#cluster.found());
    for (const sql of schema) await opened.query(sql);
    return opened;
  }

  /** A client's request, alone. */
  post(path: string, body: unknown): Promise<Answer> {
    return this.together([[path, body]]).then(([answer]) => answer as Answer);
  }

  /** An interactive transaction: `send` takes a statement. */
  async begin() {
    const { id } = (await this.post('/v1/transactions', {})).json;
    const path = `/v1/transactions/${id}`;
    return {
      send: (sql: string, args: readonly unknown[] = []) => this.post(`${path}/query`, { sql, args }),
      commit: () => this.post(`${path}/commit`, {}),
    };
  }

  /** Of another method than POST. */
  send(method: string, path: string, body?: unknown): Promise<Answer> {
    return this.#until(async () => {
      const answer = await this.#cluster.ask(this.#client, 0, path, body, method);
      if (answer === null) throw new Error(`no answer from ${path}`);
      return answer;
    });
  }

  /** Lets simulated time pass, at most {@link ANSWER_MS} at once. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= REST_MS)
      await this.#until(
        () =>
          new Promise((resolve) =>
            this.#loop.schedule(Math.min(left, REST_MS), this.#client, () => resolve(null)),
          ),
      );
  }

  /** Where messages are lost or late. */
  get network() {
    return this.#cluster.network;
  }

  /** The partitions' files. */
  get ports() {
    return this.#cluster.hosts.map(({ port }) => port);
  }

  /** Requests at the same time. */
  together(requests: readonly (readonly [path: string, body: unknown])[]): Promise<readonly Answer[]> {
    return this.#until(() =>
      Promise.all(
        requests.map(async ([path, body]) => {
          const answer = await this.#cluster.ask(this.#client, 0, path, body);
          if (answer === null) throw new Error(`no answer from ${path}`);
          return answer;
        }),
      ),
    );
  }

  /** One statement's answer, whatever it is. */
  ask(sql: string, args: readonly unknown[] = []): Promise<Answer> {
    return this.post('/v1/query', { sql, args });
  }

  batch(...statements: readonly (readonly [sql: string, args?: readonly unknown[]])[]): Promise<Answer> {
    return this.post('/v1/batch', { statements: statements.map(([sql, args = []]) => ({ sql, args })) });
  }

  /** Anything but 200 is thrown. */
  async query(sql: string, args?: readonly unknown[]): Promise<Answer['json']> {
    const { status, json } = await this.ask(sql, args);
    if (status !== 200) throw new Error(`${sql}: ${JSON.stringify(json)}`);
    return json;
  }

  async rows(sql: string, args?: readonly unknown[]): Promise<unknown[][]> {
    return (await this.query(sql, args)).rows;
  }

  /** Once what was decided is applied everywhere, every index over partitions has exactly the entries of the rows. */
  async checkIndexes(): Promise<void> {
    await this.pass(REST_MS);
    checkIndexes(this.ports);
  }

  /** Runs the simulation until it is done. Simulated time and chance are in place meanwhile alone. */
  async #until<T>(body: () => Promise<T>): Promise<T> {
    const restore = this.#loop.install();
    try {
      let settled = false;
      const promise = body().finally(() => {
        settled = true;
      });
      promise.catch(() => undefined);
      await this.#loop.run(() => settled, this.#loop.now + ANSWER_MS);
      if (!settled) throw new Error(`nothing happens any more, or not within ${ANSWER_MS} ms`);
      const answer = await promise;
      const [defect] = [...this.#cluster.defects, ...this.#loop.defects];
      if (defect !== undefined) throw defect;
      return answer;
    } finally {
      restore();
    }
  }
}
