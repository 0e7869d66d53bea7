import { closeSync, fdatasyncSync, openSync } from 'node:fs';
import { constants, DatabaseSync, type StatementSync } from 'node:sqlite';
import { assert } from '../base/assert.ts';
import { sqliteError } from '../core/sqlite/error.ts';
import { LazyResult, rowBytes } from '../core/sqlite/lazy-result.ts';
import { parametersOf } from '../core/sqlite/parameters.ts';
import { type PortResult, type PortValue, SqliteError, type SqlitePort } from '../core/sqlite/port.ts';
import { splitStatements } from '../core/sqlite/split.ts';
import { refusesLikeWorkerd } from './sqlite-authorizer.ts';

/**
 * workerd's limits, found by trial in workerd 2026-10-23 and imposed here so that a statement behaves the same
 * on every host. Two differences stay: node's SQLite is built without UPDATE and DELETE
 * … LIMIT, and the length of several statements together is bounded in workerd alone.
 */
const LIMITS = {
  length: 8_388_642,
  sqlLength: 100_000,
  column: 100,
  exprDepth: 100,
  compoundSelect: 5,
  vdbeOp: 25_000,
  functionArg: 127,
  likePatternLength: 50,
  variableNumber: 100,
  triggerDepth: 10,
} as const;

/** Prepared statements kept by SQL text (chosen). Those go first that were not used since there were as many. */
const STATEMENTS_MAX = 256;

export interface NodeSqliteOptions {
  /** Refuse what workerd refuses; off only for tools that own their file. Default true. */
  readonly restricted?: boolean;
  /** `FULL` survives power loss; with `NORMAL` only what {@link NodeSqlitePort.sync} has made durable does; `OFF` is for tests. Default `FULL`. */
  readonly synchronous?: 'FULL' | 'NORMAL' | 'OFF';
  /** Most memory for pages of the file, kB. Default: SQLite's own, 2 MB. */
  readonly cacheKilobytes?: number;
  /** Pages in the write-ahead log from which on they are moved into the file. Default: SQLite's own, 1,000. */
  readonly checkpointPages?: number;
  /** For `:memory:`: what the database holds from the start, as {@link NodeSqlitePort.serialize} gave it. */
  readonly image?: Uint8Array;
}

/** node:sqlite with workerd's semantics: {@link SqlitePort} over one database file, or `:memory:`. */
export class NodeSqlitePort implements SqlitePort {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, Prepared>();
  #depth = 0;
  /** Set while the port itself runs BEGIN and the like, which it refuses to others. */
  #own = false;

