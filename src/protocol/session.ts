import type { CommitId, PartitionId, Timestamp } from '../base/brand.ts';
import { fromBase64 } from './base64.ts';
import { textToBase64Url } from './base64url.ts';
import { AtollError } from './error.ts';

/**
 * The session token of the public API: what of each partition a session has seen, so that any replica can tell
 * whether it would show less. On the wire it is base64url (RFC 4648 section 5, no padding) of compact ASCII JSON
 * `{"v":1,"h":history,"p":{partition:commit id},"s":system commit id,"t":log time}`, and behind a point its seal
 * (session-seal.ts), which is checked where clients are answered. Opaque to clients.
 */

/** Version of the format; others are refused. */
const VERSION = 1;
/** Longest token that is read, characters (chosen: four times the longest that is written). */
export const SESSION_LENGTH_MAX = 8 * 1024;
/** Tokens of one request (chosen: clients seldom have more requests under way), and their longest text. */
export const SESSIONS_MAX = 16;
export const SESSIONS_LENGTH_MAX = SESSIONS_MAX * 4 * 1024;
/** Partitions listed by their commit (chosen: the token then has 1.5 kB at most). */
export const SESSION_PARTITIONS_MAX = 64;

export interface SessionToken {
  /** Of the database ({@link NetworkInformation}): ids of another history mean other commits. */
  readonly history: string;
  /** Commit that was seen, by partition. The highest partitions, when there are more than are listed. */
  readonly seen: ReadonlyMap<PartitionId, CommitId>;
  /** Of the system partition's feed, the last entry that was seen: schema, and copies of reference tables. */
  readonly system: number;
  /** Log time up to which anything was seen; empty for nothing. Stands for the partitions that are not listed. */
  readonly time: Timestamp | '';
}

/** What a replica must have applied to answer within a session; nothing for a partition that the session has not seen. */
export interface SessionDemand {
  readonly atLeast?: CommitId;
  readonly atLeastTime?: Timestamp;
}

/** The token of a session that has seen nothing yet. */
export function newSession(history: string): SessionToken {
  return { history, seen: new Map(), system: 0, time: '' };
}

/** The session that has seen what all of these have, which are of one history. */
export function mergeSessions(first: SessionToken, ...others: readonly SessionToken[]): SessionToken {
  const all = new Map(first.seen);
  let { system, time } = first;
  for (const other of others) {
    for (const [partition, commit] of other.seen) {
      if (commit > (all.get(partition) ?? -1)) all.set(partition, commit);
    }
    if (other.system > system) system = other.system;
    if (other.time > time) time = other.time;
  }
  const listed = [...all].sort(([left], [right]) => left - right).slice(-SESSION_PARTITIONS_MAX);
  return { history: first.history, seen: new Map(listed), system, time };
}

/** What the session demands of a replica of `partition`. */
export function demandOn({ seen, time }: SessionToken, partition: PartitionId): SessionDemand {
  const commit = seen.get(partition);
  if (commit !== undefined) return { atLeast: commit };
  // Folded are the lowest ones: a partition above any that is listed was never seen.
  const folded = seen.size === SESSION_PARTITIONS_MAX && partition < Math.min(...seen.keys());
  return folded && time !== '' ? { atLeastTime: time } : {};
}

export function encodeSession({ history, seen, system, time }: SessionToken): string {
  const listed = [...seen].sort(([left], [right]) => left - right);
  const members = listed.map(([partition, commit]) => `"${partition}":${commit}`);
  return encodeMembers(history, members.join(), system, time);
}

/** {@link encodeSession} of what one reply of one partition saw, as every reply carries it. */
export function encodeSeen(
  history: string,
  partition: PartitionId,
  commit: CommitId,
  system: number,
  time: Timestamp | '',
): string {
  return encodeMembers(history, `"${partition}":${commit}`, system, time);
}

function encodeMembers(history: string, members: string, system: number, time: string): string {
  return textToBase64Url(`{"v":${VERSION},"h":"${history}","p":{${members}},"s":${system},"t":"${time}"}`);
}

/** A history's id: nothing that JSON would escape. */
const HISTORY = /^[0-9A-Za-z_.:-]{1,64}$/;
const PARTITION = /^(?:0|[1-9]\d{0,8})$/;
/** As in core/clock/timestamp.ts. */
const TIME = /^(?:|[0-9a-f]{16}-[0-9A-Za-z_.-]{1,64})$/;

/** The seal, if there is one, is not looked at. Error: `bad-request` for what is no token, or one of another version. */
export function decodeSession(text: string): SessionToken {
  const token = readToken(text);
  if (token === null) {
    throw new AtollError('bad-request', 'session is no session token: send one as it came, or leave it out');
  }
  return token;
}

function readToken(text: string): SessionToken | null {
  if (text.length > SESSION_LENGTH_MAX) return null;
  const [token = ''] = text.split('.', 1);
  const bytes = /^[\w-]+$/.test(token) ? fromBase64(token.replaceAll('-', '+').replaceAll('_', '/')) : null;
  if (bytes === null) return null;
  let fields: unknown;
  try {
    // Anything but ASCII fails where a field is checked.
    fields = JSON.parse(String.fromCharCode.apply(null, bytes as unknown as number[]));
  } catch {
    return null;
  }
  if (typeof fields !== 'object' || fields === null) return null;
  const { v, h, p, s, t } = fields as Record<string, unknown>;
  if (Number.isSafeInteger(v) && v !== VERSION) {
    throw new AtollError('bad-request', `session is a token of version ${v}, this host reads ${VERSION}`);
  }
  if (v !== VERSION || typeof h !== 'string' || !HISTORY.test(h)) return null;
  if (typeof t !== 'string' || !TIME.test(t) || !isIndex(s)) return null;
  const seen = readSeen(p);
  return seen === null ? null : { history: h, seen, system: s, time: t as Timestamp };
}

function readSeen(value: unknown): Map<PartitionId, CommitId> | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const entries = Object.entries(value);
  if (entries.length > SESSION_PARTITIONS_MAX) return null;
  const seen = new Map<PartitionId, CommitId>();
  for (const [partition, commit] of entries) {
    if (!PARTITION.test(partition) || !isIndex(commit)) return null;
    seen.set(Number(partition) as PartitionId, commit as CommitId);
  }
  return seen;
}

function isIndex(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
