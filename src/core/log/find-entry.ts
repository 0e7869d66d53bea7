import type { CommitId, Timestamp } from '../../base/brand.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { readHead } from './tables.ts';

/** The first entry whose log time is after `at`, by halving; `lastCommitId + 1` for none. */
export function firstEntryAfter(port: SqlitePort, at: Timestamp | ''): CommitId {
  return firstEntry(port, 'timestamp', (timestamp) => String(timestamp) > at);
}

/** The first entry whose images all have this number or a higher one; `lastCommitId + 1` for none. */
export function firstEntryFrom(port: SqlitePort, seq: number): CommitId {
  return firstEntry(port, 'last_seq', (last) => Number(last) >= seq);
}

/** The first entry for which `fits`, which fits all later ones too. */
function firstEntry(port: SqlitePort, column: string, fits: (value: unknown) => boolean): CommitId {
  const { firstCommitId, lastCommitId } = readHead(port);
  let low: number = firstCommitId;
  let high = lastCommitId + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const row = port.query(`SELECT ${column} FROM _atoll_commits WHERE commit_id = ?`, middle).rows[0];
    if (fits(row?.[0])) high = middle;
    else low = middle + 1;
  }
  return low as CommitId;
}
