import type { PartitionId } from './brand.ts';

/** Holds the network information, the schema's history, and what reference tables are copies of. */
export const SYSTEM_PARTITION = 0 as PartitionId;
