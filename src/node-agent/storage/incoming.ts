import { existsSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { Follower } from '../../core/replication/follower.ts';
import type { SnapshotHead, SnapshotPageHead } from '../../core/replication/snapshot-format.ts';
import { SnapshotTarget } from '../../core/replication/snapshot-target.ts';
import { SqliteError } from '../../core/sqlite/port.ts';
import { syncDirectory } from '../data-directory.ts';
import type { NodeSqliteOptions, NodeSqlitePort } from '../sqlite-port.ts';
import { type SnapshotState, StorageError } from './calls.ts';
import { guarded, openChecked, removeDatabase } from './checked-file.ts';

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

/** A snapshot that was arriving when the file was last open; one that had just arrived takes the file's place. */
export function resumed(file: string): Incoming | null {
  const arrived = incomingOf(file);
  if (!existsSync(arrived)) return null;
  try {
    const incoming = Incoming.resume(arrived);
    if (incoming !== null) return incoming;
    if (isReplica(arrived)) promote(file);
    else removeDatabase(arrived);
  } catch (error) {
    if (error instanceof StorageError && error.kind === 'corrupt') return null;
    // What is there answers; the snapshot is made again when there is space.
    if (error instanceof SqliteError && error.kind === 'full') return null;
    throw error;
  }
  return null;
}

/** A snapshot on its way: what has arrived is in a file that only becomes the replica as a whole. */
export class Incoming {
  readonly #file: string;
  readonly #port: NodeSqlitePort;
  readonly #target: SnapshotTarget;
  #finished = false;

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

  /** All of it is in the file when this returns. May be called again after an error. */
  finish(): void {
    guarded(this.#file, this.#port, () => {
      if (!this.#finished) this.#target.finish();
      this.#finished = true;
      this.#port.checkpoint();
    });
    this.#port.close();
  }

  close(): void {
    this.#port.close();
  }
}

export function incomingOf(file: string): string {
  return `${file}.incoming`;
}

/** Puts the snapshot, whole and closed, into the replica's place; until the rename it is found and promoted again. */
export function promote(file: string): void {
  removeDatabase(file);
  renameSync(incomingOf(file), file);
  syncDirectory(dirname(file));
}

function isReplica(file: string): boolean {
  const port = openChecked(file);
  try {
    if (Follower.open(port) === null) return false;
    port.checkpoint();
    return true;
  } finally {
    port.close();
  }
}
