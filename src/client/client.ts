import { type Call, type Fetch, send, sendForText, type Transport } from './http.ts';
import { type ImportOptions, type ImportResult, type ImportSource, importInto } from './import.ts';
import { keyOf, newKey, takesNoKey } from './key.ts';
import { PAGE_BYTES_DEFAULT, type PageOptions, pagesFrom } from './pages.ts';
import { type RestoreOptions, type RestoreResult, type RestoreSource, restoreFrom } from './restore.ts';
import { type BatchResult, batchResult, type QueryResult, queryResult } from './result.ts';
import { Session, type SessionOptions } from './session.ts';
import { runTransaction, type Transaction, type TransactionOptions } from './transaction.ts';
import { encodeArguments, type IntegerMode, parseReply, type SqlArguments } from './values.ts';

export interface ClientOptions {
  /** `http://host[:port]`, or `…/{database}` for another database than `main`. */
  readonly url: string;
  readonly token?: string;
  /** Milliseconds until a request without reply fails with outcome `unknown`. Default 30,000. */
  readonly timeoutMs?: number;
  /** INTEGERs as `number` (beyond 2^53 as `bigint`), or always as `bigint`, which tells 5 from 5.0. */
  readonly integers?: IntegerMode;
  /**
   * Tries in all of a request that fails retryably without effect, or of a write whose reply was lost, which the server knows
   * by its idempotency key. Default 4; 1 for none again.
   */
  readonly attemptsMax?: number;
  /** Makes the keys of writes that are given none. Default: UUIDv7 of this moment. */
  readonly newIdempotencyKey?: () => string;
  /** Another `fetch`: a service binding's, or one that goes through a proxy. */
  readonly fetch?: Fetch;
}

/** Of a request: passed on to the server as they are, which refuses those that it does not know yet. */
export interface QueryOptions {
  /**
   * Of reads: `strong` (the default) is the newest state; the others may be answered by a replica that is near:
   * `session` by one that has what `session` has seen, `bounded` by one that is at most `maxStalenessMs` old.
   */
  readonly consistency?: 'strong' | 'session' | 'bounded' | 'eventual';
  readonly maxStalenessMs?: number;
  /** Token of an earlier answer: this one shows nothing older. {@link Client.session} carries it along. */
  readonly session?: string;
  /** Of reads: the moment whose state is read. A time such as `date.toISOString()`, Unix milliseconds, or an answer's `asOf`. */
  readonly asOf?: string | number;
  /**
   * Same key, same result: a write whose reply was lost may be sent again with it, for a day. Without it the client makes one
   * for each write, and sends it again by itself; your own one lasts beyond this process. `null`: none.
   */
  readonly idempotencyKey?: string | null;
  /** How long the server may wait for partitions; the client waits as long and a little more. */
  readonly timeoutMs?: number;
  readonly atomicity?: 'all' | 'partition';
  readonly signal?: AbortSignal;
}

export interface Statement {
  readonly sql: string;
  readonly args?: SqlArguments;
}

export interface Client {
  readonly url: string;

  /**
   * Runs one statement.
   *
   * @example
   * const { rows } = await db.query('SELECT name FROM cities WHERE country = ? LIMIT 3', ['IS']);
   * const city = (await db.query('SELECT * FROM cities WHERE name = :name', { name: 'Vík' })).first();
   */
  query(sql: string, args?: SqlArguments, options?: QueryOptions): Promise<QueryResult>;

  /**
   * A read's answer of any size, page by page, all of one moment: every row is there once, whatever is written meanwhile. What
   * cannot be read in pages is one page, if it is small enough.
   *
   * @example
   * for await (const page of db.pages('SELECT * FROM cities ORDER BY name')) {
   *   for (const { name } of page.objects<{ name: string }>()) console.log(name);
   * }
   */
  pages(
    sql: string,
    args?: SqlArguments,
    options?: PageOptions,
  ): AsyncGenerator<QueryResult, void, undefined>;

  /**
   * Runs statements in order, all or nothing.
   *
   * @example
   * await db.batch([
   *   { sql: 'UPDATE accounts SET balance = balance - ? WHERE id = ?', args: [10, 1] },
   *   { sql: 'INSERT INTO entries (account, amount) VALUES (?, ?)', args: [1, -10] },
   * ]);
   */
  batch(statements: readonly (Statement | string)[], options?: QueryOptions): Promise<BatchResult>;

