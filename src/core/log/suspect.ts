import { quoteName } from '../sqlite/quote.ts';
import { witnessImage } from './image.ts';
import type { Layout } from './layout.ts';
import { type ActingKey, returnsTo } from './references.ts';
import { columnSql } from './rows.ts';

/**
 * BEFORE triggers that mark a commit whose images may be out of order or stale (straighten.ts): on an update
 * of a parent key that has an action, on a delete whose actions may meet rows of the same table, on any update
 * or delete of a table with a user's BEFORE trigger. Tables without these have none and pay nothing.
 *
 * Where actions may overtake the change, a witness goes into the log as well: the row as it is.
 */
export interface SuspectTrigger {
  readonly event: 'delete' | 'update';
  readonly condition: string;
  readonly body: string;
}

export interface Surroundings {
  readonly keys: readonly ActingKey[];
  /** Tables with a user's BEFORE trigger, in lower case. */
  readonly before: ReadonlySet<string>;
  readonly anyTrigger: boolean;
}

const MARK = 'UPDATE _atoll_head SET suspect = 1 WHERE suspect = 0;';
const NOT_REPLAYED = '(SELECT applying = 0 FROM _atoll_head)';

export function suspectTriggers(
  table: string,
  layout: Layout,
  { keys, before, anyTrigger }: Surroundings,
): readonly SuspectTrigger[] {
  const own = keys.filter(({ parent }) => parent === table);
  const moved = own.filter(({ onUpdate }) => onUpdate).flatMap(({ parentColumns }) => parentColumns);
  const meets = (anyTrigger && own.some(({ onDelete }) => onDelete)) || returnsTo(keys, table);
  const triggers: SuspectTrigger[] = [];
  const add = (event: 'delete' | 'update', condition: string | null, witnesses: string) => {
    const all = condition === null ? NOT_REPLAYED : `(${condition}) AND ${NOT_REPLAYED}`;
    triggers.push({ event, condition: all, body: `${MARK}${witnesses}` });
  };
  if (before.has(table)) add('update', null, moved.length > 0 ? witnessSql(layout) : '');
  else if (moved.length > 0) add('update', changedSql(moved), witnessSql(layout));
  if (meets) add('delete', null, witnessSql(layout));
  else if (before.has(table)) add('delete', null, '');
  return triggers;
}

function changedSql(columns: readonly string[]): string {
  return [...new Set(columns)]
    .map((each) => `OLD.${quoteName(each)} IS NOT NEW.${quoteName(each)}`)
    .join(' OR ');
}

/** Notes the row that is about to change, whatever OLD says. */
function witnessSql(layout: Layout): string {
  const slots = layout.columns.map((_, slot) => `c${slot}`);
  const values = layout.columns.map((_, index) => columnSql(layout, index));
  const key = layout.key.map((index) => columnSql(layout, index));
  return (
    ` INSERT INTO _atoll_log(commit_id, image, ${slots.join(', ')}) ` +
    `SELECT (SELECT last_commit_id + 1 FROM _atoll_head), ${witnessImage(layout.layout)}, ${values.join(', ')} ` +
    `FROM ${quoteName(layout.table)} WHERE ${key.map((name) => `${name} = OLD.${name}`).join(' AND ')};`
  );
}
