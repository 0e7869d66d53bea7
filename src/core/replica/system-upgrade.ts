import { createLog } from '../log/capture.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { createInternalTable } from './bookkeeping.ts';
import { readIdentity } from './identity.ts';
import { HOST_TABLES } from './system-tables.ts';

/**
 * Format version 2 of the system partition: tables of hosts that join. Part of the step that upgrades a file, in its
 * transaction; other partitions have no such tables.
 */
export function upgradeSystemTables(port: SqlitePort): void {
  if (readIdentity(port).partition !== 0) return;
  for (const table of HOST_TABLES) {
    createInternalTable(port, table);
    createLog(port, table);
  }
}
