import type { Epoch, SchemaVersion } from '../base/brand.ts';
import type { Attempt, RingRange } from './transaction.ts';

/**
 * Router → partition, `import-chunk`: rows of one table, in the order of the source. The body is text: the head as
 * JSON on its first line, then one line per row, the runs' rows one after the other.
 *
 * A row is a JSON array: the number of its line in the source, then its values in the order of the run's columns,
 * in the JSON that SQLite reads exactly (`gateway/import/row-text.ts`).
 */
export interface ImportChunkHead {
  readonly epoch: Epoch;
  readonly schema: SchemaVersion;
  /** The partition must have applied the system partition's log this far (reference tables). */
  readonly system: number;
  readonly table: string;
  /**
   * Names a stream of lines of which each partition gets its own in order, chunk after chunk: what lies at or before
   * the last line that is stored under this name is in already. Null: nothing is remembered.
   */
  readonly importId: string | null;
  /** Numbers of the lines of the first and of the last row. */
  readonly firstLine: number;
  readonly lastLine: number;
  readonly runs: readonly ImportRun[];
  /** The rows have entries in indexes over partitions: a partition that does not know of this refuses them. */
  readonly spread?: ImportSpread;
}

/** The chunk is a transaction over partitions, whose anchor the rows' partition is. */
export interface ImportSpread extends Attempt {
  readonly ring: readonly RingRange[];
}

export interface ImportChunk {
  readonly head: ImportChunkHead;
  readonly rows: readonly string[];
}

/** Rows one after the other that one statement inserts. */
export interface ImportRun {
  readonly columns: readonly string[];
  /** The partition gives each row an id of its own range. */
  readonly generatesIds: boolean;
  /** Indexes of columns in which a value may be `{"b":"<hex>"}`, a BLOB, or `{"t":"<hex>"}`, TEXT by its bytes. */
  readonly tagged: readonly number[];
  readonly rowCount: number;
}

export interface ImportChunkReply {
  /** Rows added now. */
  readonly rows: number;
  /** Rows that were in already, from an earlier run under the same id. */
  readonly skipped: number;
}

export function encodeImportChunk(head: ImportChunkHead, rows: readonly string[]): string {
  return `${JSON.stringify(head)}\n${rows.join('\n')}`;
}

export function decodeImportChunk(body: string): { head: ImportChunkHead; rows: string[] } {
  const [head = '', ...rows] = body.split('\n');
  return { head: JSON.parse(head) as ImportChunkHead, rows };
}
