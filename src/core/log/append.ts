import { assert } from '../../base/assert.ts';
import type { CommitId } from '../../base/brand.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import type { CommitInput } from './commit.ts';
import { straighten } from './straighten.ts';

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

/**
 * Appends the entry for what was changed since the last one. Returns null, and writes nothing, if that is
 * nothing and the entry is a plain `write` without a payload: it was a read.
 */
export function finishCommit(port: SqlitePort, input: CommitInput): Appended | null {
  return append(port, input, input.kind !== 'write' || input.payload !== null);
}

/** As {@link finishCommit}; with `always` even if nothing was changed. */
export function append(port: SqlitePort, input: CommitInput, always: boolean): Appended | null {
  let { commitId, firstSeq, lastSeq, lastTimestamp, suspect } = readNext(port);
  if (suspect) {
    straighten(port);
    ({ commitId, firstSeq, lastSeq } = readNext(port));
  }
  if (firstSeq > lastSeq && !always) return null;
  assert(input.timestamp > lastTimestamp, () => `log time does not rise: ${input.timestamp}`);
  // A trigger moves the head. Neither RETURNING nor INSERT … SELECT: each costs a temporary table, 4 µs.
  port.query(
    'INSERT INTO _atoll_commits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
    commitId,
    input.term,
    input.timestamp,
    input.kind,
    input.transactionId,
    input.commitTimestamp,
    input.epoch,
    input.schemaVersion,
    input.payload,
    firstSeq,
    lastSeq,
  );
  return { commitId, imageCount: lastSeq - firstSeq + 1 };
}

interface Next {
  readonly commitId: CommitId;
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly lastTimestamp: string;
  readonly suspect: boolean;
}

/** What the next commit is made of. */
function readNext(port: SqlitePort): Next {
  const { rows } = port.query(
    'SELECT last_commit_id, last_seq, (SELECT max(seq) FROM _atoll_log), last_timestamp, suspect FROM _atoll_head',
  );
  const [lastCommitId, lastSeq, maxSeq, lastTimestamp, suspect] = rows[0] ?? [];
  return {
    commitId: (Number(lastCommitId) + 1) as CommitId,
    firstSeq: Number(lastSeq) + 1,
    lastSeq: Number(maxSeq ?? lastSeq),
    lastTimestamp: String(lastTimestamp),
    suspect: suspect === 1,
  };
}
