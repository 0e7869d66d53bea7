import { assert, present } from '../../base/assert.ts';
import type { CommitId } from '../../base/brand.ts';
import { toBase64 } from '../../protocol/base64.ts';
import type { FeedEntry } from '../../protocol/feed.ts';
import type { LogRetention } from '../../protocol/settings.ts';
import { applyChanges } from '../log/apply.ts';
import type { Commit } from '../log/commit.ts';
import { encodeChanges } from '../log/encoding.ts';
import { readCommit } from '../log/read.ts';
import { readHead } from '../log/tables.ts';
import { FIRST_USER_TABLE_ID } from '../schema/catalogue.ts';
import type { SchemaChange } from '../schema/change.ts';
import { PROGRESS } from './bookkeeping.ts';
import { applyFeed, readFeed } from './feed.ts';
import { decodeIncoming } from './received-changes.ts';
import { withdrawUndecided } from './recovery.ts';
import type { Replica } from './replica.ts';
import { writeRetention } from './retention.ts';
import type { System } from './system.ts';

/**
 * The feed, put together again from whatever copies are left: those of the system partition have it in their logs, and so has
 * every other partition that has applied it. Copies lag by different times, so the system partition's need not be
 * the one that is furthest.
 */

/** A run of the feed that a copy's log holds: entries after `after`, all of them, up to `upTo`. */
export interface FeedRun {
  readonly after: number;
  readonly upTo: number;
  /** The first entries of the run after `from`, which lies in it. Not empty before the end. */
  read(from: number): readonly FeedEntry[];
}

export function feedRunOf(replica: Replica): FeedRun {
  return replica.isSystem ? runOfSystem(replica) : runOfPartition(replica);
}

function runOfSystem(replica: Replica): FeedRun {
  const { firstCommitId } = readHead(replica.port);
  return {
    after: firstCommitId - 1,
    upTo: replica.feedIndex,
    read: (from) => readFeed(replica, from).entries,
  };
}

/** The log of a partition says of each entry which of the feed it was; what came before a recovery has other numbers. */
function runOfPartition(replica: Replica): FeedRun {
  const { port } = replica;
  const ids = port
    .query(
      `SELECT commit_id FROM _atoll_commits
       WHERE commit_id > (SELECT coalesce(max(commit_id), 0) FROM _atoll_commits WHERE kind = 'config')
         AND (kind = 'schema' OR payload LIKE '{"system":%') ORDER BY commit_id`,
    )
    .rows.map(([id]) => Number(id) as CommitId);
  const stepOf = (id: CommitId): Step => readStep(present(readCommit(port, id), 'an entry that was listed'));
  const [first] = ids;
  const steps = ids.map((id) => ({ id, index: stepOf(id).entry.index }));
  return {
    after: first === undefined ? replica.systemIndex : stepOf(first).before,
    upTo: replica.systemIndex,
    read: (from) =>
      steps
        .filter(({ index }) => index > from)
        .slice(0, ENTRIES_MAX)
        .map(({ id }) => stepOf(id).entry),
  };
}

/** Entries that are read at once (chosen: as in a message of the feed). */
const ENTRIES_MAX = 256;

interface Step {
  readonly entry: FeedEntry;
  /** The entry of the feed that was applied before it. */
  readonly before: number;
}

function readStep({ header, changes }: Commit): Step {
  const progress = present(
    changes.find(({ tableId, after }) => tableId === PROGRESS.id && after?.[0] === 'system_index'),
    'an entry of the feed moves the progress',
  );
  const index = Number(progress.after?.[1]);
  const before = Number(progress.before?.[1] ?? 0);
  if (header.kind === 'schema') {
    // Which proposal it was, the partition does not remember; nobody waits for it any more.
    return {
      entry: { index, kind: 'schema', proposal: 0, change: JSON.parse(String(header.payload)) },
      before,
    };
  }
  const rows = changes.filter(({ tableId }) => tableId >= FIRST_USER_TABLE_ID);
  const { retention } = JSON.parse(String(header.payload)) as { retention?: LogRetention };
  const entry: FeedEntry = {
    index,
    kind: 'write',
    changes: toBase64(encodeChanges(rows)),
    ...(retention !== undefined && { retention }),
  };
  return { entry, before };
}

/** All entries after `from` up to `upTo`, from whichever runs have them; or the first place that none of them has. */
export function assembleFeed(
  runs: readonly FeedRun[],
  from: number,
  upTo: number,
): { readonly entries: readonly FeedEntry[] } | { readonly missingAfter: number } {
  const entries: FeedEntry[] = [];
  let at = from;
  while (at < upTo) {
    const run = runs.find((each) => each.after <= at && each.upTo > at);
    const next = run?.read(at).filter(({ index }) => index <= upTo) ?? [];
    const last = next.at(-1);
    if (last === undefined) return { missingAfter: at };
    entries.push(...next);
    at = last.index;
  }
  return { entries };
}

/** Brings a partition's copy to the end of the feed. */
export function catchUpPartition(replica: Replica, entries: readonly FeedEntry[], now: number): void {
  const done = applyFeed(replica, { from: replica.systemIndex, entries }, now);
  assert(done, 'a feed that begins where the partition is');
}

/**
 * Brings the system partition's copy to where another partition has seen it to be. What it did besides, such as who was
 * a member, no other partition knows; that is lost with the rest of its log. The entries get other numbers here.
 */
export function catchUpSystem(system: System, entries: readonly FeedEntry[], now: number): void {
  const { replica } = system;
  withdrawUndecided(system, now);
  for (const entry of entries) {
    if (entry.kind === 'schema') {
      system.impose(
        entry.change as SchemaChange,
        () => system.set('recovered_schema', String(entry.index)),
        now,
      );
      continue;
    }
    try {
      replica.port.transaction(() => {
        applyChanges(replica.port, decodeIncoming(replica.port, entry.changes));
        const { retention } = entry;
        if (retention !== undefined) writeRetention(replica.port, retention);
        replica.appendFeed('write', { feed: 'write', ...(retention !== undefined && { retention }) }, now);
      });
    } finally {
      replica.reload();
    }
  }
}
