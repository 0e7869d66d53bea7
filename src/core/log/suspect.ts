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
 * Where actions may overtake the change, a witness of the rows that it is about goes into the log as well: the
 * row as it is, whatever OLD says, and what is at the key that an update moves it to.
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
  if (before.has(table)) add('update', null, moved.length > 0 ? updateWitnesses(layout) : '');
  else if (moved.length > 0) add('update', changedSql(moved), updateWitnesses(layout));
  if (meets) add('delete', null, presentSql(layout, 'OLD'));
  else if (before.has(table)) add('delete', null, '');
  return triggers;
}

function changedSql(columns: readonly string[]): string {
  return [...new Set(columns)]
    .map((each) => `OLD.${quoteName(each)} IS NOT NEW.${quoteName(each)}`)
    .join(' OR ');
}

function updateWitnesses(layout: Layout): string {
  return presentSql(layout, 'OLD') + presentSql(layout, 'NEW') + absentSql(layout);
}

/** Notes the row that is at the key of OLD or NEW, if there is one. */
function presentSql(layout: Layout, row: 'OLD' | 'NEW'): string {
  const slots = layout.columns.map((_, slot) => `c${slot}`);
  const values = layout.columns.map((_, index) => columnSql(layout, index));
  return (
    ` INSERT INTO _atoll_log(commit_id, image, ${slots.join(', ')}) ` +
    `SELECT (SELECT last_commit_id + 1 FROM _atoll_head), ${witnessImage(layout.layout, 'present')}, ${values.join(', ')} ` +
    `FROM ${quoteName(layout.table)} WHERE ${layout.key.map((index) => `${columnSql(layout, index)} = ${row}.${columnSql(layout, index)}`).join(' AND ')};`
  );
}

/** Notes that there is no row at exactly the key of NEW, which under a collation may be equal to another one. */
function absentSql(layout: Layout): string {
  const names = layout.key.map((index) => columnSql(layout, index));
  const same = names.map(
    (name) => `${name} = NEW.${name} COLLATE BINARY AND typeof(${name}) = typeof(NEW.${name})`,
  );
  return (
    ` INSERT INTO _atoll_log(commit_id, image, ${layout.key.map((index) => `c${index}`).join(', ')}) ` +
    `SELECT (SELECT last_commit_id + 1 FROM _atoll_head), ${witnessImage(layout.layout, 'absent')}, ${names.map((name) => `NEW.${name}`).join(', ')} ` +
    `WHERE NOT EXISTS (SELECT 1 FROM ${quoteName(layout.table)} WHERE ${same.join(' AND ')});`
  );
}
