import { SqliteError, type SqliteErrorKind } from './port.ts';

/** Kinds by SQLite's primary result code: https://www.sqlite.org/rescode.html. */
const KINDS: Readonly<Record<string, SqliteErrorKind>> = {
  SQLITE_ERROR: 'syntax',
  SQLITE_MISMATCH: 'constraint',
  SQLITE_RANGE: 'syntax',
  SQLITE_CONSTRAINT: 'constraint',
  SQLITE_TOOBIG: 'too-big',
  SQLITE_AUTH: 'not-authorized',
  SQLITE_BUSY: 'busy',
  SQLITE_LOCKED: 'busy',
  SQLITE_FULL: 'full',
  SQLITE_NOMEM: 'no-memory',
  SQLITE_INTERRUPT: 'interrupted',
  SQLITE_IOERR: 'io',
  SQLITE_CORRUPT: 'io',
  SQLITE_NOTADB: 'io',
  SQLITE_CANTOPEN: 'io',
  SQLITE_READONLY: 'io',
};

/** Result codes that SQLite reports as SQLITE_ERROR, told by their text: both hosts use SQLite's own. */
const NOT_AUTHORIZED = /^(not authorized|access to .* is prohibited|To execute a transaction|cannot VACUUM)/;

/**
 * The error for a primary code (`SQLITE_CONSTRAINT`) and an extended one, or `''`. `message` is SQLite's
 * own text, without anything that the host put around it.
 */
export function sqliteError(primary: string, extended: string, message: string): SqliteError {
  const byCode = KINDS[primary] ?? 'other';
  const kind = byCode === 'syntax' && NOT_AUTHORIZED.test(message) ? 'not-authorized' : byCode;
  return new SqliteError(kind, extended === '' ? primary : extended, message);
}
