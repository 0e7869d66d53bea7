import { assert, present } from '../../base/assert.ts';
import type { CommitId, Epoch, SchemaVersion, Term, Timestamp } from '../../base/brand.ts';
import type { PortValue, SqlitePort } from '../sqlite/port.ts';
import { type Change, COMMIT_KINDS, type Commit, type CommitHeader } from './commit.ts';
import { changePages, PAGE_BYTES, type SeqRange } from './image.ts';
import { readLayouts } from './layout.ts';
import { straighten } from './straighten.ts';

/** The entry `commitId` with exact values, whole; null if it was purged or is not there yet. */
export function readCommit(port: SqlitePort, commitId: CommitId): Commit | null {
  const entry = readEntry(port, commitId);
  if (entry === null) return null;
  return { header: entry.header, changes: [...readCommitPages(port, entry)].flat() };
}

/**
 * The changes of an entry, in pages of about `bytesMax`, however many there are. A page is read when it is
 * asked for; the entry must be there until the last one is.
 */
export function* readCommitPages(
  port: SqlitePort,
  { images }: Entry,
  bytesMax = PAGE_BYTES,
): Generator<readonly Change[]> {
  if (images.first <= images.last) yield* changePages(port, readLayouts(port), images, bytesMax);
}

/** What was changed since the last finished commit. A prepare reads it before it rolls its execution back. */
export function readCaptured(port: SqlitePort): Change[] {
  return [...readCapturedPages(port)].flat();
}

/** As {@link readCaptured}, in pages. */
export function* readCapturedPages(port: SqlitePort): Generator<readonly Change[]> {
  let { images, suspect } = capturedImages(port);
  if (suspect) {
    straighten(port);
    ({ images } = capturedImages(port));
  }
  if (images.first <= images.last) yield* changePages(port, readLayouts(port), images);
}

/** In one statement: every part of a transaction over partitions asks for it, some twice. */
function capturedImages(port: SqlitePort): { readonly images: SeqRange; readonly suspect: boolean } {
  const [row] = port.query(
    'SELECT last_seq, suspect, (SELECT max(seq) FROM _atoll_log) FROM _atoll_head',
  ).rows;
  assert(row !== undefined, 'the log has no head');
  return { images: { first: Number(row[0]) + 1, last: Number(row[2] ?? 0) }, suspect: row[1] === 1 };
}

/** The entry without its changes. */
export function readHeader(port: SqlitePort, commitId: CommitId): CommitHeader | null {
  return readEntry(port, commitId)?.header ?? null;
}

/** An entry and where its images are. */
export interface Entry {
  readonly header: CommitHeader;
  readonly images: SeqRange;
}

const ENTRIES =
  'SELECT term, timestamp, kind, transaction_id, commit_timestamp, epoch, schema_version, payload, ' +
  'first_seq, last_seq, commit_id FROM _atoll_commits WHERE commit_id ';

export function readEntry(port: SqlitePort, commitId: CommitId): Entry | null {
  const row = port.query(`${ENTRIES} = ?`, commitId).rows[0];
  return row === undefined ? null : entryOf(row);
}

/** Ids follow each other: as a range, for a LIMIT doubles what the statement takes in workerd (measured). */
const FOLLOWING = `${ENTRIES} BETWEEN ? AND ? ORDER BY commit_id`;

/** Entries in a row, and what they follow. */
export interface Following {
  /** The entry before them. */
  readonly previous: Entry;
  readonly entries: readonly Entry[];
  /** The last entry of the log. */
  readonly last: CommitId;
}

/** With the log's end: a leader asks for both at every batch, and each statement costs it as much as ten entries. */
const TAIL = `${ENTRIES.replace(' FROM ', ', (SELECT last_commit_id FROM _atoll_head) FROM ')} BETWEEN ? AND ? ORDER BY commit_id`;

/**
 * The entries that follow `previous`, at most `limit` and of about `bytesMax` with it, in one read. Null if it is not in the
 * log, or has no room.
 */
export function readFollowing(
  port: SqlitePort,
  previous: CommitId,
  limit: number,
  bytesMax: number,
): Following | null {
  const { rows } = port.queryBounded(TAIL, [previous, previous + limit], bytesMax);
  const [first, ...entries] = rows.map(entryOf);
  if (first === undefined || first.header.commitId !== previous) return null;
  return { previous: first, entries, last: Number(rows[0]?.[11]) as CommitId };
}

/** Entries from `first` on, at most `limit`, in one read: of about `bytesMax`, but one if there is any. */
export function readEntries(port: SqlitePort, first: CommitId, limit: number, bytesMax: number): Entry[] {
  const { rows } = port.queryBounded(FOLLOWING, [first, first + limit - 1], bytesMax);
  if (rows.length > 0) return rows.map(entryOf);
  const only = readEntry(port, first);
  return only === null ? [] : [only];
}

function entryOf(row: readonly PortValue[]): Entry {
  const payload = row[7] ?? null;
  assert(typeof payload !== 'number', 'a payload is text or bytes');
  const header: CommitHeader = {
    commitId: Number(row[10]) as CommitId,
    term: Number(row[0]) as Term,
    timestamp: String(row[1]) as Timestamp,
    kind: present(
      COMMIT_KINDS.find((kind) => kind === row[2]),
      'a commit of unknown kind',
    ),
    transactionId: row[3] === null ? null : String(row[3]),
    commitTimestamp: row[4] === null ? null : (String(row[4]) as Timestamp),
    epoch: Number(row[5]) as Epoch,
    schemaVersion: Number(row[6]) as SchemaVersion,
    payload,
  };
  return { header, images: { first: Number(row[8]), last: Number(row[9]) } };
}
