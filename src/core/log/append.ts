import type { CommitId } from '../../base/brand.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import type { CommitInput } from './commit.ts';
import { straighten } from './straighten.ts';
import { readHead } from './tables.ts';

/**
 * Finishing a commit. Nothing has to be begun: the triggers give every image the id after the last
 * finished one, so whatever a transaction changed since belongs to the next commit. Several commits may
 * share one SQLite transaction (group commit), and one rolled back in its savepoint leaves no trace.
 */

/** What a finished commit holds. */
export interface Appended {
  readonly commitId: CommitId;
  readonly imageCount: number;
}

const APPEND = `
INSERT INTO _atoll_commits
SELECT last_commit_id + 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, last_seq + 1,
  coalesce((SELECT max(seq) FROM _atoll_log), last_seq)
FROM _atoll_head
WHERE suspect = 0 AND (?1 OR (SELECT max(seq) FROM _atoll_log) > last_seq)
RETURNING commit_id, last_seq - first_seq + 1`;

/**
 * Appends the entry for what was changed since the last one. Returns null, and writes nothing, if that is
 * nothing and the entry is a plain `write` without a payload: it was a read.
 */
export function finishCommit(port: SqlitePort, input: CommitInput): Appended | null {
  return append(port, input, input.kind !== 'write' || input.payload !== null);
}

/** As {@link finishCommit}; with `always` even if nothing was changed. */
export function append(port: SqlitePort, input: CommitInput, always: boolean): Appended | null {
  const appended = tryAppend(port, input, always);
  if (appended !== null || !readHead(port).suspect) return appended;
  straighten(port);
  return tryAppend(port, input, always);
}

function tryAppend(port: SqlitePort, input: CommitInput, always: boolean): Appended | null {
  const { rows } = port.query(
    APPEND,
    always ? 1 : 0,
    input.term,
    input.timestamp,
    input.kind,
    input.transactionId,
    input.commitTimestamp,
    input.epoch,
    input.schemaVersion,
    input.payload,
  );
  const row = rows[0];
  return row === undefined ? null : { commitId: Number(row[0]) as CommitId, imageCount: Number(row[1]) };
}
