import { sqliteError } from '../core/sqlite/error.ts';
import { LazyResult, rowBytes } from '../core/sqlite/lazy-result.ts';
import { parametersOf } from '../core/sqlite/parameters.ts';
import { type PortResult, type PortValue, SqliteError, type SqlitePort } from '../core/sqlite/port.ts';
import { splitStatements } from '../core/sqlite/split.ts';

/** The SQLite of a Durable Object: {@link SqlitePort} over `ctx.storage`. */
export class ObjectSqlitePort implements SqlitePort {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    // Without it REPLACE deletes rows that no trigger sees, and the log would miss them.
    this.#sql.exec('PRAGMA recursive_triggers = ON');
  }

  query(sql: string, ...bindings: readonly PortValue[]): PortResult {
    try {
      const cursor = this.#sql.exec(sql, ...checked(sql, bindings));
      const rows = [...cursor.raw()] as (null | number | string | ArrayBuffer)[][];
      for (const row of rows) bytesOfBuffers(row);
      return new LazyResult<Named>(cursor, columnsOf, rows as PortValue[][]);
    } catch (error) {
      throw translated(error);
    }
  }

  queryBounded(
    sql: string,
    bindings: readonly PortValue[],
    bytesMax: number,
  ): PortResult & { readonly truncated: boolean } {
    try {
      const cursor = this.#sql.exec(sql, ...checked(sql, bindings));
      const rows: PortValue[][] = [];
      let bytes = 0;
      for (const raw of cursor.raw()) {
        const row = raw as (null | number | string | ArrayBuffer)[];
        bytesOfBuffers(row);
        bytes += rowBytes(row as PortValue[]);
        if (bytes > bytesMax) return new LazyResult<Named>(cursor, columnsOf, rows, true);
        rows.push(row as PortValue[]);
      }
      return new LazyResult<Named>(cursor, columnsOf, rows);
    } catch (error) {
      throw translated(error);
    }
  }

  transaction<T>(body: () => T): T {
    return this.#storage.transactionSync(body);
  }

  databaseSize(): number {
    return this.#sql.databaseSize;
  }
}

type Named = Pick<SqlStorageCursor<never>, 'columnNames'>;

function columnsOf({ columnNames }: Named): readonly string[] {
  return columnNames;
}

/** What the host is given to bind. */
function checked(sql: string, bindings: readonly PortValue[]): readonly PortValue[] {
  // Of several statements whose bindings do not fit, workerd keeps the last in use: no later call could run it.
  if (
    sql.includes(';') &&
    /;\s*\S/.test(sql) &&
    parametersOf(splitStatements(sql).at(-1) ?? '').count !== bindings.length
  )
    throw new SqliteError('syntax', 'SQLITE_ERROR', WRONG_BINDINGS);
  return bindings.every((value) => wellFormed(value) === value) ? bindings : bindings.map(wellFormed);
}

const WRONG_BINDINGS = 'Wrong number of parameter bindings for SQL query.';

/** workerd would store a lone surrogate as bytes that are not UTF-8. */
function wellFormed(value: PortValue): PortValue {
  return typeof value === 'string' && !value.isWellFormed() ? value.toWellFormed() : value;
}

/** workerd hands out BLOBs as ArrayBuffer; in place, as rows are ours alone. */
function bytesOfBuffers(row: unknown[]): void {
  for (let i = 0; i < row.length; i++) {
    const value = row[i];
    if (value instanceof ArrayBuffer) row[i] = new Uint8Array(value);
  }
}

/** `UNIQUE constraint failed: t.a: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_UNIQUE)`, seen in workerd 2026-10-23. */
const WORKERD_MESSAGE =
  /^(?<text>[\s\S]*?)(?: at offset \d+)?: (?<primary>SQLITE_[A-Z]+)(?: \(extended: (?<extended>\w+)\))?$/;

/** What workerd refuses before SQLite sees it. */
const REFUSED_BY_HOST =
  /^(SQL code did not contain a statement|Wrong number of parameter bindings|When executing multiple SQL statements)/;

function translated(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof SqliteError) return error;
  const parts = WORKERD_MESSAGE.exec(error.message)?.groups;
  if (parts !== undefined) return sqliteError(parts.primary ?? '', parts.extended ?? '', parts.text ?? '');
  if (REFUSED_BY_HOST.test(error.message)) return new SqliteError('syntax', 'SQLITE_ERROR', error.message);
  if (error.message.startsWith('To execute a transaction'))
    return new SqliteError('not-authorized', 'SQLITE_AUTH', error.message);
  return error;
}
