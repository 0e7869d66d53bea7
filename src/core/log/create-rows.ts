import { present } from '../../base/assert.ts';
import { SqliteError, type SqlitePort } from '../sqlite/port.ts';
import type { Change } from './commit.ts';
import { type Layouts, layoutOf } from './layout.ts';
import { insertRow, insertRows } from './rows.ts';

/**
 * Inserts rows that a statement has written elsewhere: its triggers have fired there and are silent here (guard.ts), while
 * constraints hold. The order does not matter to foreign keys: a row waits for its parent.
 *
 * @throws SqliteError of the constraint that a row violates
 */
export function createRows(port: SqlitePort, creates: readonly Change[], layouts: Layouts): void {
  port.query('UPDATE _atoll_head SET applying = 1');
  let waiting = insertAtOnce(port, creates, layouts) ? [] : creates;
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

/** Rows from which on statements of many rows are tried (chosen). */
const BULK = 8;

/** False, and nothing done, where a constraint is in the way: which one, and of which row, is found one by one. */
function insertAtOnce(port: SqlitePort, creates: readonly Change[], layouts: Layouts): boolean {
  if (creates.length < BULK) return false;
  const byLayout = Map.groupBy(creates, ({ layout }) => layout);
  try {
    port.transaction(() => {
      for (const own of byLayout.values()) {
        const images = own.map(({ after }) => present(after, 'a row to create has values'));
        insertRows(port, layoutOf(layouts, present(own[0], 'a group has one')), images, 'ABORT');
      }
    });
    return true;
  } catch (error) {
    if (error instanceof SqliteError && error.kind === 'constraint') return false;
    throw error;
  }
}
