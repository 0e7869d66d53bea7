import type { Affinity, Table } from '../schema/table.ts';
import { type InternalColumn, internalTable } from './bookkeeping.ts';

const text = (name: string, key = 0): InternalColumn => [name, 'TEXT' as Affinity, key];
const integer = (name: string, key = 0): InternalColumn => [name, 'INTEGER' as Affinity, key];

/**
 * The network information: tables of the system partition, logged like users' rows. Those named `atoll_…` can be
 * read with SQL; ids are for ever.
 */

/** Secrets and settings of the database: the history id, the signing key, the revoked tokens. Not readable with SQL. */
export const SETTINGS = internalTable(10, '_atoll_settings', [text('name', 1), text('value')]);

/** `status`: `write`, the only one until agents join. */
export const HOSTS = internalTable(11, 'atoll_hosts', [text('host', 1), text('kind'), text('status')]);

/** `status`: `creating` until its object has confirmed that it exists. Ids `id_start` … `id_end` − 1 are its own. */
export const PARTITIONS = internalTable(12, 'atoll_partitions', [
  integer('partition', 1),
  integer('epoch'),
  text('status'),
  integer('id_start'),
  integer('id_end'),
]);

export const REPLICAS = internalTable(13, 'atoll_replicas', [
  integer('partition', 1),
  text('host', 2),
  text('role'),
]);

/** Tokens from `start_token` up to, not including, `end_token`. */
export const RANGES = internalTable(14, 'atoll_ranges', [
  integer('start_token', 1),
  integer('end_token'),
  integer('partition'),
]);

/** `placement`: `reference`, or `partitioned`; `partition_key`: its columns, a comma between them. */
export const TABLES = internalTable(15, 'atoll_tables', [
  integer('table_id', 1),
  text('name'),
  text('placement'),
  text('partition_key'),
  integer('schema_version'),
]);

/** Schema changes ever proposed. `state`: `proposed`, then `published` or `withdrawn`, which are final. */
export const MIGRATIONS = internalTable(16, 'atoll_migrations', [
  integer('proposal', 1),
  integer('version'),
  text('statements'),
  text('state'),
  text('error'),
  text('proposed_at'),
  text('decided_at'),
]);

/** The ledger: which partition has applied which schema version, and when it said so. */
export const LEDGER = internalTable(17, 'atoll_migration_partitions', [
  integer('version', 1),
  integer('partition', 2),
  text('applied_at'),
]);

/** Tokens made by `/v1/tokens`, without their secrets. Not readable with SQL. */
export const TOKENS = internalTable(18, '_atoll_tokens', [
  text('id', 1),
  text('role'),
  text('databases'),
  text('created_at'),
  text('expires_at'),
  text('revoked_at'),
]);

export const SYSTEM_TABLES: readonly Table[] = [
  SETTINGS,
  HOSTS,
  PARTITIONS,
  REPLICAS,
  RANGES,
  TABLES,
  MIGRATIONS,
  LEDGER,
  TOKENS,
];
