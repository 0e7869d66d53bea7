import type { CommitId, PartitionId } from '../../base/brand.ts';
import { RPC_VERSION } from '../../protocol/rpc.ts';
import { type FollowerNote, type FollowerState, isRecent, noteFollower } from '../replica/followers.ts';
import type { Replica } from '../replica/replica.ts';
import type { AppendResult } from './follower.ts';
import { isSameEntry, type Position, readPosition } from './position.ts';
import { answered, batchSent, interrupted, maySend, type Progress, startProgress } from './progress.ts';
import { type After, BATCH_BYTES, encodeBatch, type ReadBatch, readBatch } from './shipping.ts';
import type { SnapshotCursor, SnapshotHead, SnapshotPage } from './snapshot-format.ts';
import { openSnapshot, readSnapshotPage, SNAPSHOT_PAGE_BYTES } from './snapshot-source.ts';

/** After this long without an answer, what is under way is taken for lost and sent again, ms (chosen: three heartbeats). */
export const UNANSWERED_MS = 15_000;
/** After what a follower could not write, ms (chosen: a full disk does not get better at once). */
export const FAILED_PAUSE_MS = 2_000;

/** What a follower says of entries that it was sent; `failed`: it could not write. */
export interface Answer {
  readonly kind: AppendResult['kind'] | 'failed';
  readonly position: Position;
}

/** A message for the follower at the other end of `link`; head and data as in `src/protocol/replication.ts`. */
export type Shipment<L> =
  | { readonly link: L; readonly type: 'append'; readonly head: object; readonly data: Uint8Array }
  | { readonly link: L; readonly type: 'follow-again'; readonly head: { readonly partition: PartitionId } };

interface Following {
  readonly host: string;
  progress: Progress;
  /** Unix ms: since when what is under way waits for an answer. */
  waitingSince: number;
  /** Unix ms before which nothing is sent. */
  pausedUntil: number;
}

/**
 * The leader's side of replication: which entries each follower gets next, and what the leader's file notes of it so that
 * the log waits for all that are responsible. Pure: what came and the time go in, messages come out. It may be
 * forgotten at any time: followers say where they are by following again. `L`: a link, at whose other end is a follower.
 */
export class Shipper<L> {
  readonly #replica: () => Replica;
  readonly #batchBytes: number;
  readonly #pageBytes: number;
  readonly #versionOf: (link: L) => number;
  readonly #followers = new Map<L, Following>();
  /** What was noted of each host last. */
  readonly #notes = new Map<string, FollowerNote>();
  /** The last entry when the log was last read for a follower; null: it must be looked at. */
  #last: CommitId | null = null;

  constructor(
    replica: () => Replica,
    {
      batchBytes = BATCH_BYTES,
      pageBytes = SNAPSHOT_PAGE_BYTES,
      versionOf = () => RPC_VERSION,
    }: {
      readonly batchBytes?: number;
      readonly pageBytes?: number;
      /** Of the protocol, that the follower there speaks. */
      readonly versionOf?: (link: L) => number;
    } = {},
  ) {
    this.#replica = replica;
    this.#batchBytes = batchBytes;
    this.#pageBytes = pageBytes;
    this.#versionOf = versionOf;
  }

  get isIdle(): boolean {
    return this.#followers.size === 0;
  }

