import type { Epoch, SchemaVersion, TableId } from '../base/brand.ts';

/**
 * Router → partition, `lookup`: which row has these values of an index over partitions? It waits for transactions that are about to
 * change that, changes nothing and may be repeated.
 */
export interface LookupRequest {
  readonly epoch: Epoch;
  readonly schema: SchemaVersion;
  readonly system: number;
  /** Id of the index's hidden table. */
  readonly index: TableId;
  /** A JSON array of the public API's values. */
  readonly values: string;
}

export interface LookupReply {
  /** The entry, likewise: the values, and what says which row it is and where. Null: no row has them. */
  readonly entry: string | null;
  /** An answer without results, for what it says to have seen. */
  readonly seen: string;
}
