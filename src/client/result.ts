import { decodeRows, type SqlOutput } from './values.ts';

/** How a statement was run: `route`, `scatter`, …, where, and why. Its fields are the server's. */
export type Plan = Readonly<Record<string, unknown>> | string;

/** The reply to one statement, as the API sends it. */
interface ReplyBody {
  readonly columns?: string[];
  readonly rows?: unknown[][];
  readonly rowsAffected?: number | bigint;
  readonly lastInsertRowid?: unknown;
  readonly session?: string;
  readonly plan?: Plan | null;
  readonly consistency?: string;
  readonly asOf?: string;
  readonly cursor?: string;
}

/** The answer to one statement. */
export class QueryResult {
  /** Column names, in order; duplicates are kept. */
  readonly columns: readonly string[];
  readonly rows: readonly (readonly SqlOutput[])[];
  readonly rowsAffected: number;
  /** Id of the last inserted row, where the statement inserted one. */
  readonly lastInsertRowid: number | bigint | null;
  /** Send it with a later `session` read to see at least what this answer saw. */
  readonly session: string | undefined;
  readonly plan: Plan | undefined;
  /** Of a read of several partitions: `strong`; `snapshot`, of a moment in the past; `per-partition`, at different moments. */
  readonly consistency: string | undefined;
  /** The moment whose state was read, of a request that has named one: given again, it reads the same. */
  readonly asOf: string | undefined;
  /** Of a page: what the next one is asked for with; undefined at the last. {@link Client.pages} does it. */
  readonly cursor: string | undefined;

  constructor(body: ReplyBody) {
    this.columns = body.columns ?? [];
    this.rows = decodeRows(body.rows ?? []);
    this.rowsAffected = Number(body.rowsAffected ?? 0);
    const [rowid = null] = decodeRows([[body.lastInsertRowid ?? null]])[0] ?? [];
    this.lastInsertRowid = rowid as number | bigint | null;
    this.session = body.session;
    this.plan = planOf(body.plan);
    this.consistency = body.consistency;
    this.asOf = body.asOf;
    this.cursor = body.cursor;
  }

  /**
   * Rows as objects by column name. Where two columns share a name the later one stays, as in any driver.
   *
   * @example
   * for (const { name, total } of result.objects<{ name: string; total: number }>()) …
   */
  objects<Row = Record<string, SqlOutput>>(): Row[] {
    return this.rows.map(
      (row) => Object.fromEntries(this.columns.map((column, index) => [column, row[index]])) as Row,
    );
  }

  /** The first row as an object, or undefined. */
  first<Row = Record<string, SqlOutput>>(): Row | undefined {
    const row = this.rows[0];
    if (row === undefined) return undefined;
    return Object.fromEntries(this.columns.map((column, index) => [column, row[index]])) as Row;
  }

  /** The first column of the first row: what `SELECT count(*) …` is asked for. */
  value<Value extends SqlOutput = SqlOutput>(): Value | undefined {
    return this.rows[0]?.[0] as Value | undefined;
  }
}

function planOf(plan: Plan | null | undefined): Plan | undefined {
  return plan === undefined || plan === null ? undefined : (withNumbers(plan) as Plan);
}

/** Mode `bigint` is about values of SQL; counts and partition numbers stay numbers. */
function withNumbers(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(withNumbers);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, withNumbers(member)]));
}

export interface BatchResult {
  readonly results: readonly QueryResult[];
  readonly session: string | undefined;
  /** Of all of it. */
  readonly plan: Plan | undefined;
  /** See {@link QueryResult.asOf}. */
  readonly asOf: string | undefined;
}

export function queryResult(body: unknown): QueryResult {
  return new QueryResult(body as ReplyBody);
}

export function batchResult(body: unknown): BatchResult {
  const { results, session, asOf, plan } = body as Pick<ReplyBody, 'session' | 'asOf' | 'plan'> & {
    results: unknown[];
  };
  return { results: results.map(queryResult), session, plan: planOf(plan), asOf };
}
