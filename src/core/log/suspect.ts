import { quoteName } from '../sqlite/quote.ts';
import { type ActingKey, returnsTo } from './references.ts';

/**
 * Triggers that mark a commit whose images may be out of order or stale (straighten.ts): on an update of a
 * parent key that has an action, on a delete whose actions may meet rows of the same table, on any update or
 * delete of a table with a user's BEFORE trigger. Tables without these have none and pay nothing.
 */
export interface SuspectTrigger {
  readonly event: 'delete' | 'update';
  readonly condition: string | null;
  readonly body: string;
}

const BODY = 'UPDATE _atoll_head SET suspect = 1 WHERE suspect = 0;';

export interface Surroundings {
  readonly keys: readonly ActingKey[];
  /** Tables with a BEFORE trigger, in lower case. */
  readonly before: ReadonlySet<string>;
  readonly anyTrigger: boolean;
}

export function suspectTriggers(
  table: string,
  { keys, before, anyTrigger }: Surroundings,
): readonly SuspectTrigger[] {
  const own = keys.filter(({ parent }) => parent === table);
  const changed = own.filter(({ onUpdate }) => onUpdate).flatMap(({ parentColumns }) => parentColumns);
  const triggers: SuspectTrigger[] = [];
  if (before.has(table)) triggers.push({ event: 'update', condition: null, body: BODY });
  else if (changed.length > 0) triggers.push({ event: 'update', condition: changedSql(changed), body: BODY });
  const meets = (anyTrigger && own.some(({ onDelete }) => onDelete)) || returnsTo(keys, table);
  if (before.has(table) || meets) triggers.push({ event: 'delete', condition: null, body: BODY });
  return triggers;
}

function changedSql(keys: readonly string[]): string {
  return [...new Set(keys)].map((key) => `OLD.${quoteName(key)} IS NOT NEW.${quoteName(key)}`).join(' OR ');
}
