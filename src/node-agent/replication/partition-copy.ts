import type { PartitionId } from '../../base/brand.ts';
import type { Position } from '../../core/replication/position.ts';
import { AtollError } from '../../protocol/error.ts';
import type { PartitionStatus } from '../../protocol/network.ts';
import {
  Append,
  type Appended,
  type Follow,
  FollowReply,
  ReadIndexReply,
  replicationMessage,
} from '../../protocol/replication.ts';
import type { Link, Message } from '../../rpc/link.ts';
import { readHead } from '../../rpc/read-head.ts';
import { backoffMs } from '../../rpc/reconnect.ts';
import type { OpenLink } from '../links/open-link.ts';
import { causeOf, type LogEvent, messageOf } from '../log.ts';
import { pause } from '../pause.ts';
import { type PartitionState, StorageError } from '../storage/calls.ts';
import type { Storage } from '../storage/storage.ts';
import { Acknowledgements } from './acknowledgements.ts';
import { type Comparing, compareWithLeader } from './compare.ts';
import { fetchSnapshot } from './snapshot.ts';

/**
 * - `waiting`: no link to the leader, or a pause after a failure.
 * - `loading`: a snapshot is arriving.
 * - `following`: entries are applied as they come.
 */
export type CopyPhase = 'waiting' | 'loading' | 'following';

export interface CopyOptions {
  readonly partition: PartitionId;
  readonly file: string;
  readonly storage: Storage;
  readonly log: LogEvent;
}

/** Entries as they came. */
interface Received {
  readonly head: unknown;
  readonly data: Uint8Array;
  readonly last: number;
  /** Unix ms. */
  readonly sentAt: number;
}

/** `failed`: nobody answered, or the file could not be read. */
export type Compared = Comparing | { readonly result: 'failed'; readonly message: string };

/** Why a following ends that the leader has asked to begin anew: it has slept, or lost count. */
const FOLLOW_AGAIN = Symbol('follow-again');

/** Defects in a row after which the replica is not trusted any more and made anew (chosen). */
const DEFECTS_MAX = 3;

/** This host's replica of one partition: follows its leader whenever there is a link, and knows how far it is. */
export class PartitionCopy {
  readonly partition: PartitionId;
  readonly file: string;
  readonly #storage: Storage;
  readonly #log: LogEvent;
  phase: CopyPhase = 'waiting';
  /** The disk had no space for what came last: the replica only answers reads until there is some. */
  isFull = false;
  #position: Position | null = null;
  #sizeBytes = 0;
  #snapshotBytes = 0;
  /** Of the leader's file, which a snapshot's pages come near to; 0: not known. */
  #snapshotBytesExpected = 0;
  /** Where this process began to follow. */
  #startedAt = 0;
  #leaderLast = 0;
  /** Whether the leader has said on this link where its log ends. */
  #isHeard = false;
  /** Unix ms: the replica had all that its leader had then; null: never, as far as this process knows. */
  #caughtUpAt: number | null = null;
  #isUnproved = false;
  /** The replica must not be used again; its file may still be there. */
  #isCondemned = false;
  #defects = 0;
  /** Attempts in a row that have brought nothing. */
  #failures = 0;
  #open: OpenLink | null = null;
  readonly #acknowledgements = new Acknowledgements((result) => void this.#acknowledge(result));
  /** Ends the following that goes on, to begin anew. */
  #interrupt: (error: unknown) => void = () => undefined;
  #asking: Promise<void> | null = null;

  constructor({ partition, file, storage, log }: CopyOptions) {
    this.partition = partition;
    this.file = file;
    this.#storage = storage;
    this.#log = log;
  }

  get position(): Position | null {
    return this.#position;
  }

  /** Of the replica's file, when it was last looked at. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** It has all that its leader had when it was last heard of. */
  get isInSync(): boolean {
    return this.#isFollowing && this.#caughtUpAt !== null && this.#has(this.#leaderLast);
  }

