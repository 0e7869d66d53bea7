import { AssertionError } from '../../base/assert.ts';
import { AtollError, type ErrorCode } from '../../protocol/error.ts';
import { recursionError } from '../sql/recursion.ts';
import { SqliteError, type SqliteErrorKind } from '../sqlite/port.ts';

const CODE: Readonly<Record<SqliteErrorKind, ErrorCode>> = {
  constraint: 'constraint',
  syntax: 'sql',
  'too-big': 'too-large',
  'not-authorized': 'forbidden-statement',
  busy: 'busy',
  full: 'storage-full',
  'no-memory': 'too-large',
  interrupted: 'overloaded',
  io: 'unavailable',
  other: 'sql',
};

/**
 * The error that a caller is to see for what a statement threw, all of it undone. A defect is thrown on.
 */
export function failureOf(thrown: unknown): AtollError {
  if (thrown instanceof AtollError) return thrown;
  if (thrown instanceof SqliteError) {
    const stopped = recursionError(thrown);
    if (stopped !== null) return stopped;
    const detail = thrown.code === '' ? undefined : { sqlite: thrown.code };
    return new AtollError(CODE[thrown.kind], thrown.message, 'none', detail);
  }
  throw thrown instanceof Error ? thrown : new AssertionError(String(thrown));
}