  constructor(path: string, options: NodeSqliteOptions = {}) {
    this.#path = path;
    const restricted = options.restricted ?? true;
    this.#database = new DatabaseSync(path, {
      defensive: true,
      enableForeignKeyConstraints: true,
      enableDoubleQuotedStringLiterals: true,
      readBigInts: true,
      returnArrays: true,
      ...(restricted ? { limits: LIMITS } : {}),
    });
    try {
      if (options.image !== undefined) this.#database.deserialize(options.image);
      this.#configure(path, options);
    } catch (error) {
      this.#database.close();
      throw translated(error);
    }
    if (restricted)
      this.#database.setAuthorizer((action, first, second) =>
        !this.#own && refusesLikeWorkerd(action, first, second) ? constants.SQLITE_DENY : constants.SQLITE_OK,
      );
  }

  #configure(path: string, options: NodeSqliteOptions): void {
    const { synchronous, cacheKilobytes, checkpointPages } = options;
    this.#database.exec('PRAGMA recursive_triggers = ON');
    if (path !== ':memory:') this.#database.exec('PRAGMA journal_mode = WAL');
    this.#database.exec(`PRAGMA synchronous = ${synchronous ?? 'FULL'}`);
    if (cacheKilobytes !== undefined) this.#database.exec(`PRAGMA cache_size = -${cacheKilobytes}`);
    if (checkpointPages !== undefined) this.#database.exec(`PRAGMA wal_autocheckpoint = ${checkpointPages}`);
  }

  query(sql: string, ...bindings: readonly PortValue[]): PortResult {
    try {
      const statement = this.#bindable(sql, bindings);
      const rows = statement.all(...bindings) as unknown as unknown[][];
      for (const row of rows) doublesOfIntegers(row);
      return new LazyResult(statement, columnsOf, rows as PortValue[][]);
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
      const statement = this.#bindable(sql, bindings);
      const rows: PortValue[][] = [];
      let bytes = 0;
      for (const raw of statement.iterate(...bindings)) {
        const row = raw as unknown as unknown[];
        doublesOfIntegers(row);
        bytes += rowBytes(row as PortValue[]);
        if (bytes > bytesMax) return new LazyResult(statement, columnsOf, rows, true);
        rows.push(row as PortValue[]);
      }
      return new LazyResult(statement, columnsOf, rows);
    } catch (error) {
      // An iteration that has failed leaves its error in the statement, whose next one would throw it again.
      this.#statements.delete(sql);
      throw translated(error);
    }
  }

  transaction<T>(body: () => T): T {
    const depth = this.#depth;
    this.#control(depth === 0 ? 'BEGIN IMMEDIATE' : `SAVEPOINT s${depth}`);
    this.#depth = depth + 1;
    try {
      const result = body();
      this.#control(depth === 0 ? 'COMMIT' : `RELEASE s${depth}`);
      return result;
    } catch (error) {
      // A full disk or a lost file may have ended the transaction already.
      if (this.#database.isTransaction)
        this.#control(depth === 0 ? 'ROLLBACK' : `ROLLBACK TO s${depth}; RELEASE s${depth}`);
      throw error;
    } finally {
      this.#depth = depth;
    }
  }

  databaseSize(): number {
    return this.#privileged(() => {
      const [row] = this.#last(
        'SELECT page_count * page_size FROM pragma_page_count, pragma_page_size',
      ).statement.all();
      return Number((row as unknown as unknown[] | undefined)?.[0] ?? 0);
    });
  }

  /**
   * Makes what was committed survive power loss. For a file with `synchronous: NORMAL`, whose commits are in the write-ahead
   * log in their order and wait for the disk only when that is moved into the file: https://www.sqlite.org/wal.html.
   *
   * @throws SqliteError `io` if it could not be tried; what the system says if it failed: then it is not known what of the log is
   *   on the disk, and no later call will say
   */
  sync(): void {
    let descriptor: number;
    try {
      descriptor = openSync(`${this.#path}-wal`, 'r+');
    } catch (error) {
      // Nothing was written since the file was opened.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw new SqliteError(
        'io',
        'SQLITE_CANTOPEN',
        `the log cannot be flushed: ${(error as Error).message}`,
      );
    }
    try {
      fdatasyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }

  /**
   * Moves all of the log into the file, and leaves it empty. Closing does that too, but passes over errors:
   * https://www.sqlite.org/c3ref/wal_checkpoint_v2.html.
   *
   * @throws SqliteError for want of space; nothing is lost then
   */
  checkpoint(): void {
    this.#privileged(() => {
      const [[busy] = []] = this.query('PRAGMA wal_checkpoint(TRUNCATE)').rows;
      assert(busy === 0, 'nobody else has the file open');
    });
  }

  /** The whole database as the bytes of its file; no transaction may be open. */
  serialize(): Uint8Array {
    return this.#database.serialize();
  }

  /** May be repeated. */
  close(): void {
    this.#statements.clear();
    if (this.#database.isOpen) this.#database.close();
  }

  /** The last statement of `sql`, prepared, if it takes these bindings; node itself would leave some NULL. */
  #bindable(sql: string, bindings: readonly PortValue[]): StatementSync {
    const { statement, parameterCount } = this.#last(sql);
    if (bindings.length !== parameterCount) throw new SqliteError('syntax', 'SQLITE_ERROR', WRONG_BINDINGS);
    return statement;
  }

  /** Runs all statements of `sql` but the last, and gives the last, prepared. */
  #last(sql: string): Prepared {
    const cached = this.#statements.get(sql);
    if (cached !== undefined) {
      if (this.#statements.size < STATEMENTS_MAX) return cached;
      this.#statements.delete(sql);
      this.#statements.set(sql, cached);
      return cached;
    }
    const statements = splitStatements(sql);
    const last = statements.pop();
    if (last === undefined) throw new SqliteError('syntax', 'SQLITE_ERROR', NO_STATEMENT);
    for (const statement of statements) {
      if (parametersOf(statement).count > 0)
        throw new SqliteError('syntax', 'SQLITE_ERROR', EARLY_PARAMETERS);
      this.#database.exec(statement);
    }
    const { count, numbered } = parametersOf(last);
    const prepared = { statement: this.#database.prepare(numbered), parameterCount: count };
    if (statements.length > 0) return prepared;
    this.#statements.set(sql, prepared);
    if (this.#statements.size > STATEMENTS_MAX) {
      const [oldest] = this.#statements.keys();
      if (oldest !== undefined) this.#statements.delete(oldest);
    }
    return prepared;
  }

  #control(sql: string): void {
    try {
      this.#privileged(() => this.#database.exec(sql));
    } catch (error) {
      throw translated(error);
    }
  }

  #privileged<T>(body: () => T): T {
    this.#own = true;
    try {
      return body();
    } finally {
      this.#own = false;
    }
  }
}

