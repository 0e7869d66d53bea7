import type { Term, Timestamp } from '../../src/base/brand.ts';
import { failureOf } from '../../src/core/execution/failure.ts';
import { readHead } from '../../src/core/log/tables.ts';
import { Follower } from '../../src/core/replication/follower.ts';
import type { Position } from '../../src/core/replication/position.ts';
import type { Answer } from '../../src/core/replication/shipper.ts';
import { type AppendBatch, decodeBatch } from '../../src/core/replication/shipping.ts';
import type { SnapshotHead, SnapshotPage } from '../../src/core/replication/snapshot-format.ts';
import { SnapshotTarget } from '../../src/core/replication/snapshot-target.ts';
import { CopyMutations } from './copy-mutations.ts';
import type { Coverage } from './coverage.ts';
import type { Digests } from './digests.ts';
import { Crash, type Fault, FaultyPort } from './faulty-port.ts';
import type { Mutant } from './mutants.ts';
import type { Random } from './random.ts';
import type { Reply, Request, ToEdge } from './wire.ts';

/** What the outside of the edge is made of. */
export interface Outside {
  readonly random: Random;
  readonly coverage: Coverage;
  readonly digests: Digests;
  readonly mutant: Mutant | null;
  readonly now: number;
  note(event: string): void;
  fault(): { kind: Fault; calls: number } | null;
  /** The host has this on its disk now. */
  durable(host: string, partition: number, commit: number): void;
  /** Of the leader's log, for defects that are planted. */
  entryBefore(partition: number, commit: number): { term: number; timestamp: string } | null;
}

interface Incoming {
  port: FaultyPort;
  readonly head: SnapshotHead;
  /** That were taken, from which a file that a power failure has shortened is made. */
  readonly pages: SnapshotPage[];
}

/** What a copy's process speaks through; null while there is no link. */
export interface Speaker {
  call(partition: number, request: Request, done: (reply: Reply) => void): boolean;
  send(partition: number, message: ToEdge): void;
}

/** How long a copy waits for a reply, and after a failure, ms. */
const PATIENCE_MS = 5_000;
const PAUSE_MS = 1_000;

/**
 * An agent's replica of one partition: its files, which outlive crashes, and what its process does with them. The decisions
 * are those of the real agent's PartitionCopy and PartitionFile, message by message.
 */
export class SimulatedCopy {
  readonly partition: number;
  readonly #host: string;
  readonly #outside: Outside;
  readonly #mutations: CopyMutations;
  phase: 'waiting' | 'loading' | 'following' = 'waiting';
  leaderLast = 0;
  /** It had all that its leader had. */
  caughtUpAt: number | null = null;
  /** Has an entry that is not its leader's, until it finds out. */
  strayed = false;
  follower: Follower | null = null;
  #port: FaultyPort | null = null;
  #incoming: Incoming | null = null;
  #target: SnapshotTarget | null = null;
  #asked: { readonly number: number; readonly at: number } | null = null;
  #asks = 0;
  #pausedUntil = 0;

  constructor(host: string, partition: number, outside: Outside) {
    this.#host = host;
    this.partition = partition;
    this.#outside = outside;
    this.#mutations = new CopyMutations(outside);
  }

  get position(): Position | null {
    return this.follower?.position() ?? null;
  }

  get isInSync(): boolean {
    return this.phase === 'following' && (this.position?.commitId ?? -1) >= this.leaderLast;
  }

  lagMs(now: number): number {
    if (this.isInSync) return 0;
    return this.caughtUpAt === null ? 3_600_000 : Math.max(0, now - this.caughtUpAt);
  }

  // --- The process ---------------------------------------------------------------------------------------

  /** The process has ended; `power`: what was not yet forced to the disk is gone, too. */
  ended(power: boolean): void {
    const { random, coverage } = this.#outside;
    this.phase = 'waiting';
    this.#asked = null;
    this.leaderLast = 0;
    this.caughtUpAt = null;
    const incoming = this.#incoming;
    if (incoming === null) return;
    coverage.crashesInSnapshot++;
    if (!power || incoming.pages.length === 0) return;
    const kept = random.below(incoming.pages.length + 1);
    this.#outside.note(`power failure: ${kept} of ${incoming.pages.length} pages are left`);
    incoming.port.inner.close();
    incoming.port = new FaultyPort();
    incoming.pages.length = kept;
    const target = SnapshotTarget.begin(incoming.port, incoming.head);
    for (const page of incoming.pages) target.accept(page);
  }

