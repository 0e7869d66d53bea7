import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { present } from '../../base/assert.ts';
import type { CommitId } from '../../base/brand.ts';
import { exportPage } from '../../core/replica/export.ts';
import type { ExecuteOutcome } from '../../core/replica/outcome.ts';
import { forgetOldEntries } from '../../core/replica/retention.ts';
import { System } from '../../core/replica/system.ts';
import { type AppendResult, Follower } from '../../core/replication/follower.ts';
import { decodeBatch } from '../../core/replication/shipping.ts';
import { SqliteError } from '../../core/sqlite/port.ts';
import { encodeError } from '../../protocol/error.ts';
import type { ExecuteRequest } from '../../protocol/execute.ts';
import type { ExportPageRequest } from '../../protocol/export.ts';
import type { NetworkReply } from '../../protocol/network.ts';
import type { SessionSeal } from '../../protocol/session-seal.ts';
import type { NodeSqlitePort } from '../sqlite-port.ts';
import type { ComparisonStep, LocalAnswer, PartitionState, SnapshotState, StorageCalls } from './calls.ts';
import {
  type Aside,
  DAMAGED,
  damaged,
  guarded,
  moveAside,
  openChecked,
  removeDatabase,
} from './checked-file.ts';
import { Comparing } from './comparing.ts';
import { Incoming, incomingOf, promote, resumed } from './incoming.ts';

/** Batches between two times that old entries are forgotten (chosen). */
const FORGET_APPENDS = 16;
/** Bytes of batches for each step of forgetting, which takes 2,048 images (chosen: fewer images come in as many bytes). */
const FORGET_STEP_BYTES = 16 * 1024;
/**
 * A partition's replica in its file, and beside it, in a file of its own, the snapshot that is to replace it. Whatever
 * moment the process ends at, opening the files again finds one of the two whole.
 */
export class PartitionFile implements Omit<StorageCalls, 'close'> {
  readonly #file: string;
  readonly #seal: SessionSeal;
  #port: NodeSqlitePort;
  #follower: Follower | null;
  #incoming: Incoming | null;
  #comparing: Comparing | null = null;
  /** Since the file was opened, and bytes since old entries were last forgotten. */
  #appends = 0;
  #unforgotten = 0;
  readonly #wasCut: boolean;

  /** @throws StorageError `corrupt`, when the file was damaged: it is aside then, and opening again finds none */
  constructor(file: string, seal: SessionSeal) {
    this.#file = file;
    this.#seal = seal;
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    // SQLite removes it when the last connection is closed: https://www.sqlite.org/tempfiles.html#write_ahead_log_wal_files.
    this.#wasCut = existsSync(`${file}-wal`) || existsSync(incomingOf(file));
    // First: it may take the file's place.
    this.#incoming = resumed(file);
    try {
      this.#port = openChecked(file);
      this.#follower = guarded(file, this.#port, () => Follower.open(this.#port, seal));
    } catch (error) {
      this.#incoming?.close();
      throw error;
    }
  }

  state(): PartitionState {
    // What a process before this one has appended may not be on the disk yet.
    this.sync();
    const follower = this.#follower;
    return {
      position: follower?.position() ?? null,
      history: follower?.replica.identity.history ?? null,
      snapshot: this.#incoming?.state() ?? null,
      wasCut: this.#wasCut,
      sizeBytes: this.#port.databaseSize(),
    };
  }

