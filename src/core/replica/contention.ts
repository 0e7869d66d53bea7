import { AtollError } from '../../protocol/error.ts';
import type { Attempt } from '../../protocol/transaction.ts';
import { applyChanges, MisfitError } from '../log/apply.ts';
import type { Change } from '../log/commit.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import type { Lock } from '../transaction/lock.ts';
import type { Holder } from '../transaction/lock-table.ts';
import { mayWait } from '../transaction/wait-die.ts';
import { LockedError } from './locked.ts';
import type { Replica } from './replica.ts';

/** What an attempt of a transaction does when it meets another one (core/transaction/wait-die.ts). */

/** Nothing if nobody holds what is needed. */
export function waitOrDie(attempt: Attempt, holders: readonly Holder[]): void {
  if (holders.length === 0) return;
  if (mayWait(attempt, holders)) throw new LockedError(holders);
  throw wounded();
}

/** The older waits, the younger dies: it may be that others wait for locks that it holds elsewhere. */
export function refuseLocked(replica: Replica, attempt: Attempt, locks: readonly Lock[]): void {
  waitOrDie(attempt, replica.locks.blockers(locks, attempt.transaction));
}

/** Its locks, if no other transaction has what it has changed. */
export function refuseChanged(replica: Replica, attempt: Attempt, changes: readonly Change[]): Lock[] {
  try {
    return replica.checkCaptured(changes, attempt.transaction);
  } catch (error) {
    if (error instanceof LockedError) waitOrDie(attempt, error.holders);
    throw error;
  }
}

/** Applies what was captured on an earlier state. Where a row is otherwise by now, another attempt meets that. */
export function applyOrDie(port: SqlitePort, changes: readonly Change[]): void {
  try {
    applyChanges(port, changes);
  } catch (error) {
    throw error instanceof MisfitError ? wounded() : error;
  }
}

/** Expected while transactions contend: whoever began this one tries it again, with its age. */
export function wounded(): AtollError {
  return new AtollError('conflict', 'another transaction came first; run the transaction again', 'none', {
    reason: 'wait-die',
  });
}
