import { assert } from '../../base/assert.ts';
import type { CommitId, Timestamp } from '../../base/brand.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { forgetLayouts, logWidth } from './layout.ts';
import { newestSeq, readHead } from './tables.ts';

/** How long entries stay, for reads of the past and for replicas that are away a while (chosen). */
export const RETENTION_MS = 3_600_000;
/** What the log may take of the file (chosen: a fortieth of a Durable Object's 10 GB). */
export const RETENTION_BYTES = 268_435_456;

/** Entries that one step looks at, and images that it deletes: about 2 ms in workerd (chosen). */
const STEP_COMMITS = 256;
const STEP_IMAGES = 2048;
/** Images whose length is taken to estimate that of all (chosen). */
const SAMPLE_IMAGES = 16;

export interface Retention {
  /** Entries older than this may go: now less {@link RETENTION_MS}. */
  readonly olderThan: Timestamp;
  /** If the log is larger, older entries go whatever their age. */
  readonly bytesMax: number;
  /** The oldest entry that must stay, for a replica, a prepare or a reader; `lastCommitId + 1` for none. */
  readonly floor: CommitId;
}

/**
 * One bounded step of forgetting the oldest entries; call it now and then, again while it returns true.
 * Entries vanish at once, their images over the following steps. Not while a commit is being made.
 */
export function purgeStep(port: SqlitePort, retention: Retention): boolean {
  return port.transaction(() => {
    const forgot = forgetEntries(port, retention);
    const deleted = deleteImages(port);
    const more = deleted === STEP_IMAGES || forgot === STEP_COMMITS;
    if (!more && deleted > 0) forgetLayouts(port);
    return more;
  });
}

/** Removes entries; returns how many. */
function forgetEntries(port: SqlitePort, { olderThan, bytesMax, floor }: Retention): number {
  const keepSeq = oldestSeqWithin(port, bytesMax);
  const isKept = (row: readonly SqlValue[]): boolean =>
    String(row[2]) >= olderThan && Number(row[3]) >= keepSeq;
  const sql =
    'SELECT commit_id, term, timestamp, last_seq FROM _atoll_commits WHERE commit_id < ? ORDER BY commit_id LIMIT ?';
  // Nearly always the oldest stays, and so all do.
  const [oldest] = port.query(sql, floor, 1).rows;
  if (oldest === undefined || isKept(oldest)) return 0;
  const { rows } = port.query(sql, floor, STEP_COMMITS);
  const count = rows.findIndex(isKept);
  const forgotten = count === -1 ? rows.length : count;
  const last = rows[forgotten - 1];
  if (last === undefined) return 0;
  port.query('DELETE FROM _atoll_commits WHERE commit_id <= ?', last[0] ?? null);
  port.query(
    'UPDATE _atoll_head SET first_commit_id = ?1 + 1, base_term = ?2, base_timestamp = ?3',
    last[0] ?? null,
    last[1] ?? null,
    last[2] ?? null,
  );
  return forgotten;
}

/** The lowest seq such that all images from it on take at most `bytesMax`, by the length of a sample. */
export function oldestSeqWithin(port: SqlitePort, bytesMax: number): number {
  const { rows } = port.query('SELECT (SELECT min(seq) FROM _atoll_log), (SELECT max(seq) FROM _atoll_log)');
  const first = Number(rows[0]?.[0] ?? 0);
  const last = Number(rows[0]?.[1] ?? 0);
  const count = last - first + 1;
  if (last === 0) return 0;
  return last - Math.floor(bytesMax / imageBytes(port, first, count)) + 1;
}

/** Bytes of all images, by the length of a sample. */
export function logBytes(port: SqlitePort): number {
  const { rows } = port.query('SELECT (SELECT min(seq) FROM _atoll_log), (SELECT max(seq) FROM _atoll_log)');
  const [first, last] = rows[0] ?? [];
  if (first == null) return 0;
  const count = Number(last) - Number(first) + 1;
  return Math.round(count * imageBytes(port, Number(first), count));
}

/** Mean bytes of an image: its values, one byte of header for each slot, and the row's own. */
function imageBytes(port: SqlitePort, firstSeq: number, count: number): number {
  const width = logWidth(port);
  const slots = Array.from({ length: width }, (_, slot) => `coalesce(octet_length(c${slot}), 0)`);
  // A few at a time: SQLite allows an expression depth of 100.
  const lengths: string[] = [];
  for (let from = 0; from < width; from += 20) lengths.push(`(${slots.slice(from, from + 20).join('+')})`);
  if (lengths.length === 0) return 16;
  const seqs = Array.from(
    { length: SAMPLE_IMAGES },
    (_, i) => firstSeq + Math.floor((i * count) / SAMPLE_IMAGES),
  );
  const { rows } = port.query(
    `SELECT coalesce(avg(${lengths.join('+')}), 0) FROM _atoll_log WHERE seq IN (${seqs.join(', ')})`,
  );
  return 16 + width + Number(rows[0]?.[0] ?? 0);
}

/** Deletes images of forgotten entries; returns how many, at most a step's. */
function deleteImages(port: SqlitePort): number {
  const { firstCommitId, lastSeq } = readHead(port);
  const [oldest] = port.query('SELECT commit_id FROM _atoll_log ORDER BY seq LIMIT 1').rows;
  if (oldest === undefined || Number(oldest[0]) >= firstCommitId) return 0;
  const { rows } = port.query(
    'SELECT seq, commit_id < ?1 FROM (SELECT seq, commit_id FROM _atoll_log ORDER BY seq LIMIT ?2)',
    firstCommitId,
    STEP_IMAGES,
  );
  const stale = rows.filter((row) => row[1] === 1);
  const end = stale.at(-1)?.[0];
  if (end === undefined) return 0;
  assert(newestSeq(port) <= lastSeq, 'no purge while a commit is being made');
  port.query('DELETE FROM _atoll_log WHERE seq <= ?', end);
  // In an empty log SQLite numbers from 1 again, and the head must agree.
  port.query('UPDATE _atoll_head SET last_seq = coalesce((SELECT max(seq) FROM _atoll_log), 0)');
  return stale.length;
}
