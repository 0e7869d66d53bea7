import { assert } from '../../base/assert.ts';
import { triggerHeader } from './trigger-header.ts';

/**
 * User triggers are silent while the log is applied or undone: what they did is in the log itself. Dropping
 * and re-creating them would change the schema at every apply, and every prepared statement with it; so a
 * condition is spliced into their WHEN clause instead. Schema reads and exports take it out again.
 */
const GUARD = '(SELECT "applying" = 0 FROM "_atoll_head")';

/**
 * The SQL of a user's CREATE TRIGGER with the guard in it. INSTEAD OF triggers stay as they are: they
 * belong to views, which the log never writes. `sql` must be a CREATE TRIGGER that SQLite accepts.
 */
export function guardTrigger(sql: string): string {
  const header = triggerHeader(sql);
  if (header === null || sql.includes(GUARD)) return sql;
  const { whenEnd, begin, time } = header;
  if (time === 'INSTEAD OF') return sql;
  if (whenEnd === null) return `${sql.slice(0, begin)}WHEN ${GUARD} ${sql.slice(begin)}`;
  const condition = sql.slice(whenEnd, begin);
  // The line break ends a `--` comment at the condition's end.
  return `${sql.slice(0, whenEnd)} ${GUARD} AND (${condition}\n) ${sql.slice(begin)}`;
}

/** The user's own SQL: what {@link guardTrigger} was given, after any renaming that SQLite did in it. */
export function unguardTrigger(sql: string): string {
  const at = sql.indexOf(GUARD);
  if (at === -1) return sql;
  const begin = triggerHeader(sql)?.begin;
  assert(begin !== undefined, 'a guarded trigger has a BEGIN');
  const rest = sql.slice(at + GUARD.length, begin);
  if (!rest.startsWith(' AND (')) return sql.slice(0, at - 'WHEN '.length) + sql.slice(begin);
  const condition = rest.slice(' AND ('.length, rest.lastIndexOf('\n)'));
  return sql.slice(0, at - 1) + condition + sql.slice(begin);
}
