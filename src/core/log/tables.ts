import { assert } from '../../base/assert.ts';
import type { CommitId, Term, Timestamp } from '../../base/brand.ts';
import type { SqlitePort } from '../sqlite/port.ts';

/**
 * The log's tables in the partition's file: the format on disk, version 1.
 *
 * `_atoll_head`, one row: how far this replica is ("mtime -> last_commit_id").
 * - `first_commit_id`: the oldest entry kept; older ones were purged, or came with a snapshot.
 * - `last_seq`: the last row of `_atoll_log` that belongs to a finished commit; what lies above it was
 *   captured by the commit being made, whose id is `last_commit_id + 1`.
 * - `base_term`, `base_timestamp`: of the entry before `first_commit_id`.
 * - `suspect`: 1 if the images of the commit being made may be out of order (straighten.ts).
 * - `applying`: not 0 while the log is applied or undone. User triggers are silent then (guard.ts), and so
 *   are foreign-key actions, by a number that says at which image a row is under change (hush.ts).
 * - `layouts_stamp`: another number whenever `_atoll_layouts` changes (layout.ts).
 *
 * `_atoll_commits`: one row per entry. Its images are `first_seq … last_seq`; none if that is empty.
 *
 * `_atoll_layouts`: see layout.ts. `retired_seq` is null while the layout describes its table, then the last
 * image that may have it.
 *
 * `_atoll_log`: one row per image, written by triggers in the order in which rows changed, over all
 * tables: `image` is 4 × layout + kind of image. Columns have no type, hence no affinity: images are the
 * values themselves. There is one such table and not one per user table because foreign-key actions and
 * undo need the order between tables, and because a commit, a purge and a read then touch one b-tree.
 * Measured (bench/log.ts): as fast at equal width; a log widened to 40 columns by another table costs
 * an insert of 5 columns 10 %, to 96 columns 25 %.
 */
const TABLES = `
CREATE TABLE _atoll_head(
  id INTEGER PRIMARY KEY CHECK (id = 0),
  first_commit_id INTEGER NOT NULL,
  base_term INTEGER NOT NULL,
  base_timestamp TEXT NOT NULL,
  last_commit_id INTEGER NOT NULL,
  last_timestamp TEXT NOT NULL,
  last_seq INTEGER NOT NULL,
  suspect INTEGER NOT NULL,
  applying INTEGER NOT NULL,
  layouts_stamp INTEGER NOT NULL
);
CREATE TABLE _atoll_commits(
  commit_id INTEGER PRIMARY KEY,
  term INTEGER NOT NULL,
  timestamp TEXT NOT NULL,
  kind TEXT NOT NULL,
  transaction_id TEXT,
  commit_timestamp TEXT,
  epoch INTEGER NOT NULL,
  schema_version INTEGER NOT NULL,
  payload,
  first_seq INTEGER NOT NULL,
  last_seq INTEGER NOT NULL
);
CREATE TRIGGER _atoll_commits_insert AFTER INSERT ON _atoll_commits BEGIN
  UPDATE _atoll_head SET
    last_commit_id = NEW.commit_id, last_timestamp = NEW.timestamp, last_seq = NEW.last_seq WHERE id = 0;
END;
CREATE TABLE _atoll_layouts(
  layout INTEGER PRIMARY KEY,
  table_id INTEGER NOT NULL,
  definition TEXT NOT NULL,
  retired_seq INTEGER
);
CREATE TABLE _atoll_log(
  seq INTEGER PRIMARY KEY,
  commit_id INTEGER NOT NULL,
  image INTEGER NOT NULL
);`;

/** Where a replica stands. */
export interface Head {
  /** The oldest entry kept; `lastCommitId + 1` if none is. */
  readonly firstCommitId: CommitId;
  readonly lastCommitId: CommitId;
  readonly lastTimestamp: Timestamp;
  readonly lastSeq: number;
  /** Of the entry before the first one kept: 0 and the empty text at the beginning of a partition. */
  readonly baseTerm: Term;
  readonly baseTimestamp: Timestamp;
  /** The images of the commit being made may be out of order. */
  readonly suspect: boolean;
}

/** The last commit that a snapshot contains. */
export interface Base {
  readonly commitId: CommitId;
  readonly term: Term;
  readonly timestamp: Timestamp;
}

/** Before the first commit; the empty text is below every timestamp. */
export const BEGINNING: Base = { commitId: 0 as CommitId, term: 0 as Term, timestamp: '' as Timestamp };

/** Creates the log's tables in a file without them. A replica that starts from a snapshot gives its base. */
export function createLogTables(port: SqlitePort, base: Base = BEGINNING): void {
  port.query(TABLES);
  startLog(port, base);
}

/** The first and only row of the head, in tables that are empty. */
export function startLog(port: SqlitePort, base: Base): void {
  port.query(
    'INSERT INTO _atoll_head(id, first_commit_id, base_term, base_timestamp, last_commit_id, last_timestamp, ' +
      'last_seq, suspect, applying, layouts_stamp) VALUES (0, ?1 + 1, ?2, ?3, ?1, ?3, 0, 0, 0, 0)',
    base.commitId,
    base.term,
    base.timestamp,
  );
}

export function readHead(port: SqlitePort): Head {
  const { rows } = port.query(
    'SELECT first_commit_id, last_commit_id, last_timestamp, last_seq, base_term, base_timestamp, suspect FROM _atoll_head',
  );
  const row = rows[0];
  assert(row !== undefined, 'the log has no head');
  return {
    firstCommitId: Number(row[0]) as CommitId,
    lastCommitId: Number(row[1]) as CommitId,
    lastTimestamp: String(row[2]) as Timestamp,
    lastSeq: Number(row[3]),
    baseTerm: Number(row[4]) as Term,
    baseTimestamp: String(row[5]) as Timestamp,
    suspect: row[6] === 1,
  };
}

/** The last image, of a finished commit or of the one being made; 0 for none. */
export function newestSeq(port: SqlitePort): number {
  const { rows } = port.query('SELECT max(seq) FROM _atoll_log');
  return Number(rows[0]?.[0] ?? 0);
}
