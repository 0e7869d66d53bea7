import { present } from '../../base/assert.ts';
import type { CommitId, Term, Timestamp } from '../../base/brand.ts';
import { readHead } from '../log/tables.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { stagedOffset } from './staging.ts';

/** Names an entry: two logs that have the same term at an index have the same entries up to it (Raft, section 5.3). */
export interface EntryId {
  readonly commitId: CommitId;
  readonly term: Term;
}

/** How far a replica's log is. */
export interface Position extends EntryId {
  /** Of the last entry; the empty text before the first. */
  readonly timestamp: Timestamp;
  /** How many changes of the entry that follows are here, if it is so large that it comes in pieces; else 0. */
  readonly offset: number;
}

export function readPosition(port: SqlitePort): Position {
  const { lastCommitId: commitId, lastTimestamp: timestamp } = readHead(port);
  const term = present(termAt(port, commitId), 'the last entry has a term');
  return { commitId, term, timestamp, offset: stagedOffset(port) };
}

/**
 * Whether the entry there is the same one, if it is there. Terms alone do not tell: a leader that was brought back to an older state
 * counts them as it did before.
 */
export function isSameEntry(port: SqlitePort, { commitId, timestamp }: Position): boolean {
  const row = port.query('SELECT timestamp FROM _atoll_commits WHERE commit_id = ?', commitId).rows[0];
  if (row !== undefined) return row[0] === timestamp;
  const { firstCommitId, baseTimestamp } = readHead(port);
  return commitId !== firstCommitId - 1 || timestamp === baseTimestamp;
}

/** Term of an entry, or of the base of the log; null if it was purged or is not there yet. */
export function termAt(port: SqlitePort, commitId: CommitId): Term | null {
  const row = port.query('SELECT term FROM _atoll_commits WHERE commit_id = ?', commitId).rows[0];
  if (row !== undefined) return Number(row[0]) as Term;
  const { firstCommitId, baseTerm } = readHead(port);
  return commitId === firstCommitId - 1 ? baseTerm : null;
}
