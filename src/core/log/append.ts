import { assert } from '../../base/assert.ts';
import { SqliteError, type SqlitePort } from '../sqlite/port.ts';
import type { CommitInput } from './commit.ts';
import { straighten } from './straighten.ts';
import { readHead } from './tables.ts';

/**
 * Finishing a commit. Nothing has to be begun: the triggers give every image the id after the last
 * finished one, so whatever a transaction changed since belongs to the next commit. Several commits may
 * share one SQLite transaction (group commit), and one rolled back in its savepoint leaves no trace.
 */

/** What an entry has of a transaction. */
export type InTransaction = Pick<CommitInput, 'transactionId' | 'commitTimestamp'>;

/**
 * Appends the entry for what was changed since the last one. Writes nothing if that is nothing and the entry
 * is a plain `write` without a payload: it was a read.
 */
export function finishCommit(port: SqlitePort, input: CommitInput): void {
  append(port, input, input.kind !== 'write' || input.payload !== null);
}

/**
 * One statement, as each costs a single-row commit about a fifth of its time; and a trigger moves the head.
 * Neither RETURNING nor INSERT … SELECT, for each costs a temporary table. So the statement itself decides: where there is nothing to log, `last_seq` is NULL and OR IGNORE skips the row; where
 * something is to be done first, the id is no integer, which is an error that nothing ignores.
 */
const APPEND = `INSERT OR IGNORE INTO _atoll_commits VALUES (
  (SELECT CASE WHEN suspect = 0 AND last_timestamp < ?2 THEN last_commit_id + 1 ELSE 'not yet' END FROM _atoll_head),
  ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8,
  (SELECT last_seq + 1 FROM _atoll_head),
  (SELECT CASE WHEN ?9 OR newest > last_seq THEN newest END
   FROM (SELECT last_seq, coalesce((SELECT max(seq) FROM _atoll_log), last_seq) AS newest FROM _atoll_head)))`;

/** As {@link finishCommit}; with `always` even if nothing was changed. */
export function append(port: SqlitePort, input: CommitInput, always: boolean): void {
  const bindings = [
    input.term,
    input.timestamp,
    input.kind,
    input.transactionId,
    input.commitTimestamp,
    input.epoch,
    input.schemaVersion,
    input.payload,
    always ? 1 : 0,
  ];
  try {
    port.query(APPEND, ...bindings);
  } catch (error) {
    if (!(error instanceof SqliteError) || error.code !== 'SQLITE_MISMATCH') throw error;
    const { suspect, lastTimestamp } = readHead(port);
    assert(input.timestamp > lastTimestamp, () => `log time does not rise: ${input.timestamp}`);
    assert(suspect, 'an entry is refused for its time or for its images');
    straighten(port);
    port.query(APPEND, ...bindings);
  }
}
