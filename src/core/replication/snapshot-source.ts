import { asciiLower } from '../../base/ascii.ts';
import { present } from '../../base/assert.ts';
import type { CommitId } from '../../base/brand.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import { ByteWriter } from '../log/bytes.ts';
import type { Change } from '../log/commit.ts';
import { encodeChanges, imageBytes, writeValues } from '../log/encoding.ts';
import { fingerprint } from '../log/fingerprint.ts';
import { changePageBackwards, type SeqRange } from '../log/image.ts';
import { readLayouts } from '../log/layout.ts';
import { readHead } from '../log/tables.ts';
import { FORMAT_VERSION } from '../replica/format.ts';
import type { Replica } from '../replica/replica.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { readPosition } from './position.ts';
import {
  decodeCursor,
  type SchemaObject,
  SNAPSHOT_VERSION,
  type SnapshotCursor,
  type SnapshotHead,
  type SnapshotPage,
  snapshotTables,
} from './snapshot-format.ts';
import { readRows } from './table-rows.ts';

/** Values in a page (chosen: as a batch of entries). */
export const SNAPSHOT_PAGE_BYTES = 512 * 1024;
/** Entries that a page of changes looks at (chosen). */
const ENTRIES_MAX = 4096;
/** Rows of one page at a time. Kept, since new memory for each took a sixth of a leader's time (measured). */
const pageWriter = new ByteWriter();

/** Begins a snapshot at the replica's last entry. Between transactions. */
export function openSnapshot(replica: Replica): SnapshotHead {
  const { port } = replica;
  const { commitId, term, timestamp } = readPosition(port);
  return {
    version: SNAPSHOT_VERSION,
    format: FORMAT_VERSION,
    base: { commitId, term, timestamp },
    schema: readSchema(port),
    tables: snapshotTables(port),
    start: { ...versionsOf(replica), phase: 'rows', table: 0, after: null },
  };
}

/**
 * A page of the snapshot that was opened at `base`; any may be asked for again. Between transactions.
 * `gone`: the schema has changed, or the log does not reach back to `base`. Open a new one.
 *
 * @throws DecodeError for what is no cursor of this snapshot
 */
export function readSnapshotPage(
  replica: Replica,
  base: CommitId,
  at: SnapshotCursor,
  bytesMax: number = SNAPSHOT_PAGE_BYTES,
): SnapshotPage | 'gone' {
  const cursor = decodeCursor(at);
  const { firstCommitId, lastCommitId } = readHead(replica.port);
  const { schema, epoch } = versionsOf(replica);
  if (cursor.schema !== schema || cursor.epoch !== epoch) return 'gone';
  if (base < firstCommitId - 1 || base > lastCommitId) return 'gone';
  const { data, next } =
    cursor.phase === 'rows'
      ? rowsPage(replica.port, cursor, bytesMax)
      : undoPage(replica.port, base, cursor, bytesMax);
  const sequences = next === null ? { sequences: readSequences(replica.port) } : {};
  return { head: { base, cursor, next, fingerprint: fingerprint(data), ...sequences }, data };
}

function versionsOf({ schema, identity }: Replica): { schema: number; epoch: number } {
  return { schema: schema.version, epoch: identity.epoch };
}

interface PageData {
  readonly data: Uint8Array;
  readonly next: SnapshotCursor | null;
}

function rowsPage(
  port: SqlitePort,
  cursor: SnapshotCursor & { readonly phase: 'rows' },
  bytesMax: number,
): PageData {
  const writer = pageWriter;
  writer.clear();
  const tables = snapshotTables(port);
  let { table: index, after } = cursor;
  let left = bytesMax;
  while (index < tables.length) {
    const table = present(tables[index], 'a table of the snapshot');
    const page = readRows(port, table, after, left, left === bytesMax);
    if (page.rows.length > 0) writeRows(writer, index, page.rows);
    for (const row of page.rows) left -= imageBytes(row);
    if (page.more) {
      after = page.after;
      break;
    }
    index++;
    after = null;
    if (left <= 0) break;
  }
  const versions = { schema: cursor.schema, epoch: cursor.epoch };
  const next: SnapshotCursor =
    index < tables.length
      ? { ...versions, phase: 'rows', table: index, after }
      : { ...versions, phase: 'undo', commitId: null, seq: null };
  return { data: writer.finish(), next };
}