  /** The process starts: what the files hold is what there is. */
  started(): void {
    this.#target = null;
    this.follower = this.#port === null ? null : Follower.open(this.#port);
    if (this.#port !== null && this.follower === null) throw new Error('a copy has lost its replica');
    const incoming = this.#incoming;
    if (incoming === null) return;
    this.#target = SnapshotTarget.resume(incoming.port);
    if (this.#target !== null) this.#outside.coverage.snapshotsResumed++;
    else if (Follower.open(incoming.port) !== null) this.#promote(incoming);
    else this.#incoming = null;
  }

  /** The link is another one, or gone. */
  disconnected(): void {
    this.phase = 'waiting';
    this.#asked = null;
  }

  close(): void {
    this.#port?.inner.close();
    this.#incoming?.port.inner.close();
  }

  // --- Following -----------------------------------------------------------------------------------------

  tick(speaker: Speaker): void {
    const { now } = this.#outside;
    if (this.#asked !== null && Math.abs(now - this.#asked.at) > PATIENCE_MS) this.disconnected();
    if (this.phase === 'waiting' && this.#asked === null && now >= this.#pausedUntil) this.#begin(speaker);
  }

  followAgain(speaker: Speaker): void {
    this.disconnected();
    this.#begin(speaker);
  }

  /** Ends at once whatever keeps it waiting: the trouble is over. */
  wake(): void {
    this.#pausedUntil = 0;
  }

  #begin(speaker: Speaker): void {
    const { position } = this;
    if (!this.#ask(speaker, { type: 'follow', position })) return;
    // Entries may come right behind the reply.
    this.phase = 'following';
  }

  #ask(speaker: Speaker, request: Request): boolean {
    const number = ++this.#asks;
    const asked = speaker.call(this.partition, request, (reply) => {
      // Late, or twice.
      if (this.#asked?.number !== number) return;
      this.#asked = null;
      this.#take(speaker, reply);
    });
    this.#asked = asked ? { number, at: this.#outside.now } : null;
    return asked;
  }

  #take(speaker: Speaker, reply: Reply): void {
    const { coverage } = this.#outside;
    if (reply.type === 'follow') {
      this.leaderLast = Math.max(this.leaderLast, reply.last);
      if (reply.next === 'entries') {
        if (this.isInSync) this.caughtUpAt = this.#outside.now;
        return;
      }
      this.phase = 'loading';
      if (this.follower !== null) coverage.resyncs++;
      this.#guarded(speaker, () => undefined);
    } else if (reply.type === 'snapshot-open') {
      this.#guarded(speaker, () => this.#beginSnapshot(reply.snapshot));
    } else if (reply.type === 'snapshot-page') {
      if (reply.page === 'gone') {
        coverage.snapshotsGone++;
        this.#ask(speaker, { type: 'snapshot-open' });
        return;
      }
      const { page } = reply;
      this.#guarded(speaker, () => this.#acceptPage(page));
    }
  }

  #load(speaker: Speaker): void {
    const target = this.#target;
    if (target === null) this.#ask(speaker, { type: 'snapshot-open' });
    else if (target.cursor !== null) {
      const base = target.head.base.commitId;
      this.#ask(speaker, { type: 'snapshot-page', base, cursor: target.cursor });
    } else {
      this.#finish();
      this.phase = 'waiting';
      this.#begin(speaker);
    }
  }

  /** A step of the snapshot, and then the next one. */
  #guarded(speaker: Speaker, step: () => void): void {
    try {
      step();
      this.#load(speaker);
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    if (error instanceof Crash || !failureOf(error).message.startsWith('injected')) throw error;
    this.#outside.note(`copy ${this.#host}/${this.partition}: ${failureOf(error).message}`);
    this.#outside.coverage.followerFaults++;
    this.phase = 'waiting';
    this.#pausedUntil = this.#outside.now + PAUSE_MS;
  }

  #beginSnapshot(head: SnapshotHead): void {
    this.#incoming?.port.inner.close();
    this.#target = null;
    const incoming: Incoming = { port: new FaultyPort(), head, pages: [] };
    this.#incoming = incoming;
    try {
      this.#target = this.#faulty(incoming.port, () => SnapshotTarget.begin(incoming.port, head));
    } catch (error) {
      if (!(error instanceof Crash)) this.#incoming = null;
      throw error;
    }
    this.#outside.coverage.snapshots++;
  }

  #acceptPage(page: SnapshotPage): void {
    const [incoming, target] = [this.#incoming, this.#target];
    if (incoming === null || target === null) return;
    const taken = this.#mutations.page(page);
    if (this.#faulty(incoming.port, () => target.accept(taken))) incoming.pages.push(taken);
  }

  #finish(): void {
    const { random } = this.#outside;
    const [incoming, target] = [this.#incoming, this.#target];
    if (incoming === null || target === null) return;
    this.#faulty(incoming.port, () => target.finish());
    this.#mutations.finished(incoming.port, this.partition);
    if (this.#outside.fault()?.kind === 'crash' && random.chance(0.5)) throw new Crash('before the rename');
    this.#promote(incoming);
  }

  /** The snapshot takes the replica's place, by one rename. */
  #promote(incoming: Incoming): void {
    this.#port?.inner.close();
    this.#port = incoming.port;
    this.#incoming = null;
    this.#target = null;
    this.strayed = false;
    this.follower = Follower.open(incoming.port);
    if (this.follower === null) throw new Error('a finished snapshot is a replica');
    this.#outside.coverage.snapshotsFinished++;
    this.#advanced('a snapshot', 1);
  }

  append(speaker: Speaker, head: object, data: Uint8Array): void {
    const { coverage, now } = this.#outside;
    const batch = decodeBatch(head, data);
    this.leaderLast = Math.max(this.leaderLast, batch.last);
    const { follower } = this;
    if (this.phase !== 'following' || follower === null) return;
    const early = this.#mutations.earlyAnswer(follower, batch);
    if (early !== null) this.#answer(speaker, early);
    const { version } = follower.replica.schema;
    const before = follower.position();
    let answer: Answer;
    try {
      answer = this.#faulty(this.#port as FaultyPort, () => this.#mutations.append(follower, batch));
    } catch (error) {
      this.#answer(speaker, { kind: 'failed', position: before });
      this.#failed(error);
      return;
    }
    this.#count(answer, batch);
    coverage.followerSchemaChanges += follower.replica.schema.version - version;
    if (answer.position.commitId >= batch.last) this.caughtUpAt = now;
    this.#advanced('entries', 0.2);
    if (early === null) this.#answer(speaker, answer);
    if (answer.kind === 'diverged') {
      this.disconnected();
      this.#begin(speaker);
    }
  }

  #count({ kind }: Answer, { piece }: AppendBatch): void {
    const { coverage } = this.#outside;
    if (kind === 'gap') coverage.gaps++;
    else if (kind === 'stale') coverage.duplicates++;
    else if (kind === 'diverged') coverage.diverged++;
    else if (kind === 'appended') {
      coverage.batches++;
      if (piece !== null) coverage.pieces++;
    }
  }

  #answer(speaker: Speaker, answer: Answer): void {
    speaker.send(this.partition, { type: 'appended', answer });
  }