interface Prepared {
  readonly statement: StatementSync;
  readonly parameterCount: number;
}

/** Texts of workerd's. */
const NO_STATEMENT = 'SQL code did not contain a statement.';
const WRONG_BINDINGS = 'Wrong number of parameter bindings for SQL query.';
const EARLY_PARAMETERS =
  'When executing multiple SQL statements in a single call, only the last statement can have parameters.';

function columnsOf(statement: StatementSync): string[] {
  return statement.columns().map((column) => column.name);
}

/** workerd reads INTEGER as a double; in place, as rows are ours alone. */
function doublesOfIntegers(row: unknown[]): void {
  for (let i = 0; i < row.length; i++) {
    const value = row[i];
    if (typeof value === 'bigint') row[i] = Number(value);
  }
}

/** Primary result codes: https://www.sqlite.org/rescode.html. */
const PRIMARY: Readonly<Record<number, string>> = {
  1: 'SQLITE_ERROR',
  5: 'SQLITE_BUSY',
  6: 'SQLITE_LOCKED',
  7: 'SQLITE_NOMEM',
  8: 'SQLITE_READONLY',
  9: 'SQLITE_INTERRUPT',
  10: 'SQLITE_IOERR',
  11: 'SQLITE_CORRUPT',
  13: 'SQLITE_FULL',
  14: 'SQLITE_CANTOPEN',
  18: 'SQLITE_TOOBIG',
  19: 'SQLITE_CONSTRAINT',
  20: 'SQLITE_MISMATCH',
  23: 'SQLITE_AUTH',
  25: 'SQLITE_RANGE',
  26: 'SQLITE_NOTADB',
};

const CONSTRAINT: Readonly<Record<number, string>> = {
  1: 'SQLITE_CONSTRAINT_CHECK',
  2: 'SQLITE_CONSTRAINT_COMMITHOOK',
  3: 'SQLITE_CONSTRAINT_FOREIGNKEY',
  5: 'SQLITE_CONSTRAINT_NOTNULL',
  6: 'SQLITE_CONSTRAINT_PRIMARYKEY',
  7: 'SQLITE_CONSTRAINT_TRIGGER',
  8: 'SQLITE_CONSTRAINT_UNIQUE',
  10: 'SQLITE_CONSTRAINT_ROWID',
  12: 'SQLITE_CONSTRAINT_DATATYPE',
};

function translated(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof SqliteError) return error;
  const code = (error as { errcode?: unknown }).errcode;
  if (typeof code !== 'number') return error;
  const primary = PRIMARY[code & 0xff] ?? 'SQLITE_ERROR';
  const extended = primary === 'SQLITE_CONSTRAINT' ? (CONSTRAINT[code >> 8] ?? '') : '';
  return sqliteError(primary, extended, error.message);
}
