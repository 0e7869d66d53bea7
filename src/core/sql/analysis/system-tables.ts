import { asciiLower } from '../../../base/ascii.ts';

/**
 * Atoll's own tables, which anybody may read; they live in the system partition: those named `atoll_…` in
 * `core/replica/system-tables.ts`, a higher layer, with which a test compares them.
 */
export const READABLE_SYSTEM_TABLES: ReadonlySet<string> = new Set([
  'atoll_hosts',
  'atoll_partitions',
  'atoll_replicas',
  'atoll_ranges',
  'atoll_tables',
  'atoll_migrations',
  'atoll_migration_partitions',
  'atoll_host_profiles',
  'atoll_host_metrics',
  'atoll_host_proposals',
  'atoll_votes',
  'atoll_latencies',
  'atoll_replica_progress',
  'atoll_host_events',
  'atoll_reliability',
]);

export function isSystemTable(name: string): boolean {
  return READABLE_SYSTEM_TABLES.has(asciiLower(name));
}
