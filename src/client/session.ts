import { SESSIONS_MAX } from '../protocol/session.ts';
import type { Client, QueryOptions, Statement } from './client.ts';
import type { BatchResult, QueryResult } from './result.ts';
import type { SqlArguments } from './values.ts';

export interface SessionOptions {
  /** Where reads go, unless a call says otherwise. Default `session`: any replica that has what this session has seen. */
  readonly consistency?: NonNullable<QueryOptions['consistency']>;
  /** With `bounded`: how old an answer may be. */
  readonly maxStalenessMs?: number;
  /** {@link Session.token} of an earlier session, to go on from there: in another process, or for the same user's next request. */
  readonly token?: string;
}

/**
 * Statements that see what those before them saw, whichever replica answers: own writes, and never an older state. It
 * carries the token along; several may be under way at a time.
 */
export class Session {
  readonly #client: Pick<Client, 'query' | 'batch'>;
  readonly #reads: QueryOptions;
  /** Opaque, and of answers that do not know of each other; in the order in which they came. */
  readonly #tokens = new Set<string>();

  constructor(client: Pick<Client, 'query' | 'batch'>, options: SessionOptions = {}) {
    const { consistency = 'session', maxStalenessMs, token } = options;
    this.#client = client;
    this.#reads = { consistency, ...(maxStalenessMs === undefined ? {} : { maxStalenessMs }) };
    for (const each of token?.split(',') ?? []) this.#tokens.add(each);
  }

  /** What the session has seen; undefined before the first answer. */
  get token(): string | undefined {
    return this.#tokens.size === 0 ? undefined : [...this.#tokens].join();
  }

  /** As {@link Client.query}. */
  async query(sql: string, args?: SqlArguments, options: QueryOptions = {}): Promise<QueryResult> {
    const sent = await this.#sending();
    const result = await this.#client.query(sql, args, this.#with(sent, options));
    this.#see(sent, result.session);
    return result;
  }

  /** As {@link Client.batch}. */
  async batch(statements: readonly (Statement | string)[], options: QueryOptions = {}): Promise<BatchResult> {
    const sent = await this.#sending();
    const result = await this.#client.batch(statements, this.#with(sent, options));
    this.#see(sent, result.session);
    return result;
  }

  /** What goes with the next request; the server makes one token of many. */
  async #sending(): Promise<readonly string[]> {
    while (this.#tokens.size > SESSIONS_MAX) {
      const some = [...this.#tokens].slice(0, SESSIONS_MAX);
      const { session } = await this.#client.query('SELECT 1', [], { session: some.join() });
      this.#see(some, session);
    }
    return [...this.#tokens];
  }

  #with(sent: readonly string[], options: QueryOptions): QueryOptions {
    const token = sent.length === 0 ? {} : { session: sent.join() };
    // A call's own consistency comes without the session's bound.
    return { ...token, ...(options.consistency === undefined ? this.#reads : {}), ...options };
  }

  /** An answer has seen what was sent with its request. */
  #see(sent: readonly string[], token: string | undefined): void {
    if (token === undefined) return;
    for (const each of sent) this.#tokens.delete(each);
    this.#tokens.add(token);
  }
}
