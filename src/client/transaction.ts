import { AtollError } from './error.ts';
import { type QueryResult, queryResult } from './result.ts';
import { encodeArguments, type SqlArguments } from './values.ts';

export interface TransactionOptions {
  /** Tries in all of the whole transaction, as long as it conflicts with others. Default 10. */
  readonly attemptsMax?: number;
  /** Of each request: how long the server may wait for partitions. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** What transactions need of the client. */
export interface TransactionTransport {
  /** One request, sent once; resolves with the reply's JSON. */
  post(path: string, body: string, options: TransactionOptions): Promise<unknown>;
  wait(ms: number): Promise<void>;
}

const ATTEMPTS_DEFAULT = 10;
/** Before the second, third, … try of a transaction, or of a request within it (chosen; doubled each time, with chance). */
const BACKOFF_FIRST_MS = 10;
const BACKOFF_MAX_MS = 1_000;
/** How often one request is sent in all, when its answer is lost or it must wait (chosen). */
const REQUEST_ATTEMPTS = 5;

/** Runs `body` in a transaction and commits it; again from the beginning when it conflicts. */
export async function runTransaction<T>(
  transport: TransactionTransport,
  body: (transaction: Transaction) => Promise<T>,
  options: TransactionOptions,
): Promise<T> {
  const { attemptsMax = ATTEMPTS_DEFAULT } = options;
  for (let attempt = 1; ; attempt++) {
    const transaction = await Transaction.begin(transport, options);
    try {
      const result = await body(transaction);
      await transaction.commit();
      return result;
    } catch (error) {
      await transaction.abandon();
      const conflict = transaction.conflict ?? error;
      if (!isConflict(conflict)) throw error;
      if (attempt >= attemptsMax || options.signal?.aborted === true) throw conflict;
      await transport.wait(backOff(attempt));
    }
  }
}

/** The transaction has ended, nothing of it is applied, and run again it may go through. */
function isConflict(error: unknown): boolean {
  if (!(error instanceof AtollError)) return false;
  return error.retryable && error.outcome === 'none' && error.detail.transaction === 'ended';
}

function backOff(attempt: number): number {
  return Math.min(BACKOFF_FIRST_MS * 2 ** (attempt - 1), BACKOFF_MAX_MS) * (0.5 + Math.random());
}

/**
 * An interactive transaction: statements that see those before them, while nobody else sees any until the commit. Nothing
 * is locked meanwhile. The commit checks that everything it was told is still so; if not, the whole is run again.
 */
export class Transaction {
  readonly id: string;
  readonly #transport: TransactionTransport;
  readonly #options: TransactionOptions;
  /** Of the last statement that was answered. */
  #seq = 0;
  /** Requests go one after another, whatever their callers wait for. */
  #last: Promise<unknown> = Promise.resolve();
  /** Why no further statement is sent. */
  #over: unknown = null;
  #ended = false;
  #savepoints = 0;

  private constructor(transport: TransactionTransport, options: TransactionOptions, id: string) {
    this.#transport = transport;
    this.#options = options;
    this.id = id;
  }

  static async begin(transport: TransactionTransport, options: TransactionOptions): Promise<Transaction> {
    // One that was begun and not heard of expires by itself.
    const reply = await persistently(transport, options, () =>
      transport.post('/v1/transactions', bodyOf([], options), options),
    );
    return new Transaction(transport, options, (reply as { id: string }).id);
  }

  /** The error that has ended it, after which it may be run again; whatever became of that error in the body. */
  get conflict(): AtollError | null {
    return isConflict(this.#over) ? (this.#over as AtollError) : null;
  }

  /**
   * Runs one statement. One that fails has no effect, and the transaction goes on.
   *
   * @example
   * const from = (await tx.query('SELECT balance FROM accounts WHERE id = ?', [1])).value<number>();
   */
  async query(sql: string, args: SqlArguments = []): Promise<QueryResult> {
    const fields = [`"sql":${JSON.stringify(sql)}`, `"args":${encodeArguments(args)}`];
    return queryResult(await this.#send('query', fields));
  }

  /**
   * A part that can be taken back by itself: if `body` throws, all that it did is undone, the error goes on, and the
   * transaction can too.
   */
  async savepoint<T>(body: () => Promise<T>): Promise<T> {
    const name = `client_${++this.#savepoints}`;
    await this.query(`SAVEPOINT ${name}`);
    try {
      const result = await body();
      await this.query(`RELEASE ${name}`);
      return result;
    } catch (error) {
      if (this.#over === null) {
        await this.query(`ROLLBACK TO ${name}`);
        await this.query(`RELEASE ${name}`);
      }
      throw error;
    }
  }

  /** @internal By {@link runTransaction}. */
  async commit(): Promise<void> {
    await this.#send('commit', []);
    this.#ended = true;
    this.#over = new TypeError('the transaction is committed');
  }

  /** @internal Nothing of it is to be applied. One that does not hear of it expires. */
  async abandon(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    this.#over ??= new TypeError('the transaction is rolled back');
    const path = `/v1/transactions/${this.id}/rollback`;
    // Whatever comes of it: the caller has an error already, and what is not rolled back expires.
    await this.#transport.post(path, bodyOf([], this.#options), this.#options).catch(() => undefined);
  }

  /** A request under the next number: sent again, it is answered as before and not executed twice. */
  #send(action: 'query' | 'commit', fields: readonly string[]): Promise<unknown> {
    const sent = this.#last.then(async () => {
      if (this.#over !== null) throw this.#over;
      const seq = this.#seq + 1;
      const body = bodyOf([...fields, `"seq":${seq}`], this.#options);
      const path = `/v1/transactions/${this.id}/${action}`;
      try {
        const reply = await persistently(this.#transport, this.#options, () =>
          this.#transport.post(path, body, this.#options),
        );
        this.#seq = seq;
        return reply;
      } catch (error) {
        // An answer like any other; else, where it is not known whether it was executed, the numbers are lost.
        if (error instanceof AtollError && Number(error.detail.seq) === seq) this.#seq = seq;
        else if (!(error instanceof AtollError) || error.detail.transaction !== 'open') this.#over = error;
        throw error;
      }
    });
    this.#last = sent.catch(() => undefined);
    return sent;
  }
}

/** A JSON object of members that are text already. */
function bodyOf(members: readonly string[], { timeoutMs }: TransactionOptions): string {
  return `{${[...members, ...(timeoutMs === undefined ? [] : [`"timeoutMs":${timeoutMs}`])].join()}}`;
}

/** Sends a request that may be sent twice, until it is answered. */
async function persistently<T>(
  transport: TransactionTransport,
  { signal }: TransactionOptions,
  send: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await send();
    } catch (error) {
      const lost = error instanceof AtollError && (error.outcome === 'unknown' || error.retryable);
      const over = error instanceof AtollError && error.detail.transaction === 'ended';
      if (!lost || over || attempt >= REQUEST_ATTEMPTS || signal?.aborted === true) throw error;
      await transport.wait(error.retryAfterMs ?? backOff(attempt));
    }
  }
}
