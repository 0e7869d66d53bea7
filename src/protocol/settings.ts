import type { PartitionId } from '../base/brand.ts';

/** How long the log of every partition of a database is kept, for reads of the past and for copies that were away. */
export interface LogRetention {
  readonly milliseconds: number;
  /** Of a partition's log; older entries go whatever their age. */
  readonly bytes: number;
}

/** What may be set (chosen: below, reads of the past would be of no use; above, the log would crowd out rows in an object's 10 GB). */
export const RETENTION_LIMITS = {
  seconds: { min: 60, max: 30 * 24 * 3_600 },
  bytes: { min: 1024 * 1024, max: 2 * 1024 * 1024 * 1024 },
} as const;

/** To the system partition: changes what is `set`, and tells what is. */
export interface RetentionRequest {
  readonly set?: Partial<LogRetention>;
}

export interface RetentionReply extends LogRetention {
  /** Partitions that have not confirmed the change yet; it is delivered to them. */
  readonly pending: readonly PartitionId[];
}