  /** Whether there may be more to send than was under way when the log was last read, or a follower has not been looked at. */
  get isBehind(): boolean {
    const last = this.#last;
    if (last === null) return true;
    return [...this.#followers.values()].some(({ progress }) => progress.sent.commitId < last);
  }

  /** Followers by host, and up to which commit each has the log durably. */
  get matched(): ReadonlyMap<string, CommitId> {
    return new Map(
      [...this.#followers.values()].map(({ host, progress }) => [host, progress.match.commitId]),
    );
  }

  /** A follower wants what comes after `position`; null: it has nothing of use. */
  follow(
    link: L,
    host: string,
    position: Position | null,
    now: number,
  ): { readonly next: 'entries' | 'snapshot'; readonly last: CommitId } {
    const replica = this.#replica();
    const last = readPosition(replica.port).commitId;
    this.#followers.delete(link);
    if (
      position === null ||
      !isSameEntry(replica.port, position) ||
      readBatch(replica, position, 1, this.#versionOf(link)) === 'snapshot-needed'
    ) {
      this.#note(host, 0 as CommitId, 'resync', now);
      return { next: 'snapshot', last };
    }
    this.#begin(link, host, position, now);
    return { next: 'entries', last };
  }

  /** The log is kept from here on, so that the snapshot's pages and what comes after it can be sent. */
  openSnapshot(host: string, now: number): SnapshotHead {
    const head = openSnapshot(this.#replica());
    this.#note(host, head.base.commitId, 'snapshot', now);
    return head;
  }

  /** See `readSnapshotPage`. A snapshot that goes on where it was interrupted needs the log again, too. */
  snapshotPage(host: string, base: CommitId, cursor: SnapshotCursor, now: number): SnapshotPage | 'gone' {
    const page = readSnapshotPage(this.#replica(), base, cursor, this.#pageBytes);
    if (page !== 'gone') this.#note(host, base, 'snapshot', now);
    return page;
  }

  /** An answer to entries. False: nobody follows over this link, as far as this leader knows; it has slept, or it is no follower's. */
  answered(link: L, host: string, { kind, position }: Answer, now: number): boolean {
    const following = this.#followers.get(link);
    if (following === undefined) return false;
    if (kind === 'diverged') {
      // It takes a snapshot by itself, and follows again then.
      this.#followers.delete(link);
      this.#note(host, 0 as CommitId, 'resync', now);
    } else {
      following.waitingSince = now;
      this.#take(following, kind, position, now);
      this.#note(host, following.progress.match.commitId, 'following', now);
    }
    return true;
  }

  #take(
    following: Following,
    kind: 'appended' | 'stale' | 'gap' | 'failed',
    position: Position,
    now: number,
  ): void {
    if (kind !== 'failed') {
      following.progress = answered(following.progress, { kind, position });
      return;
    }
    following.progress = interrupted(answered(following.progress, { kind: 'stale', position }));
    following.pausedUntil = now + FAILED_PAUSE_MS;
  }

  forget(link: L): void {
    this.#followers.delete(link);
  }

  /** The host is no member any more, and what was noted of it is gone. */
  dismiss(host: string): void {
    this.#notes.delete(host);
    for (const [link, following] of this.#followers)
      if (following.host === host) this.#followers.delete(link);
  }

  /** Unix ms when something waits to be sent again; null: nothing does. What a link has lost ends with the link. */
  get dueAt(): number | null {
    const times = [...this.#followers.values()].map((each) => each.pausedUntil).filter((time) => time > 0);
    return times.length === 0 ? null : Math.min(...times);
  }

  /** All that may be sent now. A batch that several followers need next is read and encoded once. */
  messages(now: number): Shipment<L>[] {
    const read = new Map<string, Encoded | 'snapshot-needed' | 'up-to-date'>();
    const shipments: Shipment<L>[] = [];
    for (const [link, following] of this.#followers) {
      if (now < following.pausedUntil) continue;
      following.pausedUntil = 0;
      if (following.progress.inflight.length > 0 && now - following.waitingSince >= UNANSWERED_MS) {
        following.progress = interrupted(following.progress);
      }
      this.#ship(link, following, read, shipments, now);
    }
    return shipments;
  }

  #ship(
    link: L,
    following: Following,
    read: Map<string, Encoded | 'snapshot-needed' | 'up-to-date'>,
    shipments: Shipment<L>[],
    now: number,
  ): void {
    while (maySend(following.progress)) {
      const { sent } = following.progress;
      const version = this.#versionOf(link);
      const key = `${sent.commitId}/${sent.term}/${sent.offset}/${version}`;
      let next = read.get(key);
      if (next === undefined) {
        next = this.#read(sent, version);
        read.set(key, next);
      }
      if (next === 'up-to-date') return;
      if (next === 'snapshot-needed') {
        // Its own answer to this is to follow again, and to be told so.
        this.#followers.delete(link);
        this.#note(following.host, 0 as CommitId, 'resync', now);
        const { partition } = this.#replica().identity;
        shipments.push({ link, type: 'follow-again', head: { partition } });
        return;
      }
      if (following.progress.inflight.length === 0) following.waitingSince = now;
      following.progress = batchSent(following.progress, next.batch);
      shipments.push({ link, type: 'append', head: { ...next.head, time: now }, data: next.data });
      // Nothing was appended meanwhile.
      if (next.batch.end.commitId === next.batch.last) return;
    }
    // Its window is full: what lies behind that was not looked at.
    this.#last = null;
  }

  #read(after: After, version: number): Encoded | 'snapshot-needed' | 'up-to-date' {
    const replica = this.#replica();
    const batch = readBatch(replica, after, this.#batchBytes, version);
    if (batch === 'up-to-date') this.#last = after.commitId;
    if (typeof batch === 'string') return batch;
    this.#last = batch.last;
    const { head, data } = encodeBatch(batch);
    return { batch, head: { partition: replica.identity.partition, ...(head as object) }, data };
  }

  #begin(link: L, host: string, position: Position, now: number): void {
    this.#last = null;
    this.#followers.set(link, {
      host,
      progress: startProgress(position),
      waitingSince: now,
      pausedUntil: 0,
    });
    this.#note(host, position.commitId, 'following', now);
  }

  #note(host: string, matched: CommitId, state: FollowerState, now: number): void {
    const note: FollowerNote = { host, matched, seenMs: now, state };
    const known = this.#notes.get(host);
    // Without a look into the file: most answers are nothing else that happens here.
    if (known !== undefined && isRecent(known, note)) return;
    this.#notes.set(host, noteFollower(this.#replica().port, note));
  }
}

interface Encoded {
  readonly batch: ReadBatch;
  readonly head: object;
  readonly data: Uint8Array;
}
