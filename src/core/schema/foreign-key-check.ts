import { AtollError } from '../../protocol/error.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { quoteName } from '../sqlite/quote.ts';
import type { Table } from './table.ts';

/**
 * Reads a table whole for rows without a parent. Of one table: the check of all would read the Durable Object's own,
 * which workerd forbids.
 *
 * @throws AtollError `constraint`
 */
export function checkForeignKeys(port: SqlitePort, { name, foreignKeys }: Table): void {
  if (foreignKeys.length === 0) return;
  const violation = port.query(`PRAGMA foreign_key_check(${quoteName(name)})`).rows[0];
  if (violation === undefined) return;
  const parent = String(violation[2]);
  throw new AtollError('constraint', `FOREIGN KEY of ${name}: a row has no parent in ${parent}`, 'none', {
    table: name,
    parent,
  });
}
