import { decodeSession, encodeSession, mergeSessions } from '../protocol/session.ts';
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
  #token: string | undefined;

  constructor(client: Pick<Client, 'query' | 'batch'>, options: SessionOptions = {}) {
    const { consistency = 'session', maxStalenessMs, token } = options;
    this.#client = client;
    this.#reads = { consistency, ...(maxStalenessMs === undefined ? {} : { maxStalenessMs }) };
    this.#token = token;
  }

  /** What the session has seen; undefined before the first answer. */
  get token(): string | undefined {
    return this.#token;
  }

  /** As {@link Client.query}. */
  async query(sql: string, args?: SqlArguments, options: QueryOptions = {}): Promise<QueryResult> {
    const result = await this.#client.query(sql, args, this.#with(options));
    this.#see(result.session);
    return result;
  }

  /** As {@link Client.batch}. */
  async batch(statements: readonly (Statement | string)[], options: QueryOptions = {}): Promise<BatchResult> {
    const result = await this.#client.batch(statements, this.#with(options));
    this.#see(result.session);
    return result;
  }

  #with(options: QueryOptions): QueryOptions {
    const token = this.#token === undefined ? {} : { session: this.#token };
    // A call's own consistency comes without the session's bound.
    return { ...token, ...(options.consistency === undefined ? this.#reads : {}), ...options };
  }

  /** Answers of requests that were under way at the same time do not know of each other. */
  #see(token: string | undefined): void {
    if (token === undefined || token === this.#token) return;
    this.#token = this.#token === undefined ? token : merged(this.#token, token);
  }
}

function merged(former: string, newer: string): string {
  const [a, b] = [decodeSession(former), decodeSession(newer)];
  return a.history === b.history ? encodeSession(mergeSessions(a, b)) : newer;
}
