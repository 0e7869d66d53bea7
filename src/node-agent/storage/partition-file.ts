import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { present } from '../../base/assert.ts';
import type { CommitId } from '../../base/brand.ts';
import { exportPage } from '../../core/replica/export.ts';
import type { ExecuteOutcome } from '../../core/replica/outcome.ts';
import { forgetOldEntries } from '../../core/replica/retention.ts';
import { System } from '../../core/replica/system.ts';
import { type AppendResult, Follower } from '../../core/replication/follower.ts';
import { decodeBatch } from '../../core/replication/shipping.ts';
import type { SnapshotHead, SnapshotPageHead } from '../../core/replication/snapshot-format.ts';
import { SnapshotTarget } from '../../core/replication/snapshot-target.ts';
import { SqliteError } from '../../core/sqlite/port.ts';
import { encodeError } from '../../protocol/error.ts';
import type { ExecuteRequest } from '../../protocol/execute.ts';
import type { ExportPageRequest } from '../../protocol/export.ts';
import type { NetworkReply } from '../../protocol/network.ts';
import type { SessionSeal } from '../../protocol/session-seal.ts';
import { syncDirectory } from '../data-directory.ts';
import { type NodeSqliteOptions, NodeSqlitePort } from '../sqlite-port.ts';
import {
  type ComparisonStep,
  type LocalAnswer,
  type PartitionState,
  type SnapshotState,
  type StorageCalls,
  StorageError,
} from './calls.ts';
import { Comparing } from './comparing.ts';

/** A file up to this size is read whole when it is opened, bytes (measured: some 100 ms; damage in larger ones shows in use). */
const CHECKED_BYTES_MAX = 64 << 20;
/** Pages kept in memory for each file (chosen: a hundred open files then take at most 50 MB for them). */
const CACHE_KILOBYTES = 512;
/** Batches between two times that old entries are forgotten (chosen). */
const FORGET_APPENDS = 16;
/** Bytes of batches for each step of forgetting, which takes 2,048 images (chosen: fewer images come in as many bytes). */
const FORGET_STEP_BYTES = 16 * 1024;
/** Files that this process has found whole: one that was closed for want of use is not read again. */
const checked = new Set<string>();
/**
 * Of a snapshot that is arriving: pages that a power failure takes are asked for again, so only the last step, when the
 * file is closed, waits for the disk.
 */
const INCOMING: NodeSqliteOptions = {
  synchronous: 'NORMAL',
  cacheKilobytes: 16_384,
  // Fewer waits for the disk: what is at the beginning of the file and its indexes is written once for many pages.
  checkpointPages: 4_096,
};
/** Of a replica: it is made durable before its leader is told how far it is, which many batches share. */
const REPLICA: NodeSqliteOptions = { synchronous: 'NORMAL', cacheKilobytes: CACHE_KILOBYTES };
/** A file that no longer is one: https://www.sqlite.org/rescode.html#corrupt. */
const DAMAGED: ReadonlySet<unknown> = new Set(['SQLITE_CORRUPT', 'SQLITE_NOTADB']);

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
    this.#wasCut = existsSync(`${file}-wal`);
    this.#port = openChecked(file);
    this.#follower = guarded(file, this.#port, () => Follower.open(this.#port, seal));
    this.#incoming = this.#resume();
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

  /** A snapshot that was arriving, or had just arrived, when the file was last open. */
  #resume(): Incoming | null {
    const file = incomingOf(this.#file);
    if (!existsSync(file)) return null;
    try {
      const incoming = Incoming.resume(file);
      if (incoming !== null) return incoming;
    } catch (error) {
      if (!(error instanceof StorageError && error.kind === 'corrupt')) throw error;
      return null;
    }
    if (isReplica(file)) promote(this.#file);
    else removeDatabase(file);
    return null;
  }
}

/** A snapshot on its way: what has arrived is in a file that only becomes the replica as a whole. */
class Incoming {
  readonly #file: string;
  readonly #port: NodeSqlitePort;
  readonly #target: SnapshotTarget;

  private constructor(file: string, port: NodeSqlitePort, target: SnapshotTarget) {
    this.#file = file;
    this.#port = port;
    this.#target = target;
  }

  static begin(file: string, head: unknown): Incoming {
    const port = openChecked(file, INCOMING);
    return new Incoming(file, port, SnapshotTarget.begin(port, head as SnapshotHead));
  }

  static resume(file: string): Incoming | null {
    const port = openChecked(file, INCOMING);
    const target = guarded(file, port, () => SnapshotTarget.resume(port));
    if (target !== null) return new Incoming(file, port, target);
    port.close();
    return null;
  }

  state(): SnapshotState {
    return { head: this.#target.head, cursor: this.#target.cursor };
  }

  accept(head: unknown, data: Uint8Array): void {
    guarded(this.#file, this.#port, () => this.#target.accept({ head: head as SnapshotPageHead, data }));
  }

  finish(): void {
    guarded(this.#file, this.#port, () => this.#target.finish());
    this.#port.close();
  }

  close(): void {
    this.#port.close();
  }
}

function incomingOf(file: string): string {
  return `${file}.incoming`;
}

/** Puts the snapshot, whole and closed, into the replica's place; until the rename it is found and promoted again. */
function promote(file: string): void {
  removeDatabase(file);
  renameSync(incomingOf(file), file);
  syncDirectory(dirname(file));
}

/** The file first: a log without its file is deleted when the file is opened, a file without its log is damaged. */
function removeDatabase(file: string): void {
  for (const each of [file, `${file}-wal`, `${file}-shm`]) rmSync(each, { force: true });
}

function isReplica(file: string): boolean {
  const port = openChecked(file);
  try {
    return Follower.open(port) !== null;
  } finally {
    port.close();
  }
}

function openChecked(file: string, options: NodeSqliteOptions = REPLICA): NodeSqlitePort {
  const isNew = !existsSync(file);
  if (isNew) removeDatabase(file);
  let port: NodeSqlitePort;
  try {
    port = new NodeSqlitePort(file, options);
  } catch (error) {
    if (isDamage(error)) throw damaged(file, null, (error as Error).message);
    throw error;
  }
  if (isNew || checked.has(file) || statSync(file).size > CHECKED_BYTES_MAX) return port;
  const found = guarded(file, port, () => port.query('PRAGMA quick_check(1)').rows[0]?.[0]);
  if (found === 'ok') {
    checked.add(file);
    return port;
  }
  throw damaged(file, port, String(found));
}

function isDamage(error: unknown): boolean {
  return error instanceof SqliteError && DAMAGED.has(error.code);
}

function guarded<T>(file: string, port: NodeSqlitePort, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw isDamage(error) ? damaged(file, port, (error as Error).message) : error;
  }
}

function damaged(file: string, port: NodeSqlitePort | null, what: string): StorageError {
  port?.close();
  checked.delete(file);
  const aside = moveAside(file, 'corrupt');
  return new StorageError({ kind: 'corrupt', message: `${file} is damaged (${what}); it is now ${aside}` });
}

type Aside = 'corrupt' | 'released';

function moveAside(file: string, why: Aside): string {
  const time = new Date().toISOString().replace(/[-:]/g, '').replace('.', '');
  const aside = `${file}.${why}-${time}`;
  renameSync(file, aside);
  for (const end of ['-wal', '-shm']) if (existsSync(file + end)) renameSync(file + end, aside + end);
  syncDirectory(dirname(file));
  return aside;
}
