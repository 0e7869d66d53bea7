/**
 * Tables that belong to this host's copy of the partition alone: neither logged nor part of a snapshot.
 *
 * `_atoll_followers`: who follows this replica's log (followers.ts). `matched`: the last entry that the host has for
 * certain; `seen_ms`: when it last said so; `state`: FollowerState.
 *
 * `_atoll_staged`: pieces of the entry that this replica receives (core/replication/staging.ts). `piece` counts from 1;
 * a piece lies in one row or several.
 */
export const LOCAL_DDL = `
CREATE TABLE _atoll_followers (
  host TEXT PRIMARY KEY,
  matched INTEGER NOT NULL,
  seen_ms INTEGER NOT NULL,
  state TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE _atoll_staged (
  id INTEGER PRIMARY KEY,
  commit_id INTEGER NOT NULL,
  term INTEGER NOT NULL,
  piece INTEGER NOT NULL,
  next_offset INTEGER,
  bytes BLOB NOT NULL
)`;
