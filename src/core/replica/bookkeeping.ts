import type { TableId } from '../../base/brand.ts';
import type { Affinity, Table } from '../schema/table.ts';
import type { SqlitePort } from '../sqlite/port.ts';

/**
 * Atoll's own logged tables in every partition: what they hold changes only by logged changes, is undone with
 * them and travels like rows. Their ids are below those of users' tables, for ever.
 */

/** Name, affinity, position in the PRIMARY KEY (0: none). */
export type InternalColumn = readonly [name: string, affinity: Affinity, primaryKeyIndex: number];

export function internalTable(id: number, name: string, columns: readonly InternalColumn[]): Table {
  return {
    id: id as TableId,
    name,
    columns: columns.map(([columnName, affinity, primaryKeyIndex]) => ({
      name: columnName,
      declaredType: affinity,
      affinity,
      collation: 'BINARY',
      notNull: false,
      defaultSql: null,
      generated: 'no',
      primaryKeyIndex,
    })),
    withoutRowid: true,
    strict: false,
    rowidColumn: null,
    rowidName: null,
    placement: { kind: 'partitioned', key: [] },
    sql: '',
    foreignKeys: [],
    indexes: [],
  };
}

/** `mark`: the first id of a table that was never issued here. */
export const MARKS = internalTable(1, '_atoll_marks', [
  ['table_id', 'INTEGER', 1],
  ['mark', 'INTEGER', 0],
]);

/** How far an import got here: lines of `import_id` up to `line` are in. */
export const IMPORTS = internalTable(2, '_atoll_imports', [
  ['import_id', 'TEXT', 1],
  ['line', 'INTEGER', 0],
]);

/**
 * What this partition knows of the system partition, one row each: `system_index`, up to which its log is
 * applied here (in the system partition itself: `feed_index`, its last entry that others follow); `hold`, the
 * proposal of a schema change whose check has passed here and whose fate is not known yet; `log_retention_ms` and
 * `log_retention_bytes`, settings of the database (retention.ts).
 */
export const PROGRESS = internalTable(3, '_atoll_progress', [
  ['name', 'TEXT', 1],
  ['value', 'INTEGER', 0],
]);

/**
 * Transactions over several partitions that are prepared here and not decided yet. `anchor` is the partition that
 * decides, `term` its leader's; `started_ms` is when the transaction was first tried, which orders those that wait
 * (core/transaction/lock-table.ts); `prepared_at` is log time; `locks` is JSON; `changes`, in the encoding of the log, is what
 * it will change here, or the first of it.
 */
export const PREPARED = internalTable(4, '_atoll_prepared', [
  ['transaction_id', 'TEXT', 1],
  ['anchor', 'INTEGER', 0],
  ['term', 'INTEGER', 0],
  ['started_ms', 'INTEGER', 0],
  ['prepared_at', 'TEXT', 0],
  ['locks', 'TEXT', 0],
  ['changes', 'BLOB', 0],
]);

/** What of a prepared transaction's changes has no room in its row, since a value is bounded: pieces from 1 on. */
export const PREPARED_CHANGES = internalTable(7, '_atoll_prepared_changes', [
  ['transaction_id', 'TEXT', 1],
  ['piece', 'INTEGER', 2],
  ['changes', 'BLOB', 0],
]);

/**
 * Transactions that this partition, as their anchor, has decided to commit, until every participant has confirmed that
 * it has applied them. `participants`: JSON, those that have not.
 */
export const DECISIONS = internalTable(5, '_atoll_decisions', [
  ['transaction_id', 'TEXT', 1],
  ['commit_timestamp', 'TEXT', 0],
  ['participants', 'TEXT', 0],
]);

/**
 * Requests with an idempotency key that were applied here, until their retention is over. `request_id` stands for database,
 * principal and key, `request_hash` for what was asked; `reply` is the answer up to its session token; `issued_ms` the
 * key's time of issue.
 */
export const REQUESTS = internalTable(6, '_atoll_requests', [
  ['request_id', 'TEXT', 1],
  ['request_hash', 'TEXT', 0],
  ['reply', 'TEXT', 0],
  ['issued_ms', 'INTEGER', 0],
]);

/** Since format version 3. */
export const TRANSACTION_TABLES: readonly Table[] = [PREPARED, PREPARED_CHANGES, DECISIONS, REQUESTS];

export const BOOKKEEPING: readonly Table[] = [MARKS, IMPORTS, PROGRESS, ...TRANSACTION_TABLES];

export function createInternalTable(port: SqlitePort, table: Table): void {
  const columns = table.columns.map((each) => `${each.name} ${each.declaredType}`);
  const key = table.columns.filter((each) => each.primaryKeyIndex > 0).map((each) => each.name);
  port.query(
    `CREATE TABLE ${table.name} (${columns.join(', ')}, PRIMARY KEY (${key.join(', ')})) WITHOUT ROWID`,
  );
}

type Progress = 'system_index' | 'feed_index' | 'hold' | 'log_retention_ms' | 'log_retention_bytes';

export function readProgress(port: SqlitePort, name: Progress): number | null {
  const row = port.query('SELECT value FROM _atoll_progress WHERE name = ?', name).rows[0];
  return row === undefined || row[0] === null ? null : Number(row[0]);
}

export function writeProgress(port: SqlitePort, name: Progress, value: number | null): void {
  if (value === null) port.query('DELETE FROM _atoll_progress WHERE name = ?', name);
  else
    port.query(
      'INSERT INTO _atoll_progress VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2',
      name,
      value,
    );
}
