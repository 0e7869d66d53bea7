import type { Table } from './table.ts';

/** Whether the table's definition itself says what becomes of rows in the way of others: https://www.sqlite.org/lang_conflict.html. */
export function definesConflicts({ sql }: Pick<Table, 'sql'>): boolean {
  return /\bON\s+CONFLICT\b/i.test(sql);
}
