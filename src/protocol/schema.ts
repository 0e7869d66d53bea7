import type { Epoch, SchemaVersion, TableId } from '../base/brand.ts';
import type { RingRange } from './transaction.ts';

/** System partition → partition: try this change, undo it, and hold writes until told how it ends. */
export interface SchemaCheck {
  readonly proposal: number;
  /** `core/schema/change.ts`: SchemaChange. */
  readonly change: unknown;
  /** The partition must have followed the system partition this far before it tries. */
  readonly system: number;
}

/** A partition that does not say `filling` refuses such a change. */
export interface SchemaCheckReply {
  readonly passed: true;
  /** Hidden tables of new indexes over partitions whose tables have rows here: they are built over them first. */
  readonly filling?: readonly TableId[];
}

/**
 * System partition → partition: make entries of an index that is being built, for rows of yours whose keys come after `after`.
 * Answered when all are done, or some time is over.
 */
export interface IndexFillRequest {
  /** Hidden table of the index. */
  readonly index: TableId;
  /** Key of the last row that is done, JSON array as text; null: from the first. */
  readonly after: string | null;
  readonly epoch: Epoch;
  readonly schema: SchemaVersion;
  readonly system: number;
  readonly ring: readonly RingRange[];
}

export interface IndexFillReply {
  /** Rows that were gone through. */
  readonly rows: number;
  /** Where the next request starts; null: all are done. */
  readonly after: string | null;
}

/** An index over partitions that is being built over rows that are there. */
export interface IndexBuildView {
  /** In the ledger of migrations; null: that is not known any more. */
  readonly proposal: number | null;
  readonly table: string;
  readonly columns: readonly string[];
  /** Rows gone through, and partitions done, of so many. */
  readonly rows: number;
  readonly partitionsDone: number;
  readonly partitions: number;
}

/** System partition → partition, or its answer to a partition that asks: how a proposal ended. */
export interface SchemaFate {
  readonly proposal: number;
  readonly state: 'proposed' | 'published' | 'withdrawn';
}

/** Router → system partition: change the schema by these statements, all or nothing. */
export interface SchemaChangeRequest {
  readonly statements: readonly string[];
}

export interface SchemaChangeReply {
  readonly version: number;
  /** False when the statements had no effect (IF NOT EXISTS). */
  readonly changed: boolean;
  /** Partitions that have not confirmed the new version yet; they apply it before they serve anything else. */
  readonly pending: readonly number[];
}
