import type { CommitId, Timestamp } from '../../base/brand.ts';
import { AtollError } from '../../protocol/error.ts';
import type { ExecuteRequest } from '../../protocol/execute.ts';
import {
  decodeSession,
  encodeSeen,
  encodeSession,
  mergeSessions,
  type SessionToken,
} from '../../protocol/session.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import type { Identity } from './identity.ts';

/** Where a replica's log ends. */
export interface LastCommit {
  /** 0 before the first. */
  readonly commit: CommitId;
  /** Empty before the first. */
  readonly time: Timestamp;
}

export function readLastCommit(port: SqlitePort): LastCommit {
  const [row] = port.query('SELECT last_commit_id, last_timestamp FROM _atoll_head').rows;
  return { commit: Number(row?.[0]) as CommitId, time: String(row?.[1]) as Timestamp };
}

/** Whether what a session demands is applied: log time strictly rises, so that a later commit proves all before it. */
export function hasApplied(
  { commit, time }: LastCommit,
  { atLeast, atLeastTime }: Pick<ExecuteRequest, 'atLeast' | 'atLeastTime'>,
): boolean {
  if (atLeast !== undefined && atLeast > commit) return false;
  return atLeastTime === undefined || atLeastTime <= time;
}

/** A leader has all that was ever confirmed: what it lacks is of a state that was lost, or of nobody's token. */
export function futureSession(identity: Identity, { commit }: LastCommit, atLeast: CommitId): AtollError {
  return new AtollError(
    'history-gone',
    `the session has seen commit ${atLeast} of partition ${identity.partition}, which ends at ${commit}: ` +
      'begin a new session, without a token',
    'none',
  );
}

/** The session that a request is of; null for none. Error: `history-gone`. */
export function formerSession({ history }: Identity, sent: string | undefined): SessionToken | null {
  if (sent === undefined) return null;
  const former = decodeSession(sent);
  if (former.history !== history) throw new AtollError('history-gone', OTHER_HISTORY);
  return former;
}

/** The session token of a reply: what came with the request, and what the reply saw. */
export function replySession(
  { history, partition }: Identity,
  { commit, time }: LastCommit,
  system: number,
  former: SessionToken | null,
): string {
  if (former === null) return encodeSeen(history, partition, commit, system, time);
  const seen = new Map([[partition, commit]]);
  return encodeSession(mergeSessions(former, { history, seen, system, time }));
}

const OTHER_HISTORY =
  'the session is of another history of this database (it was recovered since): begin a new session, without a token';
