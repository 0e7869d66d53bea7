import { layoutOf, readLayouts } from '../log/layout.ts';
import { SqliteError } from '../sqlite/port.ts';
import type { Holder } from '../transaction/lock-table.ts';
import { LockedError } from './locked.ts';
import { readPreparedChanges } from './prepared.ts';
import type { Replica } from './replica.ts';

/**
 * Those whose prepared changes may take back what a constraint says. Where not all keys are known and locked before a
 * statement runs, it may meet a row that another transaction, decided already, is about to delete here, or miss one that it
 * is about to create; or that a copy of a reference table, which is frozen, is about to get. Nobody, if the error is none that depends on other rows.
 */
export function freeing({ port, locks }: Replica, own: string, error: unknown): Holder[] {
  if (locks.isEmpty || !(error instanceof SqliteError) || error.kind !== 'constraint') return [];
  const { message } = error;
  const unique = message.startsWith('UNIQUE');
  if (!unique && !message.startsWith('FOREIGN KEY')) return [];
  const layouts = readLayouts(port);
  const prepared = locks.holders.filter(
    ({ transaction }) =>
      transaction !== own &&
      readPreparedChanges(port, transaction).some(
        (change) => !unique || message.includes(` ${layoutOf(layouts, change).table}.`),
      ),
  );
  return unique ? prepared : [...prepared, ...locks.frozenBy(own)];
}

/** Has work that fails wait for those that may take back what it fails for, by a LockedError. */
export function freedFor(replica: Replica): (error: unknown) => void {
  return (error) => {
    const holders = freeing(replica, '', error);
    if (holders.length > 0) throw new LockedError(holders);
  };
}
