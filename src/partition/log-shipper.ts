import { present } from '../base/assert.ts';
import type { CommitId } from '../base/brand.ts';
import type { Replica } from '../core/replica/replica.ts';
import { readPosition, termAt } from '../core/replication/position.ts';
import { type After, type AppendBatch, encodeBatch, readBatch } from '../core/replication/shipping.ts';
import type { SnapshotCursor } from '../core/replication/snapshot-format.ts';
import { openSnapshot, readSnapshotPage } from '../core/replication/snapshot-source.ts';
import {
  Appended,
  Follow,
  type FollowReply,
  ReadIndex,
  type ReadIndexReply,
  replicationMessage,
  SnapshotOpen,
  SnapshotPageRequest,
} from '../protocol/replication.ts';
import type { CallHandler, EventHandler, Link } from '../rpc/link.ts';
import { readHead } from '../rpc/read-head.ts';

/** Writes that follow each other so closely travel together, ms (chosen: a tenth of what a learner may lag). */
const GATHER_MS = 5;
/** Batches on their way to one follower (chosen: 4 MiB of its and this object's memory). */
const IN_FLIGHT_MAX = 8;
/** After what a follower could not write, ms (chosen: a full disk does not get better at once). */
const FAILED_PAUSE_MS = 2_000;

interface Following {
  /** The end of what was sent. */
  after: After;
  /** Durable there up to here; null until it has said so. */
  matched: CommitId | null;
  inFlight: number;
  /** Unix milliseconds before which nothing is sent. */
  pausedUntil: number;
}

/** Sends the log of the partition that this object leads to the hosts that follow it, as fast as each of them takes it. */
export class LogShipper {
  readonly #replica: () => Replica;
  readonly #followers = new Map<Link, Following>();
  #gathering = false;

  constructor(replica: () => Replica) {
    this.#replica = replica;
  }

  /** Followers by host, and up to which commit each has the log durably. */
  get matched(): ReadonlyMap<string, CommitId> {
    const pairs = [...this.#followers].flatMap(([link, { matched }]) =>
      matched === null ? [] : [[link.peer.host, matched] as const],
    );
    return new Map(pairs);
  }

  /** A link on which this object may have shipped before it slept: the follower says where it is by following again. */
  resume(link: Link): void {
    link.event(replicationMessage.followAgain, { partition: this.#replica().identity.partition });
  }

  forget(link: Link): void {
    this.#followers.delete(link);
  }

  /** The log has grown. */
  grown(): void {
    if (this.#gathering || this.#followers.size === 0) return;
    this.#gathering = true;
    setTimeout(() => {
      this.#gathering = false;
      this.#shipAll();
    }, GATHER_MS);
  }

  readonly events = (link: () => Link): Record<string, EventHandler> => ({
    [replicationMessage.appended]: ({ head }) =>
      this.#acknowledged(link(), readHead(Appended, 'appended', head)),
  });

  readonly calls = (link: () => Link): Record<string, CallHandler> => ({
    [replicationMessage.follow]: ({ head }) => ({
      head: this.#follow(link(), readHead(Follow, 'follow', head)),
      data: NO_DATA,
    }),
    [replicationMessage.snapshotOpen]: ({ head }) => {
      readHead(SnapshotOpen, 'snapshot-open', head);
      return { head: { snapshot: openSnapshot(this.#replica()) }, data: NO_DATA };
    },
    [replicationMessage.snapshotPage]: ({ head }) => {
      const { base, cursor } = readHead(SnapshotPageRequest, 'snapshot-page', head);
      const page = readSnapshotPage(this.#replica(), base as CommitId, cursor as SnapshotCursor);
      if (page === 'gone') return { head: { kind: 'gone' }, data: NO_DATA };
      return { head: { kind: 'page', page: page.head }, data: page.data };
    },
    [replicationMessage.readIndex]: ({ head }) => {
      readHead(ReadIndex, 'read-index', head);
      const { commitId, term, timestamp } = readPosition(this.#replica().port);
      return { head: { commitId, term, timestamp } satisfies ReadIndexReply, data: NO_DATA };
    },
  });

  #follow(link: Link, { position }: Follow): FollowReply {
    const last = readPosition(this.#replica().port).commitId;
    if (position === null) return { next: 'snapshot', last };
    const after = position as unknown as After;
    if (readBatch(this.#replica(), after, 1) === 'snapshot-needed') return { next: 'snapshot', last };
    this.#followers.set(link, { after, matched: after.commitId, inFlight: 0, pausedUntil: 0 });
    // Not before the reply to this call.
    setTimeout(() => this.#shipAll(), 0);
    return { next: 'entries', last };
  }

  #acknowledged(link: Link, { kind, position }: Appended): void {
    const after = position as unknown as After;
    const following = this.#followers.get(link);
    if (following === undefined || kind === 'gap') {
      this.#followers.set(link, { after, matched: after.commitId, inFlight: 0, pausedUntil: 0 });
    } else if (kind === 'diverged') {
      // It takes a snapshot by itself, and follows again then.
      this.#followers.delete(link);
      return;
    } else {
      following.inFlight = Math.max(0, following.inFlight - 1);
      following.matched = after.commitId;
      if (kind === 'failed') {
        following.after = after;
        following.inFlight = 0;
        following.pausedUntil = Date.now() + FAILED_PAUSE_MS;
        setTimeout(() => this.#shipAll(), FAILED_PAUSE_MS);
      }
    }
    this.#shipAll();
  }

  /** A batch that several followers need next is read and encoded once. */
  #shipAll(): void {
    const read = new Map<string, Encoded | 'snapshot-needed' | 'up-to-date'>();
    for (const [link, following] of this.#followers) {
      while (following.inFlight < IN_FLIGHT_MAX && Date.now() >= following.pausedUntil) {
        const key = `${following.after.commitId}/${following.after.offset ?? 0}`;
        let batch = read.get(key);
        if (batch === undefined) {
          const found = readBatch(this.#replica(), following.after);
          batch = typeof found === 'string' ? found : this.#encode(found);
          read.set(key, batch);
        }
        if (batch === 'up-to-date') break;
        if (batch === 'snapshot-needed') {
          // Its own answer to this is to follow again, and to be told so.
          this.resume(link);
          this.#followers.delete(link);
          break;
        }
        link.event(replicationMessage.append, batch.head, batch.data);
        following.inFlight++;
        following.after = batch.end;
      }
    }
  }

  #encode(batch: AppendBatch): Encoded {
    const { head, data } = encodeBatch(batch);
    const { partition } = this.#replica().identity;
    return { head: { partition, ...(head as object) }, data, end: endOf(this.#replica(), batch) };
  }
}

/** Where the batch after this one begins. */
function endOf(replica: Replica, { previous, entries, piece }: AppendBatch): After {
  if (piece !== null && piece.next !== null) return { ...previous, offset: piece.next };
  const commitId = (previous.commitId + entries.length) as CommitId;
  return { commitId, term: present(termAt(replica.port, commitId), 'an entry that was read'), offset: 0 };
}

const NO_DATA = new Uint8Array(0);

interface Encoded {
  readonly head: unknown;
  readonly data: Uint8Array;
  /** Where the next one begins. */
  readonly end: After;
}
