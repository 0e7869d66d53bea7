import { assert } from '../../base/assert.ts';
import type { CommitId, Term } from '../../base/brand.ts';
import type { AppendResult } from './follower.ts';
import type { After, ReadBatch } from './shipping.ts';

/**
 * What a leader knows of a follower, and what it may send it: `tracker.Progress` of etcd's Raft
 * (https://github.com/etcd-io/raft/blob/main/tracker/progress.go), as plain data of at most {@link PROGRESS_BYTES_MAX} as
 * JSON, which a hibernating object keeps in the link's attachment. Every function gives a new one.
 *
 * - `probe`: where the follower's log ends is a guess: one message, then its answer.
 * - `replicate`: messages follow one another without waiting, up to a window.
 * - `snapshot`: it needs one, or is receiving one: no entries.
 */
export interface Progress {
  readonly state: 'probe' | 'replicate' | 'snapshot';
  /** What the follower has for certain. */
  readonly match: Place;
  /** Where its log will end when all that is under way arrives: what is sent next follows this. */
  readonly sent: Place;
  /** Messages without an answer, oldest first: where each leaves the follower, and its bytes. */
  readonly inflight: readonly (readonly [commitId: number, offset: number, bytes: number])[];
  /** The commit that the snapshot under way has; null while none is. */
  readonly snapshot: CommitId | null;
}

export type Place = Required<After>;

/** The window (chosen: an agent a tenth of a second away still gets 40 MB/s). */
export const INFLIGHT_MAX = 16;
export const INFLIGHT_BYTES_MAX = 4 * 1024 * 1024;

/** A link's attachment has 16 KiB for all (imposed by workerd: 16,384 bytes), of which this may be a small part. */
export const PROGRESS_BYTES_MAX = 1024;

const NOWHERE: Place = { commitId: 0 as CommitId, term: 0 as Term, offset: 0 };

/** Of a follower that says where its log ends; null: it has none, and needs a snapshot. */
export function startProgress(position: After | null): Progress {
  if (position === null) return needsSnapshot(startProgress(NOWHERE));
  const place = placeOf(position);
  return { state: 'probe', match: place, sent: place, inflight: [], snapshot: null };
}

/** Whether a message may be sent now. */
export function maySend({ state, inflight }: Progress): boolean {
  if (state === 'snapshot') return false;
  if (state === 'probe') return inflight.length === 0;
  return inflight.length < INFLIGHT_MAX && inflightBytes(inflight) < INFLIGHT_BYTES_MAX;
}

/** A batch that was read after `sent` is on its way. */
export function batchSent(progress: Progress, batch: ReadBatch): Progress {
  assert(maySend(progress), 'a message beyond the window');
  const sent = placeOf(batch.end);
  const bytes = batch.entries.reduce((sum, entry) => sum + entry.length, 0);
  return { ...progress, sent, inflight: [...progress.inflight, [sent.commitId, sent.offset, bytes]] };
}

/** The follower has answered a message. */
export function answered(progress: Progress, { kind, position }: AppendResult): Progress {
  if (kind === 'diverged') return needsSnapshot(progress);
  const place = placeOf(position);
  if (kind !== 'gap') return matched(progress, place);
  if (progress.state === 'snapshot') return progress;
  const ahead = compare(place, progress.match);
  // Messages behind a lost one are rejected one by one: what they miss was sent again, or has arrived since.
  if (progress.state === 'probe' ? ahead === 0 : ahead < 0) return progress;
  return { ...progress, state: 'probe', match: place, sent: place, inflight: [] };
}

/** The follower has this for certain. */
function matched(progress: Progress, place: Place): Progress {
  const match = later(progress.match, place);
  if (progress.state === 'snapshot') {
    if (progress.snapshot === null || match.commitId < progress.snapshot) return { ...progress, match };
    return { state: 'probe', match, sent: match, inflight: [], snapshot: null };
  }
  const inflight = progress.inflight.filter(([commitId, offset]) => compare({ commitId, offset }, match) > 0);
  return { ...progress, state: 'replicate', match, sent: later(progress.sent, match), inflight };
}

/** Nothing was heard for long, or the link is another one: what was under way may be lost. */
export function interrupted(progress: Progress): Progress {
  if (progress.state === 'snapshot') return progress;
  return { ...progress, state: 'probe', sent: progress.match, inflight: [] };
}

/** The log does not have what follows. */
export function needsSnapshot(progress: Progress): Progress {
  return { ...progress, state: 'snapshot', inflight: [], snapshot: null };
}

/** A snapshot of `base` is being sent. */
export function snapshotSent(progress: Progress, base: CommitId): Progress {
  assert(progress.state === 'snapshot', 'a snapshot that nobody needs');
  return { ...progress, snapshot: base };
}

function inflightBytes(inflight: Progress['inflight']): number {
  return inflight.reduce((sum, [, , bytes]) => sum + bytes, 0);
}

function placeOf({ commitId, term, offset }: After): Place {
  return { commitId, term, offset: offset ?? 0 };
}

function later(left: Place, right: Place): Place {
  return compare(left, right) >= 0 ? left : right;
}

function compare(
  left: { readonly commitId: number; readonly offset: number },
  right: { readonly commitId: number; readonly offset: number },
): number {
  return left.commitId - right.commitId || left.offset - right.offset;
}
