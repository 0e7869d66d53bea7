import { assert } from '../../base/assert.ts';
import { createLog } from '../log/capture.ts';
import { INTERNAL_LAYOUTS_START } from '../log/layout.ts';
import { createLogTables } from '../log/tables.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { BOOKKEEPING, createInternalTable, TRANSACTION_TABLES } from './bookkeeping.ts';
import { IDENTITY_DDL } from './identity.ts';
import { LOCAL_DDL } from './local-tables.ts';
import { SCHEMA_DDL } from './schema-versions.ts';
import { upgradeSystemTables } from './system-upgrade.ts';

/**
 * Version of what a partition's file holds besides users' tables. History, newest first:
 *
 * - 3: transactions over partitions, and requests with an idempotency key (bookkeeping.ts). Their layouts have numbers
 *   of their own, since replicas of one partition upgrade at different places of its log.
 * - 2: replication: who follows, and pieces of entries that are received (local-tables.ts); hosts that join
 *   (system-upgrade.ts).
 * - 1: first version.
 */
export const FORMAT_VERSION = 3;

/** Step n upgrades a file of version n + 1 to n + 2, in one transaction. */
const UPGRADES: readonly ((port: SqlitePort) => void)[] = [
  (port) => {
    port.query(LOCAL_DDL);
    upgradeSystemTables(port);
  },
  (port) => createTransactionTables(port),
];
assert(UPGRADES.length === FORMAT_VERSION - 1, 'every version but the first has a step that leads to it');

/** A file that a newer Atoll has written: this one must leave it alone. */
export class NewerFormatError extends Error {
  override name = 'NewerFormatError';
  constructor(found: number) {
    super(`the data has format version ${found}, this Atoll knows ${FORMAT_VERSION}: run the newer Atoll`);
  }
}

/** The file's format version, or null for a file that Atoll has not created. */
export function readFormat(port: SqlitePort): number | null {
  const exists = port.query(`SELECT 1 FROM sqlite_schema WHERE name = '_atoll_format'`).rows.length > 0;
  return exists ? Number(port.query('SELECT format_version FROM _atoll_format').rows[0]?.[0]) : null;
}

/** Says that the file is a whole replica of this format: the last that a snapshot writes. */
export function markFormat(port: SqlitePort, version: number): void {
  port.query('CREATE TABLE _atoll_format (format_version INTEGER NOT NULL)');
  port.query('INSERT INTO _atoll_format VALUES (?)', version);
}

/** Creates everything internal in an empty file, in the transaction that is open. */
export function createFormat(port: SqlitePort): void {
  markFormat(port, FORMAT_VERSION);
  port.query(IDENTITY_DDL);
  port.query(SCHEMA_DDL);
  port.query(LOCAL_DDL);
  createLogTables(port);
  for (const table of BOOKKEEPING) {
    if (TRANSACTION_TABLES.includes(table)) continue;
    createInternalTable(port, table);
    createLog(port, table);
  }
  createTransactionTables(port);
}

function createTransactionTables(port: SqlitePort): void {
  for (const table of TRANSACTION_TABLES) {
    createInternalTable(port, table);
    createLog(port, table, INTERNAL_LAYOUTS_START + table.id);
  }
}

/** Brings an existing file to the present version, step by step. */
export function upgradeFormat(port: SqlitePort, found: number): void {
  if (found > FORMAT_VERSION) throw new NewerFormatError(found);
  for (let version = found; version < FORMAT_VERSION; version++) {
    port.transaction(() => {
      UPGRADES[version - 1]?.(port);
      port.query('UPDATE _atoll_format SET format_version = ?', version + 1);
    });
  }
}