  /** How far it is on its way to that, from 0 to 1: by bytes of a snapshot, then by entries. */
  get progress(): number {
    if (this.isInSync) return 1;
    const position = this.#position;
    if (this.phase === 'loading' || position === null) {
      const expected = this.#snapshotBytesExpected;
      return expected === 0 ? 0 : Math.min(0.95, this.#snapshotBytes / expected);
    }
    const way = this.#leaderLast - this.#startedAt;
    return way <= 0 ? 0 : Math.min(0.99, (position.commitId - this.#startedAt) / way);
  }

  /** The leader's last entry that is known of. */
  get leaderLast(): number {
    return this.#leaderLast;
  }

  get caughtUpAt(): number | null {
    return this.#caughtUpAt;
  }

  /** How long ago the replica had all that its leader had; 0: it has. Null: it is not known to ever have. */
  lagMs(now: number): number | null {
    if (this.#isFollowing && this.#has(this.#leaderLast)) return 0;
    return this.#caughtUpAt === null ? null : Math.max(0, now - this.#caughtUpAt);
  }

  /** Looks into the file, so that what is there answers before there is a link. */
  async load(): Promise<void> {
    try {
      const state = await this.#storage.call(this.file, 'state');
      this.#take(state);
      this.#isUnproved = state.wasCut && state.position !== null;
    } catch (error) {
      this.#report(error);
    }
  }

  /** Follows the leader over a link until it ends. */
  async follow(open: OpenLink): Promise<void> {
    this.#open = open;
    this.#acknowledgements.clear();
    while (this.#isCurrent(open)) {
      const interrupted = Promise.withResolvers<never>();
      interrupted.promise.catch(() => undefined);
      this.#interrupt = interrupted.reject;
      try {
        await this.#begin(open.link);
        await Promise.race([interrupted.promise, open.closed]);
      } catch (error) {
        if (!this.#isCurrent(open)) break;
        if (error === FOLLOW_AGAIN) continue;
        this.#failures++;
        this.#report(error);
        await this.#mend(error);
        await pause(backoffMs(this.#failures, Math.random()), open.closed);
      }
    }
    if (this.#open === open) {
      this.#open = null;
      this.#acknowledgements.clear();
      this.phase = 'waiting';
    }
  }

  /** The leader's `append`. What comes while the replica is not following is passed over: the leader sends it again. */
  append({ head, data }: Message): void {
    const { last, time } = readHead(Append, replicationMessage.append, head);
    this.#leaderLast = Math.max(this.#leaderLast, last);
    const open = this.#open;
    if (open === null || this.phase !== 'following') return;
    // As of its sending, by whichever clock says less: entries may have been long on their way.
    const sentAt = Math.min(Date.now(), time ?? Number.POSITIVE_INFINITY);
    void this.#append(open, { head, data, last, sentAt });
  }

  /** A read of the file has failed. What is damaged is aside, and is loaded anew. */
  failed(error: unknown): void {
    if (!(error instanceof StorageError && error.kind === 'corrupt')) return;
    this.#lose();
    this.#interrupt(error);
  }

  followAgain(): void {
    this.#interrupt(FOLLOW_AGAIN);
  }

  /** Asks the leader how far a read must see that is to be as of now, and notes if the replica is there. Error: AtollError. */
  confirm(deadline: number): Promise<void> {
    const link = this.#open?.link;
    if (link === undefined) {
      return Promise.reject(new AtollError('unavailable', `no link to partition ${this.partition}`, 'none'));
    }
    this.#asking ??= this.#ask(link, deadline).finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  /** It came by a snapshot, or through the end of a process, and was not compared with its leader's since. */
  get isUnproved(): boolean {
    return this.#isUnproved;
  }

  /** Looks whether the rows here are the leader's. If they are not, the replica answers nothing more, and is made anew. */
  async compare(): Promise<Compared> {
    const open = this.#open;
    if (open === null || !this.isInSync) return { result: 'gone' };
    try {
      const compared = await compareWithLeader(this.#storage, this.file, this.partition, open.link);
      if (compared.result === 'equal') this.#isUnproved = false;
      if (compared.result !== 'different') return compared;
      const { tables, ranges } = compared;
      await this.#condemn('replica-differs', { tables, ranges }).finally(() => this.followAgain());
      return compared;
    } catch (error) {
      // The file may be gone.
      if (error instanceof StorageError && this.#isCurrent(open)) this.#interrupt(error);
      return { result: 'failed', message: messageOf(error) };
    }
  }

  async #ask(link: Link, deadline: number): Promise<void> {
    const askedAt = Date.now();
    const { partition } = this;
    const { head } = await link.call(replicationMessage.readIndex, { partition }, { deadline });
    const { commitId } = readHead(ReadIndexReply, replicationMessage.readIndex, head);
    this.#leaderLast = Math.max(this.#leaderLast, commitId);
    if (this.#has(commitId)) this.#caughtUp(askedAt);
  }

  async #begin(link: Link): Promise<void> {
    this.#isHeard = false;
    if (this.#isCondemned) await this.#condemn('replica-condemned', {});
    const state = await this.#storage.call(this.file, 'state');
    this.#take(state);
    const ask: Follow = { partition: this.partition, position: state.position };
    // Entries may come right behind the reply.
    this.phase = 'following';
    this.#startedAt = state.position?.commitId ?? 0;
    const sentAt = Date.now();
    const reply = await link.call(replicationMessage.follow, ask);
    const { next, last } = readHead(FollowReply, replicationMessage.follow, reply.head);
    // Less than before: the leader was brought back to an older state.
    this.#leaderLast = last;
    this.#isHeard = true;
    if (next === 'entries') {
      if (this.#has(last)) this.#caughtUp(sentAt);
      this.#log('info', 'following', { partition: this.partition, from: this.#position?.commitId, last });
      return;
    }
    await this.#load(link, state);
    return this.#begin(link);
  }

  async #load(link: Link, { snapshot }: PartitionState): Promise<void> {
    const { partition, file } = this;
    this.phase = 'loading';
    this.#snapshotBytes = 0;
    this.#snapshotBytesExpected = await sizeAtLeader(link);
    this.#log('info', 'snapshot-begun', { partition, resumed: snapshot !== null });
    const onBytes = (bytes: number): void => {
      this.#snapshotBytes = bytes;
    };
    const state = await fetchSnapshot({ link, storage: this.#storage, file, partition, onBytes }, snapshot);
    this.#log('info', 'snapshot-finished', {
      partition,
      commit: state.position?.commitId,
      bytes: this.#snapshotBytes,
    });
    this.#take(state);
    this.#isUnproved = true;
    this.#works();
  }

  #works(): void {
    if (this.isFull) this.#log('info', 'storage-has-space', { partition: this.partition });
    this.isFull = false;
    this.#defects = 0;
    this.#failures = 0;
  }

  async #append(open: OpenLink, { head, data, last, sentAt }: Received): Promise<void> {
    const receivedAt = Date.now();
    try {
      const { kind, position } = await this.#storage.call(this.file, 'append', head, data);
      if (!this.#isCurrent(open) || this.phase !== 'following') return;
      this.#position = position;
      this.#works();
      if (position.commitId >= last) this.#caughtUp(sentAt);
      this.#acknowledgements.add({ kind, position }, data.byteLength, receivedAt);
      if (kind === 'diverged') this.#interrupt(new Error('the log differs from the leader’s'));
    } catch (error) {
      if (!this.#isCurrent(open) || this.phase !== 'following') return;
      this.phase = 'waiting';
      this.#acknowledgements.clear();
      if (this.#position !== null) await this.#acknowledge({ kind: 'failed', position: this.#position });
      this.#interrupt(error);
    }
  }

  /** Tells the leader how far the replica is, once that is on the disk. */
  async #acknowledge({ kind, position }: Omit<Appended, 'partition'>): Promise<void> {
    const open = this.#open;
    if (open === null) return;
    try {
      // A log that differs from the leader's is of no use, however durable.
      if (kind !== 'diverged') await this.#storage.call(this.file, 'sync');
      open.link.event('appended', { partition: this.partition, kind, position });
    } catch (error) {
      if (!this.#isCurrent(open)) return;
      this.#acknowledgements.clear();
      this.#interrupt(error);
    }
  }

  /** What a failure of the file asks for before the next attempt. */
  async #mend(error: unknown): Promise<void> {
    this.phase = 'waiting';
    if (!(error instanceof StorageError)) return;
    if (error.kind === 'full') this.isFull = true;
    if (error.kind === 'corrupt') this.#lose();
    if (error.kind !== 'defect' || ++this.#defects < DEFECTS_MAX) return;
    this.#defects = 0;
    await this.#condemn('replica-condemned', {}).catch((failure: unknown) => this.#report(failure));
  }

  /** Nothing is read from the replica from now on, and what is on its way to it is passed over; its file is moved aside. */
  async #condemn(event: string, fields: Readonly<Record<string, unknown>>): Promise<void> {
    this.#isCondemned = true;
    this.phase = 'waiting';
    this.#lose();
    const { partition, file } = this;
    const aside = await this.#storage.call(file, 'condemn');
    this.#isCondemned = false;
    this.#log('error', event, { partition, ...fields, aside });
  }

  #lose(): void {
    this.#position = null;
    this.#caughtUpAt = null;
  }

  #take({ position, sizeBytes }: PartitionState): void {
    this.#position = position;
    this.#sizeBytes = sizeBytes;
  }

  get #isFollowing(): boolean {
    return this.phase === 'following' && this.#isHeard;
  }

  #has(commit: number): boolean {
    return this.#position !== null && this.#position.commitId >= commit;
  }

  #caughtUp(at: number): void {
    this.#caughtUpAt = Math.max(this.#caughtUpAt ?? 0, at);
  }

  #isCurrent(open: OpenLink): boolean {
    return this.#open === open && open.link.isOpen;
  }

  #report(error: unknown): void {
    const { partition } = this;
    if (error instanceof StorageError) {
      const level = error.kind === 'full' ? 'warn' : 'error';
      this.#log(level, `storage-${error.kind}`, { partition, message: error.message });
    } else if (error instanceof AtollError) {
      this.#log('warn', 'follow-failed', { partition, code: error.code, message: error.message });
    } else this.#log('error', 'follow-failed', { partition, message: causeOf(error) });
  }
}

/** Bytes of the leader's file; 0 if it does not say. */
async function sizeAtLeader(link: Link): Promise<number> {
  try {
    const { data } = await link.call('status', {}, { data: Buffer.from('{}') });
    const { sizeBytes } = JSON.parse(Buffer.from(data).toString()) as Partial<PartitionStatus>;
    return typeof sizeBytes === 'number' ? sizeBytes : 0;
  } catch (error) {
    if (error instanceof AtollError || error instanceof SyntaxError) return 0;
    throw error;
  }
}
