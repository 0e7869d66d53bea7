import type { Epoch, PartitionId, SchemaVersion } from '../base/brand.ts';

/** Tokens from `start`, which belongs to it, to `end`, which does not: 0 ≤ start < end ≤ 2^32. */
export interface WireRange {
  readonly start: number;
  readonly end: number;
}

export interface PartitionInfo {
  readonly id: PartitionId;
  readonly epoch: Epoch;
  readonly ranges: readonly WireRange[];
  readonly status: 'creating' | 'write';
}

/**
 * Network information as routers and hosts keep it: which partitions a database has, what each owns, and
 * the schema. `catalogue` is opaque here (`core/schema/catalogue.ts` gives its shape).
 */
export interface NetworkInformation<Catalogue = unknown> {
  readonly database: string;
  /** Rises with every change of partitions or schema. */
  readonly version: number;
  /** Changes when a database is restored, so that its former tokens cannot be mistaken for new ones. */
  readonly history: string;
  readonly schemaVersion: SchemaVersion;
  /** Commit id of the system partition up to which this was read: reference tables are at least this new. */
  readonly systemIndex: number;
  readonly partitions: readonly PartitionInfo[];
  readonly catalogue: Catalogue;
}
