import type { Outcome, Transaction } from './checkers/history.ts';
import type { Answer, SimulatedCluster } from './cluster.ts';
import type { Coverage } from './coverage.ts';
import type { Actor, EventLoop } from './event-loop.ts';

export interface Statement {
  readonly sql: string;
  readonly args?: readonly unknown[];
}

/** What a workload's client asks for, and how its answer is read. */
export interface Operation<Step> {
  readonly path: '/v1/query' | '/v1/batch';
  readonly body: Record<string, unknown>;
  /** Nothing for an interactive transaction. */
  readonly alone?: boolean;
  /** `results`: rows of each statement; null when there is no answer or an error. */
  readonly steps: (results: readonly unknown[][][] | null) => readonly Step[];
}

/** A client: one operation after another, each noted in the history. */
export class Client<Step> implements Actor {
  readonly name: string;
  clockOffsetMs = 0;
  alive = true;
  readonly #loop: EventLoop;
  readonly #cluster: SimulatedCluster;
  readonly #coverage: Coverage;
  readonly #process: number;
  readonly history: Transaction<Step>[] = [];
  /** Of the errors that it was answered, and `ok`. */
  readonly codes = new Set<string>();

  constructor(loop: EventLoop, cluster: SimulatedCluster, coverage: Coverage, process: number) {
    this.#loop = loop;
    this.#cluster = cluster;
    this.#coverage = coverage;
    this.#process = process;
    this.name = `client ${process}`;
  }

  /** Notes what came of it. What was not proved to be undone may have been done. */
  async perform(operation: Operation<Step>): Promise<Answer | null> {
    return this.#note(operation, (path, body) => this.#ask(path, body));
  }

  /** The same, in an interactive transaction: a statement at a time, each by any router. */
  async performInteractively(operation: Operation<Step>): Promise<Answer | null> {
    return this.#note(operation, async (_, body) => {
      this.#coverage.interactive++;
      const begun = await this.#ask('/v1/transactions', {});
      if (begun?.status !== 200) return givenUp(begun);
      const results: unknown[] = [];
      for (const { sql, args } of statementsOf(body)) {
        const seq = results.length + 1;
        const path = `/v1/transactions/${begun.json.id}/query`;
        const answer =
          (await this.#ask(path, { sql, args, seq })) ?? (await this.#ask(path, { sql, args, seq }));
        if (answer?.status !== 200) return givenUp(answer);
        results.push(answer.json);
        await this.pause(this.#loop.random.next() * this.#loop.random.pick([1, 20]));
      }
      const committed = await this.#commit(begun.json.id, 1);
      if (committed?.status !== 200) return committed;
      this.#coverage.interactiveCommitted++;
      return { status: 200, json: { results } };
    });
  }

  /** Whoever does not know asks again. */
  async #commit(id: string, attempt: number): Promise<Answer | null> {
    const answer = await this.#ask(`/v1/transactions/${id}/commit`, {});
    if (outcomeOf(answer) !== 'info' || attempt === 3) return answer;
    await this.pause(this.#loop.random.next() * 300);
    return this.#commit(id, attempt + 1);
  }

  #ask(path: string, body: unknown): Promise<Answer | null> {
    const router = this.#loop.random.below(this.#cluster.routers.length);
    return this.#cluster.ask(this, router, path, { timeoutMs: 2_500, ...(body as object) });
  }

  async #note(
    { path, body, steps }: Operation<Step>,
    ask: (path: string, body: Record<string, unknown>) => Promise<Answer | null>,
  ): Promise<Answer | null> {
    const called = this.#loop.now;
    const answer = await ask(path, body);
    const outcome = outcomeOf(answer);
    this.#coverage.transactions++;
    if (outcome === 'ok') this.#coverage.committed++;
    else if (outcome === 'fail') this.#coverage.failed++;
    else this.#coverage.unknown++;
    const code: string = answer === null ? 'no answer' : (answer.json.error?.code ?? 'ok');
    if (code === 'conflict') this.#coverage.conflicts++;
    this.codes.add(code);
    this.history.push({
      process: this.#process,
      session: this.#process,
      called,
      returned: outcome === 'info' ? Number.POSITIVE_INFINITY : this.#loop.now,
      outcome,
      steps: steps(outcome === 'ok' ? rowsOf(answer) : null),
    });
    return answer;
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#loop.schedule(ms, this, resolve));
  }
}

/** No commit was asked for: whatever came of a statement, nothing of the transaction is applied. */
function givenUp(answer: Answer | null): Answer {
  const code = answer?.json.error?.code ?? 'unavailable';
  return { status: answer?.status ?? 503, json: { error: { code, outcome: 'none' } } };
}

function statementsOf(body: Record<string, unknown>): readonly Statement[] {
  const { statements, sql, args } = body as { statements?: Statement[]; sql: string; args: unknown[] };
  return statements ?? [{ sql, args }];
}

function outcomeOf(answer: Answer | null): Outcome {
  if (answer === null) return 'info';
  if (answer.status === 200) return 'ok';
  return answer.json.error?.outcome === 'none' ? 'fail' : 'info';
}

function rowsOf(answer: Answer | null): unknown[][][] {
  const json = answer?.json ?? {};
  const results: { rows: unknown[][] }[] = json.results ?? [json];
  return results.map(({ rows }) => rows);
}
