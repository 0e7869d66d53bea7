import { asciiLower } from '../../../base/ascii.ts';

/** Atoll's own tables, which anybody may read; they live in the system partition. */
const SYSTEM_TABLES: ReadonlySet<string> = new Set([
  'atoll_hosts',
  'atoll_partitions',
  'atoll_replicas',
  'atoll_ranges',
  'atoll_tables',
  'atoll_migrations',
]);

export function isSystemTable(name: string): boolean {
  return SYSTEM_TABLES.has(asciiLower(name));
}
