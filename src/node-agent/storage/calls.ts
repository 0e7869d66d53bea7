import type { CommitId } from '../../base/brand.ts';
import type { AppendResult } from '../../core/replication/follower.ts';
import type { TokenRange, TreeNode } from '../../core/replication/merkle.ts';
import type { Position } from '../../core/replication/position.ts';

/** What a partition's file holds. */
export interface PartitionState {
  /** The last entry that is applied; null where there is no replica yet. */
  readonly position: Position | null;
  /** The database's timeline that the replica belongs to; null without one. */
  readonly history: string | null;
  /** A snapshot that is arriving; null when none is. */
  readonly snapshot: SnapshotState | null;
  /** The process that had the file open last did not close it: it was killed, or the machine stopped. */
  readonly wasCut: boolean;
  /** Bytes of the replica's file. */
  readonly sizeBytes: number;
}

export interface SnapshotState {
  /** The head it began with: the leader goes on with this very snapshot, or says that it is gone. */
  readonly head: unknown;
  /** Where the next page begins: the leader's, opaque here. Null: all pages are in. */
  readonly cursor: unknown;
}

/** Where a comparison is: core/replication/merkle.ts. */
export interface ComparisonStep {
  /** Tables that were counted here. */
  readonly tables: number;
  /** None: it is done. */
  readonly question: readonly TreeNode[];
  readonly differing: readonly TokenRange[];
}

/** An answer as the partition itself would give it to a router: HTTP status and JSON text. */
export interface LocalAnswer {
  readonly status: number;
  readonly body: string;
}

/**
 * What the main thread asks of a partition's storage thread. Each runs to its end in one turn of that thread, in the
 * order in which they were asked. What a call has written survives the process when it is answered; power loss, once
 * `sync` or `state` are answered that were asked later. Arguments and results are what structured cloning carries.
 *
 * @throws StorageError
 */
export interface StorageCalls {
  state(): PartitionState;
  /** A batch of the leader's log as `core/replication/shipping.ts` encodes it. */
  append(head: unknown, data: Uint8Array): AppendResult;
  /** Makes all that was appended durable. */
  sync(): void;
  /** Makes room for a snapshot beside the replica, which goes on answering; one that was arriving is forgotten. */
  beginSnapshot(head: unknown): SnapshotState;
  /** A page of the snapshot that is arriving. */
  acceptPage(head: unknown, data: Uint8Array): SnapshotState;
  /** Puts the arrived snapshot into the replica's place. */
  finishSnapshot(): PartitionState;
  /** A read of the partition's rows. Null: this replica cannot answer it, and its leader must. */
  execute(request: string, now: number): LocalAnswer | null;
  /** A page of an export. Null as in {@link execute}. */
  exportPage(request: string): LocalAnswer | null;
  /** Of the system partition: the network as this copy knows it. */
  network(): LocalAnswer | null;
  /** Begins a comparison with the leader's rows, as of the last commit now; an earlier one is forgotten. Null: no replica. */
  beginComparison(): CommitId | null;
  /** Counts some of the rows; again while it gives `counting`. `gone`: begin anew, later. */
  countRows(): 'counting' | 'counted' | 'gone';
  /** What to ask the leader next, after its digests of what was asked last; null begins. Null: begin anew, later. */
  compare(theirs: readonly (string | null)[] | null): ComparisonStep | null;
  /** Forgets what was counted. */
  endComparison(): void;
  /** Moves the replica's file aside, so that it is made anew from a snapshot. Gives where it is now. */
  condemn(): string | null;
  /** The same for a replica that the cluster no longer wants here. */
  release(): string | null;
  /** Closes the file; the next call opens it again. */
  close(): void;
}

export type StorageMethod = keyof StorageCalls;

/** What a thread is begun with. */
export interface StorageThreadData {
  /** Of the seals of session tokens. */
  readonly sealSecret: string | null;
}

/** Main thread → storage thread; null: no more will come, and the thread ends. */
export type StorageMessage = StorageRequest | null;

export interface StorageRequest {
  readonly id: number;
  /** The replica's file. */
  readonly file: string;
  readonly method: StorageMethod;
  readonly args: readonly unknown[];
}

/** Storage thread → main thread: one for each request. */
export type StorageReply =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly failure: StorageFailure };

/** Why a call failed; plain, as it crosses threads. */
export interface StorageFailure {
  /**
   * - `full`: no space is left; nothing was changed.
   * - `corrupt`: the file was found damaged and is moved aside; there is no replica any more.
   * - `io`: the disk failed; what is in the file is known only once it is opened again.
   * - `message`: the message is damaged, or from a newer Atoll; nothing was changed.
   * - `defect`: a bug, or rows that contradict the log.
   */
  readonly kind: 'full' | 'corrupt' | 'io' | 'message' | 'defect';
  readonly message: string;
}

export class StorageError extends Error {
  override name = 'StorageError';
  readonly kind: StorageFailure['kind'];

  constructor({ kind, message }: StorageFailure) {
    super(message);
    this.kind = kind;
  }
}
