import type { ActingKey } from './references.ts';

/**
 * Foreign-key actions are silent while the log is applied or undone: what they did is in the log itself, and
 * `PRAGMA foreign_keys` cannot be changed inside a transaction. So every table on either side of an acting key
 * has BEFORE triggers that leave alone (`RAISE(IGNORE)`) each row that an action is about to change.
 *
 * What tells an action from the replayed statement that causes it: actions run after a row has changed and
 * before the change is logged. The replayed row notes the end of the log in `applying` (+ 2, for 0 and 1 mean
 * "not applying" and "no row yet"); a row that finds that note is changed by an action. The note goes out of
 * date by itself when the log grows. Outside of replay these triggers cost one look at the head.
 */
export function hushTriggers(table: string, keys: readonly ActingKey[]): readonly HushTrigger[] {
  const acts = keys.some(({ child, parent }) => child === table || parent === table);
  return acts ? [trigger('delete'), trigger('update')] : [];
}

interface HushTrigger {
  readonly event: 'delete' | 'update';
  readonly condition: string;
  readonly body: string;
}

const NOTE = 'coalesce((SELECT max(seq) FROM _atoll_log), 0) + 2';

function trigger(event: 'delete' | 'update'): HushTrigger {
  return {
    event,
    condition: '(SELECT applying FROM _atoll_head)',
    body: `SELECT raise(IGNORE) FROM _atoll_head WHERE applying = ${NOTE}; UPDATE _atoll_head SET applying = ${NOTE};`,
  };
}
