import { assert, present } from '../../base/assert.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import { ByteReader, DecodeError } from '../log/bytes.ts';
import type { Change, Image } from '../log/commit.ts';
import { decodeChanges, readValues, sameValues } from '../log/encoding.ts';
import { fingerprint } from '../log/fingerprint.ts';
import { changeStamp, keyOf, type Layout } from '../log/layout.ts';
import { deleteRow, insertRows } from '../log/rows.ts';
import { startLog } from '../log/tables.ts';
import { FORMAT_VERSION, markFormat, NewerFormatError } from '../replica/format.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { Follower } from './follower.ts';
import {
  decodeCursor,
  decodeHead,
  type SnapshotCursor,
  type SnapshotHead,
  type SnapshotPage,
  type SnapshotPageHead,
} from './snapshot-format.ts';

/** How far the snapshot is, in a file that is no replica before it is done: it has no `_atoll_format`. */
const MARKER = `CREATE TABLE _atoll_snapshot (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  head TEXT NOT NULL, -- JSON, snapshot-format.ts
  next TEXT NOT NULL, -- JSON of the cursor; null: all rows are here
  sequences TEXT NOT NULL
)`;

/**
 * A file that becomes a replica page by page. Each page is durable with the place of the next, so that after an
 * interruption, of either side or the link, it goes on where it was.
 *
 * Its methods run outside of transactions: foreign keys, which hold again when all rows are there, are off meanwhile,
 * and SQLite takes that PRAGMA nowhere else.
 */
export class SnapshotTarget {
  readonly head: SnapshotHead;
  readonly #port: SqlitePort;
  #cursor: SnapshotCursor | null;

  private constructor(port: SqlitePort, head: SnapshotHead, cursor: SnapshotCursor | null) {
    this.#port = port;
    this.head = head;
    this.#cursor = cursor;
  }

  /** Starts in an empty file. @throws NewerFormatError, DecodeError for a head that is none */
  static begin(port: SqlitePort, received: SnapshotHead): SnapshotTarget {
    const head = decodeHead(received);
    if (head.format > FORMAT_VERSION) throw new NewerFormatError(head.format);
    const { rows } = port.query(`SELECT 1 FROM sqlite_schema WHERE name GLOB '_atoll_*' LIMIT 1`);
    assert(rows.length === 0, 'a snapshot begins in an empty file');
    port.transaction(() => {
      port.query(MARKER);
      port.query(
        'INSERT INTO _atoll_snapshot VALUES (1, ?, ?, ?)',
        JSON.stringify(head),
        JSON.stringify(head.start),
        '[]',
      );
      for (const { sql } of head.schema.filter(({ type }) => type === 'table')) port.query(sql);
      startLog(port, head.base);
    });
    return new SnapshotTarget(port, head, head.start);
  }

  /** Null for a file without an unfinished snapshot. */
  static resume(port: SqlitePort): SnapshotTarget | null {
    if (port.query(`SELECT 1 FROM sqlite_schema WHERE name = '_atoll_snapshot'`).rows.length === 0)
      return null;
    const [head, next] = present(
      port.query('SELECT head, next FROM _atoll_snapshot').rows[0],
      'a snapshot has a head',
    );
    return new SnapshotTarget(port, JSON.parse(String(head)), JSON.parse(String(next)));
  }

  /** Where the next page begins; null when all are here, and {@link finish} may be called. */
  get cursor(): SnapshotCursor | null {
    return this.#cursor;
  }

