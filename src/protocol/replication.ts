import * as v from 'valibot';

/**
 * How a replica follows the leader of its partition: docs/protocol.md, "Replication". Each message names the partition, as
 * one link may carry several.
 */
export const replicationMessage = {
  /** Call, follower → leader: begin to send. */
  follow: 'follow',
  /** Event, leader → follower: entries of the log. */
  append: 'append',
  /** Event, follower → leader: what became of them. */
  appended: 'appended',
  /** Event, leader → follower: it has slept, or lost count of what it sent: call `follow` again. */
  followAgain: 'follow-again',
  /** Calls, follower → leader: a snapshot, then its pages. */
  snapshotOpen: 'snapshot-open',
  snapshotPage: 'snapshot-page',
  /** Call, follower → leader: how far a read must see that is to be as of now. */
  readIndex: 'read-index',
  /** Call, follower → leader: digests of the rows as of a commit, which are to be the same on both sides. */
  compare: 'compare',
} as const;

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const partition = v.pipe(count, v.maxValue(2 ** 31 - 1));
/** Hybrid logical clock: core/clock/timestamp.ts. Empty before the first entry. */
const timestamp = v.pipe(v.string(), v.maxLength(128));

const EntryId = v.object({ commitId: count, term: count });

/** Where a replica's log ends. `offset`: how many changes it has of the entry after that. */
export const WirePosition = v.object({ commitId: count, term: count, timestamp, offset: count });
export type WirePosition = v.InferOutput<typeof WirePosition>;

export const Follow = v.object({
  partition,
  /** Null: there is nothing here, or nothing of use. */
  position: v.nullable(WirePosition),
});
export type Follow = v.InferOutput<typeof Follow>;

export const FollowReply = v.object({
  /** `entries`: `append` will come. `snapshot`: the log does not reach back to the position, or differs there. */
  next: v.picklist(['entries', 'snapshot']),
  /** The leader's last entry. */
  last: count,
});
export type FollowReply = v.InferOutput<typeof FollowReply>;

/** Head; the data are the entries (core/replication/shipping.ts), within the bounds that one frame sets. */
export const Append = v.object({
  partition,
  /** The entry that the first one follows. */
  previous: EntryId,
  /** If not null: a part of one entry's changes, from `offset` to `next`, or to the end; `changes`: how many the entry has. */
  piece: v.nullable(v.object({ offset: count, next: v.nullable(count), changes: v.optional(count) })),
  /** The leader's last entry. */
  last: count,
  /** When it was sent, by the leader's clock, Unix ms: until then the leader had nothing else. */
  time: v.optional(count),
});
export type Append = v.InferOutput<typeof Append>;

export const Appended = v.object({
  partition,
  /** core/replication/follower.ts. `failed`: it could not write, for example for want of space; send again later. */
  kind: v.picklist(['appended', 'stale', 'gap', 'diverged', 'failed']),
  /** Durable up to here. */
  position: WirePosition,
});
export type Appended = v.InferOutput<typeof Appended>;

export const SnapshotOpen = v.object({ partition });
export type SnapshotOpen = v.InferOutput<typeof SnapshotOpen>;

/** `snapshot`: core/replication/snapshot-format.ts, SnapshotHead. */
export const SnapshotOpenReply = v.object({ snapshot: v.unknown() });
export type SnapshotOpenReply = v.InferOutput<typeof SnapshotOpenReply>;

export const SnapshotPageRequest = v.object({
  partition,
  /** The commit that the snapshot is of. */
  base: count,
  /** From the snapshot's head, or from the page before. */
  cursor: v.unknown(),
});
export type SnapshotPageRequest = v.InferOutput<typeof SnapshotPageRequest>;

/** `page`: the head of a page (SnapshotPageHead), whose rows are the data. `gone`: open another snapshot. */
export const SnapshotPageReply = v.variant('kind', [
  v.object({ kind: v.literal('page'), page: v.unknown() }),
  v.object({ kind: v.literal('gone') }),
]);
export type SnapshotPageReply = v.InferOutput<typeof SnapshotPageReply>;

export const ReadIndex = v.object({ partition });
export type ReadIndex = v.InferOutput<typeof ReadIndex>;

/** The leader's last entry, after it has made sure that it leads. */
export const ReadIndexReply = v.object({ commitId: count, term: count, timestamp });
export type ReadIndexReply = v.InferOutput<typeof ReadIndexReply>;

export const FollowAgain = v.object({ partition });
export type FollowAgain = v.InferOutput<typeof FollowAgain>;

/** Digests in one answer. */
const NODES_MAX = 1024;

export const Compare = v.object({
  partition,
  /** The commit that both sides are compared as of. */
  at: count,
  /** Nodes of the tree: core/replication/merkle.ts. None: the leader only counts. */
  question: v.pipe(
    v.array(v.object({ table: v.string(), level: count, index: count })),
    v.maxLength(NODES_MAX),
  ),
});
export type Compare = v.InferOutput<typeof Compare>;

export const CompareReply = v.variant('kind', [
  /** Its rows are not all counted: ask again. */
  v.object({ kind: v.literal('counting') }),
  /** It compares with another follower: ask again later. */
  v.object({ kind: v.literal('busy') }),
  /** Its log does not reach back to the commit, or the schema has changed since: begin anew at a newer one. */
  v.object({ kind: v.literal('gone') }),
  v.object({
    kind: v.literal('answer'),
    /** Tables that it has counted. */
    tables: count,
    /** In the order of the question; null for a table that is not there. */
    digests: v.pipe(v.array(v.nullable(v.pipe(v.string(), v.maxLength(64)))), v.maxLength(NODES_MAX)),
  }),
]);
export type CompareReply = v.InferOutput<typeof CompareReply>;
