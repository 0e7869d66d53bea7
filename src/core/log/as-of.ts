import { assert } from '../../base/assert.ts';
import type { CommitId, Timestamp } from '../../base/brand.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { BARRIERS, type CommitKind } from './commit.ts';
import { firstEntryAfter } from './find-entry.ts';
import { imagesOf, type SeqRange } from './image.ts';
import { readLayouts } from './layout.ts';
import { replaying } from './replay.ts';
import { newestSeq, readHead } from './tables.ts';
import { undoImages } from './undo.ts';

/**
 * The rows as of a moment T: today's, with the changes of all entries taken back that count as later. When an entry counts
 * is its commit timestamp, and its log time where it has none. The former is never above the latter, since whoever
 * appends has taken notice of it; so the entries in question are among those whose log time is after T, and of these some
 * may count as earlier: what a distributed transaction changed, and what came by the feed. Their changes stay. That is
 * exact because nobody else changes their rows between their commit timestamp and their log time: the transaction
 * holds locks until it is applied, and the feed comes in its own order, to tables that nothing else writes.
 */
export interface Past {
  /** The newest entry after T that row images cannot undo, if there is one. */
  readonly barrier: { readonly kind: CommitKind; readonly timestamp: Timestamp } | null;
  /** Images of entries that count as later than T, the newest first. */
  readonly images: readonly SeqRange[];
}

/** The oldest moment whose rows the log can tell; null for a log that nothing was ever written to. */
export function oldestMoment(port: SqlitePort): Timestamp | null {
  const { baseTimestamp, firstCommitId } = readHead(port);
  if (baseTimestamp !== '') return baseTimestamp;
  return timestampOf(port, firstCommitId);
}

/** What lies between `at`, which is not before {@link oldestMoment}, and now. Not while a commit is being made. */
export function pastAt(port: SqlitePort, at: Timestamp): Past {
  const { lastTimestamp, lastSeq } = readHead(port);
  assert(newestSeq(port) <= lastSeq, 'the past is not read while a commit is being made');
  if (lastTimestamp <= at) return { barrier: null, images: [] };
  const first = firstEntryAfter(port, at);
  const kinds = [...BARRIERS].map((kind) => `'${kind}'`).join(', ');
  const { rows } = port.query(
    'SELECT kind, timestamp, first_seq, last_seq FROM _atoll_commits WHERE commit_id >= ? ' +
      `AND (kind IN (${kinds}) OR (commit_timestamp <= ? AND first_seq <= last_seq)) ORDER BY commit_id DESC`,
    first,
    at,
  );
  const barrier = rows.find(([kind]) => BARRIERS.has(kind as CommitKind));
  if (barrier !== undefined) {
    return {
      barrier: { kind: barrier[0] as CommitKind, timestamp: String(barrier[1]) as Timestamp },
      images: [],
    };
  }
  const images: SeqRange[] = [];
  let last = lastSeq;
  for (const [, , firstKept, lastKept] of rows) {
    if (Number(lastKept) < last) images.push({ first: Number(lastKept) + 1, last });
    last = Number(firstKept) - 1;
  }
  // Of an entry without images the place among them says nothing: the log may have been empty since.
  const oldest = port.query(
    'SELECT first_seq FROM _atoll_commits WHERE commit_id >= ? AND first_seq <= last_seq ORDER BY commit_id LIMIT 1',
    first,
  ).rows[0]?.[0];
  if (oldest !== undefined && Number(oldest) <= last) images.push({ first: Number(oldest), last });
  return { barrier: null, images };
}

/** How many images of these layouts are to be undone, counted up to `max + 1`. */
export function countImages(
  port: SqlitePort,
  { images }: Past,
  layouts: ReadonlySet<number>,
  max: number,
): number {
  let count = 0;
  for (const { first, last } of images) {
    if (count > max) return count;
    const { rows } = port.query(
      `SELECT count(*) FROM (SELECT 1 FROM _atoll_log WHERE seq BETWEEN ? AND ? ${imagesOf(layouts)} LIMIT ?)`,
      first,
      last,
      max + 1 - count,
    );
    count += Number(rows[0]?.[0]);
  }
  return count;
}

/**
 * Makes the rows of these layouts' tables those of the past; other tables stay as they are. In a transaction that is
 * rolled back: the log has the undoing in it, and foreign keys between the tables may be violated.
 */
export function undoToPast(port: SqlitePort, { images }: Past, layouts: ReadonlySet<number>): void {
  const all = readLayouts(port);
  replaying(port, (replay) => {
    for (const range of images)
      assert(
        undoImages(port, replay, all, range, layouts),
        () => `images ${range.first} to ${range.last} do not come undone`,
      );
  });
}

function timestampOf(port: SqlitePort, commitId: CommitId): Timestamp | null {
  const row = port.query('SELECT timestamp FROM _atoll_commits WHERE commit_id = ?', commitId).rows[0];
  return row === undefined ? null : (String(row[0]) as Timestamp);
}