  /**
   * Runs `body` in a transaction over any number of rows and partitions, and commits it: strictly serializable, and
   * optimistic. If others have changed what it has read, nothing is applied and `body` is run once more, so it must have no
   * effects of its own, such as mails; after some tries the conflict is thrown. An error of `body` rolls the transaction back.
   *
   * @example
   * const left = await db.transaction(async (tx) => {
   *   const balance = (await tx.query('SELECT balance FROM accounts WHERE id = ?', [1])).value<number>() ?? 0;
   *   if (balance < 10) throw new Error('not enough');
   *   await tx.query('UPDATE accounts SET balance = balance - 10 WHERE id = ?', [1]);
   *   await tx.query('UPDATE accounts SET balance = balance + 10 WHERE id = ?', [2]);
   *   return balance - 10;
   * });
   */
  transaction<T>(body: (transaction: Transaction) => Promise<T>, options?: TransactionOptions): Promise<T>;

  /**
   * Statements that see at least what those before them saw, while reads are answered by any replica.
   *
   * @example
   * const session = db.session();
   * await session.query('INSERT INTO cities (country, name) VALUES (?, ?)', ['IS', 'Vík']);
   * await session.query('SELECT name FROM cities WHERE country = ?', ['IS']); // Vík is there
   */
  session(options?: SessionOptions): Session;

  /**
   * Loads rows in bulk, streamed, several requests at a time. `source` gives rows (objects by column name),
   * or the text or bytes of NDJSON or CSV.
   *
   * @example
   * await db.import('cities', [{ country: 'IS', name: 'Vík' }]);
   * await db.import('cities', createReadStream('cities.ndjson'), { importId: 'cities-2026-11' });
   */
  import(table: string, source: ImportSource, options?: ImportOptions): Promise<ImportResult>;

  /**
   * The whole database as SQL that `sqlite3` loads, as it comes.
   *
   * @example
   * for await (const bytes of await db.export()) process.stdout.write(bytes);
   */
  export(options?: { readonly signal?: AbortSignal }): Promise<ReadableStream<Uint8Array>>;

  /**
   * Fills an empty database with a dump that {@link export} has written: all of it, or nothing.
   *
   * @example
   * await db.restore(createReadStream('backup.sql'));
   */
  restore(source: RestoreSource, options?: RestoreOptions): Promise<RestoreResult>;

  /** Hosts, partitions, what each owns, and versions. */
  network(): Promise<Record<string, unknown>>;

  /** Tables and migrations. */
  schema(): Promise<Record<string, unknown>>;

  /** Any other call of the API: sends `body` as JSON and gives the reply's JSON. */
  call(method: Call['method'], path: string, body?: unknown): Promise<unknown>;
}

const TIMEOUT_DEFAULT_MS = 30_000;
const ATTEMPTS_DEFAULT = 4;
/** Added to a request's own `timeoutMs`, so that the server's answer to an expiry arrives before the client gives up. */
const TIMEOUT_GRACE_MS = 1_000;

/**
 * A client for one database. It holds no connection and needs no closing.
 *
 * @example
 * const db = createClient({ url: 'http://127.0.0.1:8787', token: process.env.ATOLL_TOKEN });
 * const result = await db.query('SELECT count(*) FROM cities');
 * result.value(); // 171075
 */
