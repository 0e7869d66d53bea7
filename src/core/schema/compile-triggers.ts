import { AtollError } from '../../protocol/error.ts';
import { SqliteError, type SqlitePort } from '../sqlite/port.ts';
import { quoteName } from '../sqlite/quote.ts';
import type { Catalogue } from './catalogue.ts';

/**
 * Compiles the triggers of every table. SQLite lets a definition leave triggers behind that name what is no longer
 * there; then nobody could write their table, not even to apply the log or to undo it.
 *
 * @throws AtollError that names the table
 */
export function compileTriggers(port: SqlitePort, { tables, triggers }: Catalogue): void {
  const fired = new Set(triggers.map((trigger) => trigger.table.toLowerCase()));
  for (const { name, columns } of tables) {
    if (!fired.has(name.toLowerCase())) continue;
    const stored = columns
      .filter((column) => column.generated === 'no')
      .map((column) => quoteName(column.name));
    const table = quoteName(name);
    // Statements that touch no row, not EXPLAIN: node:sqlite crashes when it compiles a kept EXPLAIN anew.
    try {
      port.query(
        `INSERT INTO ${table} (${stored.join(', ')}) SELECT ${stored.join(', ')} FROM ${table} WHERE 0`,
      );
      port.query(`UPDATE ${table} SET ${stored.map((column) => `${column} = ${column}`).join(', ')} WHERE 0`);
      port.query(`DELETE FROM ${table} WHERE 0`);
    } catch (error) {
      if (!(error instanceof SqliteError)) throw error;
      throw new AtollError('sql', `a trigger of ${name} would not run any more: ${error.message}`);
    }
  }
}
