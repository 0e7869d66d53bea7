import { AtollError } from '../../protocol/error.ts';
import { failureOf } from '../execution/failure.ts';
import { SqliteError, type SqliteErrorKind, type SqlitePort } from '../sqlite/port.ts';
import { LockedError } from './locked.ts';
import type { ExecuteOutcome } from './outcome.ts';

/** After these SQLite may have undone more than the statement: https://www.sqlite.org/lang_transaction.html section 3. */
export const ENDS_TRANSACTION: ReadonlySet<SqliteErrorKind> = new Set([
  'full',
  'io',
  'no-memory',
  'interrupted',
  'busy',
]);

/**
 * One of several pieces of work in one SQLite transaction (group commit); each is atomic by itself. `run` is inside the
 * transaction, and throws what undoes it.
 */
export interface Work {
  readonly read: boolean;
  readonly run: (now: number) => ExecuteOutcome;
}

/** Whose work it is: what is in memory goes along with what is done and undone in the file. */
export interface GroupMember {
  readonly port: SqlitePort;
  /** A piece of work begins. */
  begin(): void;
  /** It was undone alone. */
  undone(read: boolean): void;
  /** Everything was: memory that ran ahead of the file follows it back. */
  allUndone(): void;
}

/**
 * Does all work in one transaction; a piece that fails leaves nothing and does not disturb the others. When this returns, the
 * outcomes hold once the transaction is durable. Throws when it is not known whether it was committed.
 */
export function performGroup(member: GroupMember, works: readonly Work[], now: number): ExecuteOutcome[] {
  const [only] = works;
  // Alone, a request is undone with the transaction itself and needs no savepoint.
  if (works.length === 1 && only !== undefined) return [performAlone(member, only, now)];
  let executed = false;
  try {
    return member.port.transaction(() => {
      const outcomes = works.map((work) => performOne(member, work, now));
      executed = true;
      return outcomes;
    });
  } catch (error) {
    member.allUndone();
    // A commit that failed while it was written may be on disk nevertheless.
    if (!(error instanceof SqliteError) || (executed && error.kind === 'io')) throw error;
    // One request has cost the others their transaction: each by itself, then.
    return works.map((work) => performAlone(member, work, now));
  }
}

function performAlone(member: GroupMember, work: Work, now: number): ExecuteOutcome {
  try {
    return performOne(member, work, now);
  } catch (error) {
    member.allUndone();
    const { code, message, detail } = failureOf(error);
    const outcome = error instanceof SqliteError && error.kind === 'io' && !work.read ? 'unknown' : 'none';
    return { kind: 'error', error: new AtollError(code, message, outcome, detail ?? undefined) };
  }
}

function performOne(member: GroupMember, { read, run }: Work, now: number): ExecuteOutcome {
  member.begin();
  try {
    return read ? run(now) : member.port.transaction(() => run(now));
  } catch (error) {
    if (error instanceof SqliteError && ENDS_TRANSACTION.has(error.kind)) throw error;
    member.undone(read);
    if (error instanceof LockedError) return { kind: 'locked', holders: error.holders };
    return { kind: 'error', error: failureOf(error) };
  }
}
