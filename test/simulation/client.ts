import type { Random } from '../harness/random.ts';
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
  /** A read of the past, as of so long before it is sent, ms; see AGO_MS. */
  readonly agoMs?: number;
  /** A read that needs only see what its session has seen. */
  readonly session?: true;
  /** `results`: rows of each statement; null when there is no answer or an error. */
  readonly steps: (results: readonly unknown[][][] | null) => readonly Step[];
}

/** One statement of an interactive transaction; resolves with its rows. */
export type Ask = (sql: string, ...args: readonly unknown[]) => Promise<readonly unknown[][]>;

/** An interactive transaction whose statements depend on what the ones before have answered. */
export interface Program<Step> {
  /** Whether to commit; what it has seen; and what it does, whether or not its answers come. */
  readonly run: (ask: Ask) => Promise<{ readonly commit: boolean; readonly steps: readonly Step[] }>;
  /** What is noted where nobody knows what came of it. */
  readonly steps: readonly Step[];
}

/** Lines that are added to a table, each once, however often they are sent. */
export interface Import<Step> {
  /** With table and import id. */
  readonly path: string;
  readonly lines: string;
  readonly steps: readonly Step[];
}

export type Task<Step> = Operation<Step> | Program<Step> | Import<Step>;

/** How often a client asks in all under one idempotency key, or for one commit. */
const ATTEMPTS = 4;

/** A client: one operation after another, each noted in the history. */
export class Client<Step> implements Actor {
  readonly name: string;
  clockOffsetMs = 0;
  alive = true;
  /** What this client does; and where it sends it, and when. */
  readonly choices: Random;
  readonly #random: Random;
  readonly #loop: EventLoop;
  readonly #cluster: SimulatedCluster;
  readonly #coverage: Coverage;
  readonly #process: number;
  #keys = 0;
  /** Unix ms; before it there was nothing to read. */
  #bornMs = 0;
  /** What it has seen, as its last answer says. */
  #session: string | null = null;
  /** Sends no session, and makes no reads that need one: else what it has seen itself it would never see otherwise, whatever went wrong. */
  readonly #forgetful: boolean;
  /** What it has read of the past. */
  readonly #past: { readonly path: string; readonly body: object; readonly rows: string }[] = [];
  /** Writes under a key that were answered. */
  readonly #answered: { readonly path: string; readonly body: object; readonly rows: string }[] = [];
  readonly history: Transaction<Step>[] = [];
  /** Of the errors that it was answered, and `ok`. */
  readonly codes = new Set<string>();

  constructor(loop: EventLoop, cluster: SimulatedCluster, coverage: Coverage, process: number) {
    this.#loop = loop;
    this.#cluster = cluster;
    this.#coverage = coverage;
    this.#process = process;
    this.name = `client ${process}`;
    this.choices = loop.stream(`choices of ${this.name}`);
    this.#random = loop.stream(this.name);
    this.#forgetful = this.#random.chance(0.5);
  }

  /** From now on there is something to read. */
  begin(): void {
    this.#bornMs = Math.ceil(this.#loop.unixMs);
  }

