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
}

/** What a statement needs of the replica that runs it. */
export interface ExecutionContext {
  readonly port: SqlitePort;
  /** Largest answer in bytes. */
  readonly answerBytesMax: number;
  /** `given`: ids that the statement itself brings along. */
  takeIdentifiers(table: Table, count: number, given?: readonly number[]): number[];
  /** Whether rows may bring ids along in a table whose ids do not say where a row is; absent: in none. */
  mayGiveIds?(table: Table): boolean;
  /** Never issues ids up to the largest of this partition's range that is in `table`. */
  passIdentifiers(table: Table): void;
}

/** Runs SQL whose rows are an answer, or part of one. */
export function query(context: ExecutionContext, sql: string, bindings: PortValue[]): PortResult {
  const result = context.port.queryBounded(sql, bindings, context.answerBytesMax);
  if (result.truncated) {
    throw new AtollError(
      'result-too-large',
      'the answer is larger than one request may have: select fewer columns, add LIMIT, or split the batch',
    );
  }
  return result;
}
