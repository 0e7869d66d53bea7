import type { Affinity, Table } from '../schema/table.ts';
import { type InternalColumn, internalTable } from './bookkeeping.ts';

const text = (name: string, key = 0): InternalColumn => [name, 'TEXT' as Affinity, key];
const integer = (name: string, key = 0): InternalColumn => [name, 'INTEGER' as Affinity, key];
const real = (name: string): InternalColumn => [name, 'REAL' as Affinity, 0];

/**
 * The network information: tables of the system partition, logged like users' rows. Those named `atoll_…` can be
 * read with SQL; ids are for ever.
 */

/** Secrets and settings of the database: the history id, the signing key, the revoked tokens. Not readable with SQL. */
export const SETTINGS = internalTable(10, '_atoll_settings', [text('name', 1), text('value')]);

/** `kind`: `edge` or `agent`; `status`: core/network/status.ts. What is more about agents is in HOST_PROFILES. */
export const HOSTS = internalTable(11, 'atoll_hosts', [text('host', 1), text('kind'), text('status')]);

/** `status`: `creating` until its object has confirmed that it exists. Ids `id_start` … `id_end` − 1 are its own. */
export const PARTITIONS = internalTable(12, 'atoll_partitions', [
  integer('partition', 1),
  integer('epoch'),
  text('status'),
  integer('id_start'),
  integer('id_end'),
]);

/** `role`: `leader` or `learner`. Partition 0 is led by the host that leads the others, and not listed with it. */
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

/**
 * Schema changes ever proposed. `state`: `proposed`, then `published` or `withdrawn`, which are final; where an index is built over
 * rows that are there, `building` and then `published` or `failed`.
 */
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

/**
 * What an agent says of itself, and its membership. Ids `id_start` … `id_end` − 1 are kept for it while it is a member;
 * `addresses`: a JSON array; `served_at`: when it first had all its replicas in sync; `refusals`: in a row.
 */
export const HOST_PROFILES = internalTable(19, 'atoll_host_profiles', [
  text('host', 1),
  text('name'),
  text('public_key'),
  text('addresses'),
  integer('id_start'),
  integer('id_end'),
  text('proposed_at'),
  text('joined_at'),
  text('served_at'),
  text('status_since'),
  text('draining_since'),
  integer('refusals'),
  text('retry_at'),
]);

/**
 * What changes all the time: a sample, written every some seconds; core/replica/hosts-monitor.ts has the newest. `score`
 * … `next_try_at`: core/network/reliability.ts.
 */
export const HOST_METRICS = internalTable(20, 'atoll_host_metrics', [
  text('host', 1),
  text('seen_at'),
  integer('free_bytes'),
  integer('total_bytes'),
  integer('held_bytes'),
  real('cpu_rating'),
  integer('clock_skew_ms'),
  real('score'),
  text('scored_at'),
  integer('retries'),
  text('next_try_at'),
]);

/** `state`: `open`, then `accepted` or `refused`. `electorate`: a JSON array of host ids, fixed at the proposal. */
export const HOST_PROPOSALS = internalTable(21, 'atoll_host_proposals', [
  integer('proposal', 1),
  text('host'),
  text('electorate'),
  text('state'),
  text('proposed_at'),
  text('deadline'),
  text('decided_at'),
]);

/** Each host once for each proposal. `accept`: 0 or 1. */
export const VOTES = internalTable(22, 'atoll_votes', [
  integer('proposal', 1),
  text('voter', 2),
  integer('accept'),
  text('reason'),
  text('voted_at'),
]);

/** Round trips as `host` measured them; samples, as above. */
export const LATENCIES = internalTable(23, 'atoll_latencies', [
  text('host', 1),
  text('other', 2),
  real('ms'),
  text('measured_at'),
]);

/**
 * How far learners are. `state`: `loading`, `in-sync` or `behind`, always as it is; `matched`, the last commit that it has
 * durably, and the lag are samples, as above.
 */
export const REPLICA_PROGRESS = internalTable(24, 'atoll_replica_progress', [
  integer('partition', 1),
  text('host', 2),
  text('state'),
  integer('matched'),
  integer('leader_last'),
  integer('lag_ms'),
  text('reported_at'),
]);

/** What became of each host and why, numbered within it; the newest are kept. */
export const HOST_EVENTS = internalTable(25, 'atoll_host_events', [
  text('host', 1),
  integer('number', 2),
  text('event'),
  text('status_before'),
  text('status_after'),
  text('reason'),
  text('at'),
]);

/** Runs of equal outcomes of calls to a host: since when it answers, or does not; the newest are kept. */
export const RELIABILITY = internalTable(26, 'atoll_reliability', [
  text('host', 1),
  text('since_at', 2),
  text('outcome'),
  text('last_at'),
  integer('count'),
  real('score'),
]);

/** Since format version 2. */
export const HOST_TABLES: readonly Table[] = [
  HOST_PROFILES,
  HOST_METRICS,
  HOST_PROPOSALS,
  VOTES,
  LATENCIES,
  REPLICA_PROGRESS,
  HOST_EVENTS,
  RELIABILITY,
];

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
  ...HOST_TABLES,
];