  /** The file has more than before: now and then all of it is compared. */
  #advanced(what: string, chance: number): void {
    const { random, digests } = this.#outside;
    const { follower } = this;
    if (follower === null) return;
    this.#outside.durable(this.#host, this.partition, follower.position().commitId);
    if (!this.strayed && random.chance(chance)) {
      digests.check(follower.replica, `copy ${this.#host}/${this.partition} after ${what}`);
    }
  }

  /** An entry that no leader knows, as a host has that followed a leader that was overruled. */
  stray(): boolean {
    const { follower } = this;
    if (follower === null || this.#target !== null || follower.position().commitId === 0) return false;
    const { port } = follower.replica;
    const { lastCommitId, lastTimestamp, lastSeq } = readHead(port);
    port.query(
      `INSERT INTO _atoll_commits VALUES (?, ?, ?, 'write', NULL, NULL, 1, ?, NULL, ?, ?)`,
      lastCommitId + 1,
      (900_000 + this.#outside.random.below(1000)) as Term,
      later(lastTimestamp),
      follower.replica.schema.version,
      lastSeq + 1,
      lastSeq,
    );
    this.strayed = true;
    return true;
  }

  #faulty<T>(port: FaultyPort, body: () => T): T {
    const fault = this.#outside.fault();
    if (fault !== null) port.arm(fault.kind, fault.calls);
    try {
      return body();
    } finally {
      port.disarm();
      port.struck = null;
    }
  }
}

/** The next log time of the same node. */
function later(timestamp: Timestamp): string {
  const [digits = '0', ...node] = timestamp.split('-');
  return [(BigInt(`0x${digits || '0'}`) + 1n).toString(16).padStart(16, '0'), ...node].join('-');
}
