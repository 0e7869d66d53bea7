import type { Epoch, SchemaVersion, TableId } from '../base/brand.ts';
import type { ImportChunkHead } from './import.ts';
import type { Escapes } from './transaction.ts';

/** Router → system partition, `restore-begin`, `restore-alive`, `restore-end`: `id` is the router's own. */
export interface RestoreMessage {
  readonly id: string;
}

/** Ends the restore: its tables become everybody's, or they are dropped. A repeat is told how it ended. */
export interface RestoreEnd extends RestoreMessage {
  readonly publish: boolean;
}

/** `unknown`: the system partition has never begun it, or has forgotten it for a later one. */
export type RestoreState = 'restoring' | 'published' | 'undone' | 'unknown';

export interface RestoreReply {
  readonly state: RestoreState;
}

/** Router → system partition, `restore-schema`: DDL of the restore. */
export interface RestoreSchema extends RestoreMessage {
  readonly statements: readonly string[];
}

/** Router → partition, `restore-chunk`: an import's chunk whose rows may bring ids of other partitions' ranges. */
export interface RestoreChunkHead extends ImportChunkHead {
  readonly restore: string;
}

interface RestoreRequest {
  readonly epoch: Epoch;
  readonly schema: SchemaVersion;
  /** The partition must have applied the system partition's log this far (reference tables). */
  readonly system: number;
  readonly restore: string;
}

/** Router → partition, `restore-ids`: ids of a table in ascending order, those behind `after`. */
export interface RestoreIdsRequest extends RestoreRequest {
  readonly table: string;
  /** Decimal digits; null: from the first. */
  readonly after: string | null;
}

export interface RestoreIdsReply {
  /** Decimal digits with a comma between them; empty: there are no more. */
  readonly ids: string;
  /** The partition's range of generated ids, `end` excluded. */
  readonly start: number;
  readonly end: number;
}

/** Router → partition, `restore-entries`: entries of an index over partitions for the rows that are here, behind `after`. */
export interface RestoreEntriesRequest extends RestoreRequest {
  /** Id of the index's hidden table. */
  readonly index: TableId;
  /** A row's key, JSON; null: from the first. */
  readonly after: string | null;
}

export interface RestoreEntriesReply {
  /** Entries to be made where they belong. */
  readonly entries: Escapes;
  /** Key of the last row, JSON; null: there are no more. */
  readonly next: string | null;
}

/** Router → partition, `restore-enter`: entries that belong there. Said twice, it does no harm. */
export interface RestoreEnterRequest extends RestoreRequest {
  /** As in {@link Escapes}. */
  readonly changes: string;
}

/** Router → partition, `restore-finish`: raises marks of generated ids, and checks foreign keys over all rows. */
export interface RestoreFinishRequest extends RestoreRequest {
  readonly marks: readonly RestoreMark[];
}

/** The largest restored id of a table, in whatever partition, that is in the partition's range. */
export interface RestoreMark {
  readonly table: string;
  readonly largest: number;
}
