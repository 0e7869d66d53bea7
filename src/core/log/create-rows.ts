import { present } from '../../base/assert.ts';
import { SqliteError, type SqlitePort } from '../sqlite/port.ts';
import type { Change } from './commit.ts';
import { type Layouts, layoutOf } from './layout.ts';
import { insertRow } from './rows.ts';

/**
 * Inserts rows that a statement has written elsewhere: its triggers have fired there and are silent here (guard.ts), while
 * constraints hold. The order does not matter to foreign keys: a row waits for its parent.
 *
 * @throws SqliteError of the constraint that a row violates
 */
export function createRows(port: SqlitePort, creates: readonly Change[], layouts: Layouts): void {
  port.query('UPDATE _atoll_head SET applying = 1');
  let waiting = creates;
  while (waiting.length > 0) {
    let missing: SqliteError | null = null;
    const left: Change[] = [];
    for (const change of waiting) {
      try {
        insertRow(port, layoutOf(layouts, change), present(change.after, 'a row to create has values'));
      } catch (error) {
        if (!(error instanceof SqliteError) || !error.message.startsWith('FOREIGN KEY')) throw error;
        missing = error;
        left.push(change);
      }
    }
    if (missing !== null && left.length === waiting.length) throw missing;
    waiting = left;
  }
  port.query('UPDATE _atoll_head SET applying = 0');
}
