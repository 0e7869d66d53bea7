import type { Insert } from './ast.ts';

/** Whether the INSERT says what to do with rows in its way: https://www.sqlite.org/lang_conflict.html. */
export function hasConflictClause({ or, upserts }: Pick<Insert, 'or' | 'upserts'>): boolean {
  return upserts.length > 0 || (or !== null && or !== 'ABORT');
}