  /** Notes what came of it. What was not proved to be undone may have been done. */
  async perform(operation: Operation<Step>): Promise<Answer | null> {
    const { path, body, agoMs, session, steps } = operation;
    if (session === true && !this.#forgetful) {
      this.#coverage.sessionReads++;
      // Long enough for a copy to have what the session has seen, or too short.
      await this.pause(this.#random.next() * this.#random.pick([20, 200]));
      return this.#note(steps, () => this.#ask(path, { ...this.#seen, ...body, consistency: 'session' }));
    }
    if (agoMs === undefined) return this.#note(steps, () => this.#ask(path, body));
    this.#coverage.pastReads++;
    const asOf = Math.max(this.#bornMs, Math.floor(this.#loop.unixMs) - agoMs);
    const past = { path, body: { ...body, asOf } };
    const answer = await this.#note(steps, () => this.#ask(path, past.body));
    if (answer?.status === 200) this.#past.push({ ...past, rows: sortedRows(answer) });
    return answer;
  }

  /** What was at a moment does not change, whoever is asked. @throws Error if it did */
  async readPastAgain(): Promise<void> {
    if (this.#past.length === 0) return;
    // The last one, often: what can still change is near.
    const last = this.#past.slice(-1);
    const { path, body, rows } = this.#random.pick(this.#random.chance(0.5) ? last : this.#past);
    const answer = await this.#ask(path, body);
    if (answer?.status !== 200) return;
    this.#coverage.pastReadsAgain++;
    const now = sortedRows(answer);
    if (now !== rows)
      throw new Error(`the past has changed: ${JSON.stringify(body)} was ${rows} and is ${now}`);
  }

  /** The same under an idempotency key: sent again, by any router, until it is known what came of it. */
  async performSurely(operation: Operation<Step>): Promise<Answer | null> {
    const key = `${Math.floor(this.#loop.unixMs)}-client${this.#process}_${String(++this.#keys).padStart(6, '0')}`;
    const { path, steps } = operation;
    const body = { ...operation.body, idempotencyKey: key };
    const answer = await this.#note(steps, () => this.#insist(() => this.#ask(path, body)));
    if (answer?.status === 200 && statementsOf(operation.body).some(({ sql }) => !sql.startsWith('SELECT')))
      this.#answered.push({ path, body, rows: JSON.stringify(rowsOf(answer)) });
    return answer;
  }

  /** Whoever was answered may ask once more, having forgotten it: nothing is done again. @throws Error if the answer is another one */
  async repeatAnswered(): Promise<void> {
    if (this.#answered.length === 0) return;
    const { path, body, rows } = this.#random.pick(this.#answered);
    const answer = await this.#ask(path, body);
    if (answer?.status !== 200) return;
    this.#coverage.answeredAgain++;
    const now = JSON.stringify(rowsOf(answer));
    if (now !== rows) throw new Error(`${JSON.stringify(body)} was answered ${rows} and is answered ${now}`);
  }

  /** Run again as it was until it is in, at the end from its beginning. */
  async performImport({ path, lines, steps }: Import<Step>): Promise<Answer | null> {
    this.#coverage.imports++;
    return this.#note(
      () => steps,
      () => this.#insist(() => this.#ask(path, lines)),
    );
  }

  /** Asks again while nobody knows what came of it; that one of several came to nothing says nothing of the others. */
  async #insist(ask: () => Promise<Answer | null>): Promise<Answer | null> {
    let answer = await ask();
    for (let attempt = 1; outcomeOf(answer) === 'info' && attempt < ATTEMPTS; attempt++) {
      await this.pause(this.#random.next() * this.#random.pick([5, 300, 1_200]));
      this.#coverage.retries++;
      answer = await ask();
      if (outcomeOf(answer) === 'ok') this.#coverage.settledByRetry++;
      if (outcomeOf(answer) === 'fail') return null;
    }
    return answer;
  }

  /** The same, in an interactive transaction: a statement at a time, each by any router. */
  async performInteractively({ body, steps }: Operation<Step>): Promise<Answer | null> {
    return this.#note(steps, async () => {
      const results: { rows: readonly unknown[][] }[] = [];
      const answer = await this.#interact(async (ask) => {
        for (const { sql, args = [] } of statementsOf(body)) results.push({ rows: await ask(sql, ...args) });
        return true;
      });
      return answer?.status === 200 ? { status: 200, json: { results } } : answer;
    });
  }

  async performProgram({ run, steps }: Program<Step>): Promise<Answer | null> {
    let known = steps;
    return this.#note(
      (results) => (results === null ? steps : known),
      () =>
        this.#interact(async (ask) => {
          const done = await run(ask);
          known = done.steps;
          return done.commit;
        }),
    );
  }

  async #interact(run: (ask: Ask) => Promise<boolean>): Promise<Answer | null> {
    this.#coverage.interactive++;
    const begun = await this.#ask('/v1/transactions', {});
    if (begun?.status !== 200) return givenUp(begun);
    const path = `/v1/transactions/${begun.json.id}`;
    let seq = 0;
    const ask: Ask = async (sql, ...args) => {
      const body = { sql, args, seq: ++seq };
      const answer = (await this.#ask(`${path}/query`, body)) ?? (await this.#ask(`${path}/query`, body));
      if (answer?.status !== 200) throw new GivenUp(answer);
      await this.pause(this.#random.next() * this.#random.pick([1, 20]));
      return answer.json.rows;
    };
    try {
      if (!(await run(ask))) {
        this.#coverage.rolledBack++;
        await this.#ask(`${path}/rollback`, {});
        return givenUp(null);
      }
    } catch (error) {
      if (error instanceof GivenUp) return givenUp(error.answer);
      throw error;
    }
    // Whoever does not know asks again: the answer is then that of the transaction, not of an attempt.
    let committed = await this.#ask(`${path}/commit`, {});
    for (let attempt = 1; outcomeOf(committed) === 'info' && attempt < ATTEMPTS; attempt++) {
      await this.pause(this.#random.next() * 300);
      committed = await this.#ask(`${path}/commit`, {});
    }
    if (committed?.status === 200) this.#coverage.interactiveCommitted++;
    return committed;
  }

  async #ask(path: string, body: object | string): Promise<Answer | null> {
    const router = this.#random.below(this.#cluster.routers.length);
    const session = TAKES_SESSION.test(path) && !this.#forgetful ? this.#seen : {};
    const sent = typeof body === 'string' ? body : { timeoutMs: 2_500, ...session, ...body };
    const answer = await this.#cluster.ask(this, router, path, sent);
    if (typeof answer?.json.session === 'string') this.#session = answer.json.session;
    return answer;
  }

  get #seen(): { session?: string } {
    return this.#session === null ? {} : { session: this.#session };
  }

  async #note(steps: Operation<Step>['steps'], ask: () => Promise<Answer | null>): Promise<Answer | null> {
    const called = this.#loop.now;
    const answer = await ask();
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

class GivenUp extends Error {
  readonly answer: Answer | null;

  constructor(answer: Answer | null) {
    super('a statement was not answered');
    this.answer = answer;
  }
}

const TAKES_SESSION = /\/(query|batch|commit)$/;

function sortedRows(answer: Answer): string {
  return rowsOf(answer)
    .map((rows) =>
      rows
        .map((row) => JSON.stringify(row))
        .sort()
        .join(),
    )
    .join(';');
}

/** No commit was asked for: whatever came of a statement, nothing of the transaction is applied. */
function givenUp(answer: Answer | null): Answer {
  const code = answer?.json.error?.code ?? 'rolled-back';
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
  return results.map(({ rows }) => rows ?? []);
}
