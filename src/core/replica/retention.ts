import { assert } from '../../base/assert.ts';
import type { CommitId } from '../../base/brand.ts';
import type { LogRetention } from '../../protocol/settings.ts';
import { formatTimestamp } from '../clock/timestamp.ts';
import { firstEntryAfter, firstEntryFrom } from '../log/find-entry.ts';
import { logBytes, oldestSeqWithin, purgeStep, RETENTION_BYTES, RETENTION_MS } from '../log/purge.ts';
import { readHead } from '../log/tables.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { readProgress, writeProgress } from './bookkeeping.ts';
import { FOLLOWER_BYTES_MAX, followersFloor, markLost } from './followers.ts';
import type { Replica } from './replica.ts';

/** What the database's settings say (`setRetention` of the system partition), as far as this replica has followed. */
export function readRetention(port: SqlitePort): LogRetention {
  return {
    milliseconds: readProgress(port, 'log_retention_ms') ?? RETENTION_MS,
    bytes: readProgress(port, 'log_retention_bytes') ?? RETENTION_BYTES,
  };
}

/** In the transaction that is open. */
export function writeRetention(port: SqlitePort, { milliseconds, bytes }: LogRetention): void {
  writeProgress(port, 'log_retention_ms', milliseconds);
  writeProgress(port, 'log_retention_bytes', bytes);
}

/** Of the system partition: how long logs are kept from now on. Partitions learn it from the feed. */
export function setRetention(replica: Replica, set: Partial<LogRetention>, now: number): void {
  assert(replica.isSystem, 'the system partition has the settings');
  const retention = { ...readRetention(replica.port), ...set };
  replica.port.transaction(() => {
    writeRetention(replica.port, retention);
    replica.appendFeed('write', { feed: 'write', retention }, now);
  });
}

/** What the log may grow to for those that still need it, and how old what they need may become. */
export function heldAtMost({ milliseconds, bytes }: LogRetention): LogRetention {
  return {
    milliseconds: Math.max(RETENTION_MS, milliseconds),
    bytes: Math.max(FOLLOWER_BYTES_MAX, bytes),
  };
}

/** By whom the log is needed: the first entry of each that must stay; `lastCommitId + 1` for none. */
export interface Needs {
  /** Hosts with copies (followers.ts). */
  readonly followers: CommitId;
  /** Answers whose pages are still asked for (open-reads.ts). */
  readonly reads: CommitId;
  /** Of the system partition: partitions that follow the feed. Not bounded: nothing else brings them up to it. */
  readonly feed: CommitId;
}

/** `needed`: the last entry that no partition needs any more, or null where none follows this log. */
export function needsOf(replica: Replica, now: number, needed: number | null): Needs {
  const { port } = replica;
  const { lastCommitId } = readHead(port);
  return {
    followers: followersFloor(port),
    reads: readsFloor(replica, now),
    feed: ((needed ?? lastCommitId) + 1) as CommitId,
  };
}

/** What is older, or larger, than what is held at most is not held for pages. */
function readsFloor({ port, openReads, identity }: Replica, now: number): CommitId {
  const none = (readHead(port).lastCommitId + 1) as CommitId;
  const oldest = openReads.oldest(now);
  if (oldest === null) return none;
  const { milliseconds, bytes } = heldAtMost(readRetention(port));
  const earliest = formatTimestamp({
    milliseconds: Math.max(0, now - milliseconds),
    counter: 0,
    node: identity.node,
  });
  const floor = firstEntryAfter(port, oldest < earliest ? earliest : oldest);
  return Math.max(floor, firstEntryFrom(port, oldestSeqWithin(port, bytes))) as CommitId;
}

/**
 * Forgets log entries that are older than the retention, in at most `steps` bounded steps; behind writes, so that the log
 * shrinks as fast as it grows. What is still needed stays: see {@link Needs}.
 */
export function forgetOldEntries(replica: Replica, now: number, needed: number | null, steps: number): void {
  const { port } = replica;
  const retention = readRetention(port);
  markLost(port, now, heldAtMost(retention));
  const { followers, reads, feed } = needsOf(replica, now, needed);
  const floor = Math.min(followers, reads, feed) as CommitId;
  const olderThan = oldestKept(replica, retention, now);
  for (let step = 0; step < steps; step++) {
    if (!purgeStep(port, { olderThan, bytesMax: retention.bytes, floor })) return;
  }
}

function oldestKept({ identity }: Replica, { milliseconds }: LogRetention, now: number) {
  return formatTimestamp({ milliseconds: Math.max(0, now - milliseconds), counter: 0, node: identity.node });
}

export interface LogMeasure {
  /** Of its images, by the length of a sample. */
  readonly bytes: number;
  /** Entries that the retention would let go, by whom they are held; about, since a log that was once empty numbers images anew. */
  readonly held: { readonly [By in keyof Needs]: number };
}

/** The log as it is, for operators. */
export function measureLog(replica: Replica, now: number, needed: number | null): LogMeasure {
  const { port } = replica;
  const retention = readRetention(port);
  const needs = needsOf(replica, now, needed);
  const byAge = firstEntryAfter(port, oldestKept(replica, retention, now));
  const kept = Math.max(byAge, firstEntryFrom(port, oldestSeqWithin(port, retention.bytes)));
  const { firstCommitId } = readHead(port);
  const heldFrom = (floor: CommitId): number => Math.max(0, kept - Math.max(floor, firstCommitId));
  return {
    bytes: logBytes(port),
    held: {
      followers: heldFrom(needs.followers),
      reads: heldFrom(needs.reads),
      feed: heldFrom(needs.feed),
    },
  };
}
