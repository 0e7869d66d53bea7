import { present } from '../../base/assert.ts';
import type { CommitId } from '../../base/brand.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import type { Change, Image } from '../log/commit.ts';
import { encodeValues, imageBytes } from '../log/encoding.ts';
import { fingerprint } from '../log/fingerprint.ts';
import { changePage } from '../log/image.ts';
import { readLayouts } from '../log/layout.ts';
import { readEntry } from '../log/read.ts';
import { readHead } from '../log/tables.ts';
import type { Replica } from '../replica/replica.ts';
import { murmur3 } from '../schema/token.ts';
import { TableDigest, type Tree } from './merkle.ts';
import { type SnapshotTable, snapshotTables } from './snapshot-format.ts';
import { isPast, readRows } from './table-rows.ts';

/** Values that one step reads, rows and images each (chosen: some milliseconds). */
const STEP_BYTES = 256 * 1024;

/**
 * Digests of a replica's rows as of commit `at`, counted in bounded steps while it goes on. A row is counted as it is
 * when it is read; a change after `at` that it has by then is taken out, which is one that happened while
 * the row's place was still ahead of the reading. Changes of places that were read already do not matter.
 */
export class MerkleScan {
  readonly at: CommitId;
  readonly #replica: Replica;
  readonly #schema: number;
  readonly #tables: readonly SnapshotTable[];
  readonly #tree = new Map<string, TableDigest>();
  /** `at` was the last commit when this began: the schema then was that of `at`, whether its entry is kept or not. */
  readonly #isOfLast: boolean;
  /** The table that is being read, and the key that was read last. */
  #index = 0;
  #after: string | null = null;
  /** Up to here changes are taken out; of the entry that follows, images before `#offset`. */
  #seen: CommitId;
  #offset = 0;

  /** Begins now; the log must reach back to `at`. */
  constructor(replica: Replica, at: CommitId) {
    this.#replica = replica;
    this.at = at;
    this.#seen = at;
    this.#schema = replica.schema.version;
    this.#isOfLast = readHead(replica.port).lastCommitId === at;
    this.#tables = snapshotTables(replica.port).filter(({ layout }) => layout > 0);
    for (const { table } of this.#tables) this.#tree.set(table, new TableDigest(table));
  }

  /**
   * One step of about `bytesMax`, between transactions: again while it gives null. `gone`: the schema has changed since `at`, or the
   * log does not reach back.
   */
  step(bytesMax: number = STEP_BYTES): Tree | 'gone' | null {
    const { port, schema } = this.#replica;
    const { firstCommitId, lastCommitId } = readHead(port);
    if (this.at > lastCommitId || this.#seen < firstCommitId - 1) return 'gone';
    if (schema.version !== this.#schema || !this.#hasSchemaOf()) return 'gone';
    // Rows are read only when all that has happened to them is known.
    if (!this.#takeOut(lastCommitId, bytesMax)) return null;
    this.#count(bytesMax);
    return this.#index === this.#tables.length ? this.#tree : null;
  }

  #hasSchemaOf(): boolean {
    if (this.#seen > this.at || this.#isOfLast) return true;
    const entry = readEntry(this.#replica.port, this.at);
    return entry !== null && entry.header.schemaVersion === this.#schema;
  }

  /** False if there are more changes than a step has room for: rows wait for the next one. */
  #takeOut(last: CommitId, bytesMax: number): boolean {
    const { port } = this.#replica;
    const layouts = readLayouts(port);
    let left = bytesMax;
    while (this.#seen < last) {
      if (left <= 0) return false;
      const { images } = present(readEntry(port, (this.#seen + 1) as CommitId), 'an entry of the log');
      const first = images.first + this.#offset;
      if (first <= images.last) {
        const { changes, next } = changePage(port, layouts, { first, last: images.last }, left);
        for (const change of changes) {
          this.#takeOutChange(change);
          left -= 64 + imageBytes(change.before) + imageBytes(change.after);
        }
        if (next !== null) {
          this.#offset = next - images.first;
          continue;
        }
      }
      left -= 64;
      this.#offset = 0;
      this.#seen = (this.#seen + 1) as CommitId;
    }
    return true;
  }

  #takeOutChange({ layout, before, after }: Change): void {
    const index = this.#tables.findIndex((table) => table.layout === layout);
    const table = present(this.#tables[index], () => `layout ${layout} is not current`);
    if (before !== null && this.#isAhead(index, table, before)) this.#add(table, before, 1);
    if (after !== null && this.#isAhead(index, table, after)) this.#add(table, after, -1);
  }

  #isAhead(index: number, table: SnapshotTable, image: Image): boolean {
    if (index !== this.#index || this.#after === null) return index >= this.#index;
    return isPast(this.#replica.port, table, keyOfRow(table, image), this.#after);
  }

  #count(bytesMax: number): void {
    let left = bytesMax;
    while (left > 0) {
      const table = this.#tables[this.#index];
      if (table === undefined) return;
      const page = readRows(this.#replica.port, table, this.#after, left, left === bytesMax);
      for (const row of page.rows) {
        this.#add(table, row, 1);
        left -= imageBytes(row);
      }
      if (page.more) {
        this.#after = page.after;
        return;
      }
      this.#index++;
      this.#after = null;
      left -= 1024;
    }
  }

  #add(table: SnapshotTable, row: Image, sign: 1 | -1): void {
    const token = murmur3(encodeValues(keyOfRow(table, row)));
    present(this.#tree.get(table.table), 'a table of the scan').add(
      token,
      fingerprint(encodeValues(row)),
      sign,
    );
  }
}

function keyOfRow({ key }: SnapshotTable, row: readonly SqlValue[]): SqlValue[] {
  return key.map((index) => row[index] ?? null);
}