function writeRows(writer: ByteWriter, table: number, rows: readonly (readonly SqlValue[])[]): void {
  writer.varint(table);
  writer.varint(rows.length);
  for (const row of rows) writeValues(writer, row);
}

/** Changes of whole entries lie together in the log, so that one read takes those of many. */
function undoPage(
  port: SqlitePort,
  base: CommitId,
  cursor: SnapshotCursor & { readonly phase: 'undo' },
  bytesMax: number,
): PageData {
  const from = cursor.commitId ?? readHead(port).lastCommitId;
  const { rows } = port.query(
    'SELECT commit_id, first_seq, last_seq FROM _atoll_commits WHERE commit_id > ? AND commit_id <= ? ' +
      `ORDER BY commit_id DESC LIMIT ${ENTRIES_MAX}`,
    base,
    from,
  );
  const entries = rows.map(([id, first, last]) => ({
    id: Number(id),
    first: Number(first),
    last: Number(last),
  }));
  const { range, end } = newestRange(entries, cursor.seq);
  const changes: Change[] = [];
  let next: number | null = null;
  if (range !== null) {
    const page = changePageBackwards(port, readLayouts(port), range, bytesMax);
    changes.push(...page.changes);
    next = page.next;
  }
  const versions = { schema: cursor.schema, epoch: cursor.epoch };
  const data = encodeChanges(changes);
  if (next !== null) {
    const seq = next;
    const { id } = present(
      entries.find(({ first, last }) => first <= seq && last >= first),
      'an image belongs to an entry',
    );
    return { data, next: { ...versions, phase: 'undo', commitId: id as CommitId, seq } };
  }
  if (end <= base + 1) return { data, next: null };
  return { data, next: { ...versions, phase: 'undo', commitId: (end - 1) as CommitId, seq: null } };
}

/** Images of the newest entries, as far as they lie together, and the last entry that is looked at. */
function newestRange(
  entries: readonly { id: number; first: number; last: number }[],
  seqMax: number | null,
): { range: SeqRange | null; end: number } {
  let range: SeqRange | null = null;
  let end = 0;
  for (const { id, first, last } of entries) {
    if (first <= last) {
      if (range === null) range = { first, last: seqMax ?? last };
      else if (last + 1 !== range.first) break;
      else range = { first, last: range.last };
    }
    end = id;
  }
  return { range, end };
}

/**
 * All that SQLite must be told to make the file, but for what is local to a host: workerd's tables, `sqlite_stat1` and
 * their like, and what else a host keeps in the file.
 */
function readSchema(port: SqlitePort): SchemaObject[] {
  const known = new Set(snapshotTables(port).map(({ table }) => asciiLower(table)));
  const { rows } = port.query(
    'SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid',
  );
  const views = new Set(rows.filter(([type]) => type === 'view').map(([, name]) => asciiLower(String(name))));
  return rows
    .filter(([, name, table]) => {
      if (/^(sqlite|_cf)_/i.test(String(name)) || name === '_atoll_format') return false;
      const owner = asciiLower(String(table));
      return known.has(owner) || views.has(owner) || owner.startsWith('_atoll_');
    })
    .map(([type, name, , sql]) => ({
      type: type as SchemaObject['type'],
      name: String(name),
      sql: String(sql),
    }));
}

/** SQLite keeps these beside the tables, and no image has them. They only rise, so that later ones do no harm. */
function readSequences(port: SqlitePort): [string, string][] {
  if (port.query(`SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'`).rows.length === 0) return [];
  const { rows } = port.query('SELECT name, CAST(seq AS TEXT) FROM sqlite_sequence ORDER BY name');
  return rows.map(([name, seq]) => [String(name), String(seq)]);
}