export function createClient(options: ClientOptions): Client {
  const timeoutMs = options.timeoutMs ?? TIMEOUT_DEFAULT_MS;
  const integers = options.integers ?? 'number';
  const transport: Transport = {
    url: baseUrl(options.url),
    token: options.token,
    fetch: options.fetch ?? ((url, init) => fetch(url, init)),
    attemptsMax: options.attemptsMax ?? ATTEMPTS_DEFAULT,
    wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  };

  const json = async (
    call: Omit<Call, 'timeoutMs'>,
    ownTimeoutMs?: number,
    mode: IntegerMode = 'number',
    by = transport,
  ) => {
    const limit = ownTimeoutMs === undefined ? timeoutMs : ownTimeoutMs + TIMEOUT_GRACE_MS;
    const text = await sendForText(by, { ...call, timeoutMs: limit });
    return text === '' ? null : parseReply(text, mode);
  };
  const makeKey = options.newIdempotencyKey ?? newKey;
  const post = async (path: string, statements: string, sqls: readonly string[], own: QueryOptions) => {
    const sendUnder = (key: string | undefined) => {
      const body = `{${statements}${fields(own, key)}}`;
      return json(
        { method: 'POST', path, body, keyed: key !== undefined, ...signalOf(own) },
        own.timeoutMs,
        integers,
      );
    };
    const key = keyOf(sqls, own, makeKey);
    try {
      return await sendUnder(key);
    } catch (error) {
      if (own.idempotencyKey !== undefined || !takesNoKey(error)) throw error;
      return sendUnder(undefined);
    }
  };
  /** Within a transaction it is the transaction that knows what may be sent again. */
  const once = (path: string, body: string, own: TransactionOptions) =>
    json({ method: 'POST', path, body, ...signalOf(own) }, own.timeoutMs, integers, {
      ...transport,
      attemptsMax: 1,
    });

  const client: Client = {
    url: transport.url,
    query: async (sql, args, own = {}) =>
      queryResult(await post('/v1/query', statementFields({ sql, args: args ?? [] }), [sql], own)),
    pages: (sql, args, own = {}) => {
      const { pageBytes = PAGE_BYTES_DEFAULT, ...options } = own;
      const statement = `${statementFields({ sql, args: args ?? [] })},"pageBytes":${JSON.stringify(pageBytes)}`;
      const { timeoutMs: patience, signal } = own;
      const next = (cursor: string) =>
        post('/v1/query', `"cursor":${JSON.stringify(cursor)}`, [], {
          ...(patience !== undefined && { timeoutMs: patience }),
          ...(signal !== undefined && { signal }),
        });
      return pagesFrom(
        async () => queryResult(await post('/v1/query', statement, [], options)),
        async (cursor) => queryResult(await next(cursor)),
      );
    },
    batch: async (statements, own = {}) => {
      const list = statements.map((statement) =>
        typeof statement === 'string'
          ? `{"sql":${JSON.stringify(statement)}}`
          : `{${statementFields(statement)}}`,
      );
      const sqls = statements.map((statement) => (typeof statement === 'string' ? statement : statement.sql));
      return batchResult(await post('/v1/batch', `"statements":[${list.join(',')}]`, sqls, own));
    },
    transaction: (body, own = {}) => runTransaction({ post: once, wait: transport.wait }, body, own),
    session: (own) => new Session(client, own),
    import: (table, source, own = {}) => importInto(transport, table, source, own),
    export: async (own = {}) => {
      const call: Call = {
        method: 'GET',
        path: '/v1/export',
        timeoutMs: Number.POSITIVE_INFINITY,
        ...signalOf(own),
      };
      const reply = await send(transport, call);
      return reply.body ?? new ReadableStream({ start: (controller) => controller.close() });
    },
    restore: (source, own = {}) => restoreFrom(transport, source, own),
    network: async () => (await json({ method: 'GET', path: '/v1/network' })) as Record<string, unknown>,
    schema: async () => (await json({ method: 'GET', path: '/v1/schema' })) as Record<string, unknown>,
    call: (method, path, body) =>
      json({ method, path, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }),
  };
  return client;
}

function baseUrl(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) {
    throw new TypeError(`not an Atoll URL: ${JSON.stringify(url)}; it looks like http://127.0.0.1:8787`);
  }
  return url.replace(/\/+$/, '');
}

function statementFields(statement: Statement): string {
  const args = statement.args;
  const empty = args === undefined || (Array.isArray(args) && args.length === 0);
  return `"sql":${JSON.stringify(statement.sql)}${empty ? '' : `,"args":${encodeArguments(args)}`}`;
}

/** The request's other fields, as JSON text that follows those of the statement. */
function fields(options: QueryOptions, idempotencyKey: string | undefined): string {
  const { signal: _, ...sent } = options;
  const text = JSON.stringify({ ...sent, idempotencyKey });
  return text === '{}' ? '' : `,${text.slice(1, -1)}`;
}

function signalOf(options: { readonly signal?: AbortSignal }): { signal?: AbortSignal } {
  return options.signal === undefined ? {} : { signal: options.signal };
}
