import type { CommitId } from '../../base/brand.ts';
import type { LogRetention } from '../../protocol/settings.ts';
import { oldestSeqWithin, RETENTION_BYTES, RETENTION_MS } from '../log/purge.ts';
import { newestSeq, readHead } from '../log/tables.ts';
import type { SqlitePort } from '../sqlite/port.ts';

/**
 * The hosts that are responsible for copies of this partition, as its leader notes them. Deletion is by consensus: an
 * entry, and with it tombstones and images, is purged only when each of them has it. One that is away longer than
 * the log can wait for is marked `resync`: it cannot follow any more, and takes a snapshot, which has no deleted rows.
 *
 * - `snapshot`: it receives one that has everything up to `matched`.
 * - `following`: it has everything up to `matched`.
 * - `resync`: the log does not wait for it.
 */
export const FOLLOWER_STATES = ['snapshot', 'following', 'resync'] as const;
export type FollowerState = (typeof FOLLOWER_STATES)[number];

export interface FollowerNote {
  readonly host: string;
  /** The last entry that it is known to have; it may have more. */
  readonly matched: CommitId;
  /** When it was last heard of, unix ms. */
  readonly seenMs: number;
  readonly state: FollowerState;
}

/** What the log may take while a follower lags (chosen: a tenth of a Durable Object's 10 GB). */
export const FOLLOWER_BYTES_MAX = 4 * RETENTION_BYTES;

/** Where settings do not say more. */
const WAITED_FOR: LogRetention = { milliseconds: RETENTION_MS, bytes: FOLLOWER_BYTES_MAX };

/** How old a note may get while nothing but `matched` changes (chosen: each costs the leader a write). */
const NOTE_MS = 2000;

/** Between transactions, and at every answer of a follower: most of them write nothing. Gives what the file says then. */
export function noteFollower(port: SqlitePort, note: FollowerNote): FollowerNote {
  const known = readFollower(port, note.host);
  if (known !== null && isRecent(known, note)) return known;
  port.query(
    'INSERT OR REPLACE INTO _atoll_followers VALUES (?, ?, ?, ?)',
    note.host,
    note.matched,
    note.seenMs,
    note.state,
  );
  return note;
}

/** Whether what is noted is new enough that `note` need not be. */
export function isRecent(known: FollowerNote, note: FollowerNote): boolean {
  const isClose = known.state === note.state && note.seenMs - known.seenMs < NOTE_MS;
  return isClose && note.matched >= known.matched;
}

/** The host is responsible from now on; it has nothing yet. Nothing changes for one that is already. */
export function addFollower(port: SqlitePort, host: string, now: number): void {
  port.query(`INSERT OR IGNORE INTO _atoll_followers VALUES (?, 0, ?, 'resync')`, host, now);
}

/** The host is not responsible any more: nothing waits for it. */
export function removeFollower(port: SqlitePort, host: string): void {
  port.query('DELETE FROM _atoll_followers WHERE host = ?', host);
}

export function readFollowers(port: SqlitePort): FollowerNote[] {
  return port
    .query('SELECT host, matched, seen_ms, state FROM _atoll_followers ORDER BY host')
    .rows.map(([host, matched, seenMs, state]) => ({
      host: String(host),
      matched: Number(matched) as CommitId,
      seenMs: Number(seenMs),
      state: state as FollowerState,
    }));
}

function readFollower(port: SqlitePort, host: string): FollowerNote | null {
  return readFollowers(port).find((note) => note.host === host) ?? null;
}

/** Marks those that are away, or behind, by more than the log can wait for; gives their hosts. */
export function markLost(port: SqlitePort, now: number, atMost: LogRetention = WAITED_FOR): string[] {
  const waitedFor = readFollowers(port).filter(({ state }) => state !== 'resync');
  if (waitedFor.length === 0) return [];
  const { lastCommitId } = readHead(port);
  const keepSeq = oldestSeqWithin(port, atMost.bytes);
  const lost = waitedFor.filter(({ matched, seenMs }) => {
    if (now - seenMs > atMost.milliseconds) return true;
    return matched < lastCommitId && nextSeq(port, matched) < keepSeq;
  });
  for (const { host } of lost)
    port.query(`UPDATE _atoll_followers SET state = 'resync' WHERE host = ?`, host);
  return lost.map(({ host }) => host);
}

/** The oldest entry that some follower needs; `lastCommitId + 1` for none. */
export function followersFloor(port: SqlitePort): CommitId {
  const { lastCommitId } = readHead(port);
  const matched = readFollowers(port)
    .filter(({ state }) => state !== 'resync')
    .map((note) => note.matched);
  return (Math.min(lastCommitId, ...matched) + 1) as CommitId;
}

/** What cannot be purged, whatever its age, and because of whom. */
export interface AwaitingPurge {
  /** Every host that is waited for has all before this entry. */
  readonly floor: CommitId;
  /** Entries and images from the floor on. */
  readonly entries: number;
  readonly images: number;
  /** Hosts that lack something, the furthest behind first. */
  readonly because: readonly (FollowerNote & { readonly lacks: number })[];
  /** Hosts that nothing waits for: they must take a snapshot. */
  readonly resync: readonly FollowerNote[];
}

export function awaitingPurge(port: SqlitePort): AwaitingPurge {
  const { lastCommitId } = readHead(port);
  const floor = followersFloor(port);
  const notes = readFollowers(port);
  const because = notes
    .filter(({ state, matched }) => state !== 'resync' && matched < lastCommitId)
    .map((note) => ({ ...note, lacks: lastCommitId - note.matched }))
    .sort((a, b) => b.lacks - a.lacks);
  const entries = lastCommitId + 1 - floor;
  const images = entries === 0 ? 0 : newestSeq(port) + 1 - nextSeq(port, (floor - 1) as CommitId);
  return { floor, entries, images, because, resync: notes.filter(({ state }) => state === 'resync') };
}

/** The first image after an entry, or where it would be. */
function nextSeq(port: SqlitePort, commitId: CommitId): number {
  const { rows } = port.query(
    'SELECT first_seq FROM _atoll_commits WHERE commit_id > ? ORDER BY commit_id LIMIT 1',
    commitId,
  );
  return Number(rows[0]?.[0] ?? newestSeq(port) + 1);
}
