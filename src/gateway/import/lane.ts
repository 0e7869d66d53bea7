import type { PartitionId } from '../../base/brand.ts';
import { KEYS_MAX } from '../../core/transaction/footprint.ts';
import type { ImportChunkReply } from '../../protocol/import.ts';
import type { Row } from './row-builder.ts';
import type { ImportTarget, Shape } from './target.ts';

/** Rows for one partition, in the order of the source. */
export interface Chunk {
  /** What the rows were made for. */
  readonly target: ImportTarget;
  readonly firstLine: number;
  readonly lastLine: number;
  readonly runs: readonly Run[];
  readonly rows: readonly string[];
}

interface Run {
  readonly shape: Shape;
  readonly tagged: Set<number>;
  rowCount: number;
}

/**
 * Rows in a chunk: some 10 ms of the partition, whose other requests wait meanwhile. Measured, four partitions in one
 * process: 1,024 to 4,096 give the most rows/s, 512 a tenth less, 16,384 a third less.
 */
const CHUNK_ROWS = 4_096;

/**
 * Rows in a chunk of a table with so many indexes over partitions: so few that the transaction locks rows and entries one by
 * one, and those of other chunks need not wait.
 */
export const chunkRows = (indexes: number): number =>
  indexes === 0 ? CHUNK_ROWS : Math.floor(KEYS_MAX / (1 + indexes));

/** Likewise of a table whose ids, where they are given, are locked in every partition. */
export const givenRows = (indexes: number): number => Math.min(KEYS_MAX, chunkRows(indexes));

/**
 * What one request has for one partition: a chunk that fills and at most one that is on its way. The second waits for
 * the first's confirmation, since the partition's watermark must never pass a row that is not in.
 */
export class Lane {
  readonly partition: PartitionId;
  readonly #charactersMax: number;
  readonly #rowsMax: number;
  readonly #givenMax: number;
  #rows: string[] = [];
  #runs: Run[] = [];
  #shape: Shape | null = null;
  #characters = 0;
  #firstLine = 0;
  #lastLine = 0;
  #inFlightFrom: number | null = null;
  #sending: Promise<void> = Promise.resolve();
  readonly confirmed = { rows: 0, skipped: 0 };

  /** `givenMax`: rows in a chunk whose ids are given. */
  constructor(partition: PartitionId, charactersMax: number, rowsMax = CHUNK_ROWS, givenMax = rowsMax) {
    this.partition = partition;
    this.#charactersMax = charactersMax;
    this.#rowsMax = rowsMax;
    this.#givenMax = givenMax;
  }

  /** True when the chunk is full and must be sent. */
  add(row: Row): boolean {
    if (this.#rows.length === 0) this.#firstLine = row.line;
    this.#lastLine = row.line;
    if (row.shape !== this.#shape) {
      this.#shape = row.shape;
      this.#runs.push({ shape: row.shape, tagged: new Set(), rowCount: 0 });
    }
    const run = this.#runs.at(-1) as Run;
    run.rowCount++;
    if (row.tagged !== null) for (const index of row.tagged) run.tagged.add(index);
    this.#rows.push(row.text);
    this.#characters += row.text.length;
    const rowsMax = row.shape.generatesIds ? this.#rowsMax : this.#givenMax;
    return this.#rows.length >= rowsMax || this.#characters >= this.#charactersMax;
  }

  /**
   * Sends the chunk that has filled as soon as the one before it is confirmed; resolves when it is on its way. `send`
   * rejects when the chunk is not confirmed, and then `failed` is told, nothing more is sent.
   */
  async flush(
    target: ImportTarget,
    send: (chunk: Chunk) => Promise<ImportChunkReply>,
    failed: (error: unknown) => void,
  ): Promise<void> {
    await this.#sending;
    if (this.#rows.length === 0 || this.#inFlightFrom !== null) return;
    const chunk = this.#take(target);
    this.#inFlightFrom = chunk.firstLine;
    this.#sending = send(chunk).then((reply) => {
      this.#inFlightFrom = null;
      this.confirmed.rows += reply.rows;
      this.confirmed.skipped += reply.skipped;
    }, failed);
  }

  #take(target: ImportTarget): Chunk {
    const chunk: Chunk = {
      target,
      firstLine: this.#firstLine,
      lastLine: this.#lastLine,
      runs: this.#runs,
      rows: this.#rows,
    };
    this.#rows = [];
    this.#runs = [];
    this.#shape = null;
    this.#characters = 0;
    return chunk;
  }

  /** Resolves when nothing is on its way. */
  settled(): Promise<void> {
    return this.#sending;
  }

  /** The first line that is not confirmed; null: all that was added is. */
  get unconfirmedFrom(): number | null {
    return this.#inFlightFrom ?? (this.#rows.length > 0 ? this.#firstLine : null);
  }
}
