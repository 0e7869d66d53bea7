import { AtollError } from '../../protocol/error.ts';
import type { Table } from '../schema/table.ts';
import type { PortResult, PortValue, SqlitePort } from '../sqlite/port.ts';

/** A statement's answer, ready to be put into a reply. */
export interface StatementResult {
  readonly columns: readonly string[];
  /** JSON text: an array of rows, each an array of the public API's values. */
  readonly rows: string;
  readonly rowCount: number;
  readonly rowsAffected: number;
  /** The last id generated or given, of an INSERT into a table with rowids; else null. */
  readonly lastInsertRowid: bigint | null;
  /** Of a page: rows are left that did not fit. */
  readonly more?: boolean;
}

/** What a statement needs of the replica that runs it. */
export interface ExecutionContext {
  readonly port: SqlitePort;
  /** Largest answer in bytes. */
  readonly answerBytesMax: number;
  /** Given: an answer ends where it would become larger than this, but not before its first row. Of reads alone. */
  readonly pageBytes?: number | undefined;
  /** `given`: ids that the statement itself brings along. */
  takeIdentifiers(table: Table, count: number, given?: readonly number[]): number[];
  /** Whether rows may bring ids along in a table whose ids do not say where a row is; absent: in none. */
  mayGiveIds?(table: Table): boolean;
  /** Never issues ids up to the largest of this partition's range that is in `table`. */
  passIdentifiers(table: Table): void;
}

/** Runs SQL whose rows are an answer, or part of one; `truncated`, of a page: they are not all. */
export function query(
  { port, answerBytesMax, pageBytes }: ExecutionContext,
  sql: string,
  bindings: PortValue[],
): PortResult & { readonly truncated: boolean } {
  if (pageBytes !== undefined) {
    const page = port.queryBounded(sql, bindings, Math.min(pageBytes, answerBytesMax));
    if (!page.truncated || page.rows.length > 0) return page;
  }
  const result = port.queryBounded(sql, bindings, answerBytesMax);
  if (!result.truncated) return pageBytes === undefined ? result : firstOf(result);
  if (pageBytes !== undefined && result.rows.length > 0) return firstOf(result);
  throw new AtollError(
    'result-too-large',
    'the answer is larger than one request may have: select fewer columns, add LIMIT, split the batch, or ask for it in ' +
      'pages, by pageBytes',
  );
}

/** A page whose first row alone is larger than a page. */
function firstOf({ columns, rows }: PortResult): PortResult & { readonly truncated: boolean } {
  return { columns, rows: rows.slice(0, 1), truncated: rows.length > 1 };
}