  /**
   * Takes the page at the cursor; durable when this returns. False, and nothing done, for any other page: it came twice
   * or is of another snapshot.
   *
   * @throws DecodeError for a page that is damaged
   */
  accept({ head, data }: SnapshotPage): boolean {
    const cursor = this.#cursor;
    if (head.base !== this.head.base.commitId || cursor === null) return false;
    if (!sameCursor(decodeCursor(head.cursor), cursor)) return false;
    if (fingerprint(data) !== head.fingerprint) throw new DecodeError('a page of a snapshot is damaged');
    withoutForeignKeys(this.#port, () => {
      this.#port.transaction(() => {
        if (cursor.phase === 'rows') this.#insert(data);
        else this.#undo(decodeChanges(data));
        this.#keep(head);
      });
    });
    this.#cursor = head.next;
    return true;
  }

  /** Makes the file a replica, with its indexes, triggers and views. May be called again where it was interrupted. */
  finish(): Follower {
    const port = this.#port;
    assert(this.#cursor === null, 'a snapshot has all its pages');
    const there = new Set(port.query('SELECT name FROM sqlite_schema').rows.map(([name]) => String(name)));
    // One by one: each may take long.
    for (const { type, name, sql } of this.head.schema)
      if (type === 'index' && !there.has(name)) port.transaction(() => port.query(sql));
    port.transaction(() => {
      for (const { type, sql } of this.head.schema)
        if (type === 'trigger' || type === 'view') port.query(sql);
      this.#setSequences();
      changeStamp(port);
      port.query('DROP TABLE _atoll_snapshot');
      markFormat(port, this.head.format);
    });
    return present(Follower.open(port), 'the file is a replica');
  }

  #keep({ next, sequences }: SnapshotPageHead): void {
    this.#port.query('UPDATE _atoll_snapshot SET next = ?', JSON.stringify(next));
    if (sequences !== undefined)
      this.#port.query('UPDATE _atoll_snapshot SET sequences = ?', JSON.stringify(sequences));
  }

  #insert(data: Uint8Array): void {
    const reader = new ByteReader(data);
    while (!reader.done) {
      const layout = this.#layoutAt(reader.varint());
      const rows: SqlValue[][] = Array.from({ length: reader.varint() }, () => readValues(reader));
      insertRows(this.#port, layout, rows, 'REPLACE');
    }
  }

  /** Newest first. */
  #undo(changes: readonly Change[]): void {
    const layouts = new Map(
      this.head.tables.map((_, index) => {
        const layout = this.#layoutAt(index);
        return [layout.layout, layout];
      }),
    );
    for (const { layout: number, before, after } of changes) {
      const layout = present(layouts.get(number), () => `layout ${number} is not in the snapshot`);
      if (after !== null && !staysInPlace(layout, before, after)) deleteRow(this.#port, layout, after);
      if (before !== null) insertRows(this.#port, layout, [before], 'REPLACE');
    }
  }

  #layoutAt(index: number): Layout {
    const table = this.head.tables[index];
    if (table === undefined) throw new DecodeError(`table ${index} is not in the snapshot`);
    return { ...table, tableId: 0 as Layout['tableId'], current: true, realColumns: [] };
  }

  #setSequences(): void {
    const port = this.#port;
    const { rows } = port.query('SELECT sequences FROM _atoll_snapshot');
    for (const [table, id] of JSON.parse(String(rows[0]?.[0])) as [string, string][]) {
      port.query('DELETE FROM sqlite_sequence WHERE name = ?', table);
      port.query('INSERT INTO sqlite_sequence(name, seq) VALUES (?, CAST(? AS INTEGER))', table, id);
    }
  }
}

/** Whether the row as it was takes the place of the row as it became, by its key alone. */
function staysInPlace(layout: Layout, before: Image | null, after: Image): boolean {
  return before !== null && sameValues(keyOf(layout, before), keyOf(layout, after));
}

function sameCursor(left: SnapshotCursor, right: SnapshotCursor): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}

/** Rows come in any order, and may be as no rule allows (`CHECK (random() …)`, an UPSERT on a table's own parent). */
function withoutForeignKeys(port: SqlitePort, body: () => void): void {
  port.query('PRAGMA foreign_keys = OFF');
  port.query('PRAGMA ignore_check_constraints = ON');
  try {
    assert(
      port.query('PRAGMA foreign_keys').rows[0]?.[0] === 0,
      'no page of a snapshot within a transaction',
    );
    body();
  } finally {
    port.query('PRAGMA ignore_check_constraints = OFF');
    port.query('PRAGMA foreign_keys = ON');
  }
  assert(port.query('PRAGMA foreign_keys').rows[0]?.[0] === 1, 'foreign keys hold again');
}
