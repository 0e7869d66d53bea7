import { AtollError } from '../../protocol/error.ts';
import type { Attempt } from '../../protocol/transaction.ts';
import type { Holder } from '../transaction/lock-table.ts';
import { mayWait } from '../transaction/wait-die.ts';
import { LockedError } from './locked.ts';

/** Nothing if nobody holds what is needed. */
export function waitOrDie(attempt: Attempt, holders: readonly Holder[]): void {
  if (holders.length === 0) return;
  if (mayWait(attempt, holders)) throw new LockedError(holders);
  throw wounded();
}

/** Expected while transactions contend: whoever began this one tries it again, with its age. */
export function wounded(): AtollError {
  return new AtollError('conflict', 'another transaction came first; run the transaction again', 'none', {
    reason: 'wait-die',
  });
}
