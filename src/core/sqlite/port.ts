/**
 * The one thing `core` asks of SQLite. Two implementations: Durable Object storage (`src/objects`)
 * and node:sqlite (`src/node-agent`). The contract is the weaker of the two, which is workerd's:
 * numbers bind as REAL, INTEGERs are read back as doubles (lossy at and beyond 2^53), TEXT that is
 * not valid UTF-8 is read with U+FFFD. Whoever needs exact values selects and binds them through
 * `value.ts`.
 */
export type PortValue = null | number | string | Uint8Array;

/** Not to be spread, sent or compared as a whole: its columns are asked for on first use. */
export interface PortResult {
  /** Names of the result columns as SQLite gives them; duplicates are kept. To be asked for before the same SQL is run again. */
  readonly columns: readonly string[];
  readonly rows: readonly (readonly PortValue[])[];
}

export interface SqlitePort {
  /**
   * Runs one statement, or several separated by `;` (bindings then go to the last, whose rows are
   * returned). Reads every row before it returns: no cursor outlives the call.
   * Throws {@link SqliteError}; a failed statement leaves no trace, the transaction around it stays open.
   */
  query(sql: string, ...bindings: readonly PortValue[]): PortResult;

  /** As {@link query}, but stops once the values read exceed `bytesMax` bytes; `truncated` says that it did. */
  queryBounded(
    sql: string,
    bindings: readonly PortValue[],
    bytesMax: number,
  ): PortResult & { readonly truncated: boolean };

  /**
   * Runs `body` in a transaction; nested calls are savepoints. If `body` throws, everything it wrote
   * is undone and the error goes on. Synchronous: nothing else runs on this database meanwhile.
   */
  transaction<T>(body: () => T): T;

  /** Bytes of the database file. */
  databaseSize(): number;
}

/** What went wrong inside SQLite, by the primary result code's name. */
export type SqliteErrorKind =
  | 'constraint' // a UNIQUE, NOT NULL, CHECK, FOREIGN KEY or trigger RAISE
  | 'syntax' // SQL that SQLite refuses: syntax, unknown names, wrong argument counts, datatype mismatch
  | 'too-big' // a value or statement over SQLITE_LIMIT_LENGTH and its kin
  | 'not-authorized' // the host's authorizer forbids it
  | 'busy'
  | 'full'
  | 'no-memory'
  | 'interrupted'
  | 'io'
  | 'other';

export class SqliteError extends Error {
  override name = 'SqliteError';
  readonly kind: SqliteErrorKind;
  /** SQLite's extended code where the host gives it, for example `SQLITE_CONSTRAINT_UNIQUE`. */
  readonly code: string;

  constructor(kind: SqliteErrorKind, code: string, message: string) {
    super(message);
    this.kind = kind;
    this.code = code;
  }
}
