import type { Holder } from '../transaction/lock-table.ts';

/** Undoes work that met the locks of prepared transactions only while it ran: it is to be run again when they are gone. */
export class LockedError extends Error {
  override name = 'LockedError';
  readonly holders: readonly Holder[];

  constructor(holders: readonly Holder[]) {
    super('prepared transactions hold what is needed');
    this.holders = holders;
  }
}