  append(head: unknown, data: Uint8Array): AppendResult {
    return this.#guarded(() => {
      const result = this.#here.append(decodeBatch(head, data));
      this.#forget(data.byteLength);
      return result;
    });
  }

  sync(): void {
    try {
      this.#port.sync();
    } catch (error) {
      if (error instanceof SqliteError) throw error;
      // What the system held may be lost, and it says so once: https://wiki.postgresql.org/wiki/Fsync_Errors.
      throw damaged(this.#file, this.#port, `it cannot be made durable: ${(error as Error).message}`);
    }
  }

  /** The log here is forgotten as the leader's is, behind what comes. */
  #forget(bytes: number): void {
    this.#unforgotten += bytes;
    if (++this.#appends % FORGET_APPENDS !== 0) return;
    const steps = 1 + Math.ceil(this.#unforgotten / FORGET_STEP_BYTES);
    this.#unforgotten = 0;
    forgetOldEntries(this.#here.replica, Date.now(), null, steps);
  }

  beginSnapshot(head: unknown): SnapshotState {
    this.#incoming?.close();
    removeDatabase(incomingOf(this.#file));
    this.#incoming = Incoming.begin(incomingOf(this.#file), head);
    return this.#incoming.state();
  }

  acceptPage(head: unknown, data: Uint8Array): SnapshotState {
    const incoming = present(this.#incoming, 'a page belongs to a snapshot that has begun');
    incoming.accept(head, data);
    return incoming.state();
  }

  finishSnapshot(): PartitionState {
    present(this.#incoming, 'a snapshot that has begun').finish();
    this.#incoming = null;
    this.#comparing = null;
    this.#port.close();
    promote(this.#file);
    this.#port = openChecked(this.#file);
    this.#follower = present(Follower.open(this.#port, this.#seal), 'a finished snapshot is a replica');
    return this.state();
  }

  execute(text: string, now: number): LocalAnswer | null {
    const follower = this.#follower;
    if (follower === null) return null;
    const request = JSON.parse(text) as ExecuteRequest;
    if (!request.read) return null;
    const [outcome] = follower.replica.execute([request], now);
    return this.#answer(present(outcome, 'one outcome for one request'));
  }

  exportPage(text: string): LocalAnswer | null {
    const follower = this.#follower;
    if (follower === null) return null;
    return this.#guarded(() =>
      this.#answer(exportPage(follower.replica, JSON.parse(text) as ExportPageRequest)),
    );
  }

  network(): LocalAnswer | null {
    const follower = this.#follower;
    if (follower === null || !follower.replica.isSystem) return null;
    const system = System.open(follower.replica);
    const reply: NetworkReply = {
      network: system.network(),
      verifyingKey: system.setting('verifying_key'),
      revokedTokens: system.tokens().flatMap(({ id, revokedAt }) => (revokedAt === null ? [] : [id])),
    };
    return { status: 200, body: JSON.stringify(reply) };
  }

  beginComparison(): CommitId | null {
    const replica = this.#follower?.replica ?? null;
    this.#comparing = replica === null ? null : new Comparing(replica);
    return this.#comparing?.at ?? null;
  }

  countRows(): 'counting' | 'counted' | 'gone' {
    // The file was closed meanwhile, or its replica replaced.
    return this.#guarded(() => this.#comparing?.count() ?? 'gone');
  }

  compare(theirs: readonly (string | null)[] | null): ComparisonStep | null {
    return this.#comparing?.compare(theirs) ?? null;
  }

  endComparison(): void {
    this.#comparing = null;
  }

  condemn(): string | null {
    return this.#empty('corrupt');
  }

  release(): string | null {
    return this.#empty('released');
  }

  close(): void {
    this.#incoming?.close();
    this.#port.close();
  }

  #empty(why: Aside): string | null {
    this.#incoming?.close();
    this.#incoming = null;
    removeDatabase(incomingOf(this.#file));
    if (this.#follower === null) return null;
    this.#comparing = null;
    this.#port.close();
    const aside = moveAside(this.#file, why);
    this.#follower = null;
    this.#port = openChecked(this.#file);
    return aside;
  }

  get #here(): Follower {
    return present(this.#follower, 'a batch belongs to a replica that is there');
  }

  #answer(outcome: ExecuteOutcome): LocalAnswer | null {
    switch (outcome.kind) {
      case 'done':
        return { status: 200, body: outcome.body };
      case 'stale':
        return { status: 421, body: JSON.stringify(outcome.newer) };
      case 'error': {
        const { error } = outcome;
        if (DAMAGED.has(error.detail?.sqlite)) throw damaged(this.#file, this.#port, error.message);
        return error.code === 'unavailable' ? null : encodeError(error);
      }
      case 'behind':
      case 'held':
      case 'locked':
        return null;
    }
  }

  #guarded<T>(body: () => T): T {
    return guarded(this.#file, this.#port, body);
  }
}
