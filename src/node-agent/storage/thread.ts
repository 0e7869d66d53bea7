import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { present } from '../../base/assert.ts';
import { DecodeError } from '../../core/log/bytes.ts';
import { NewerFormatError } from '../../core/replica/format.ts';
import { SqliteError } from '../../core/sqlite/port.ts';
import { SessionSeal } from '../../protocol/session-seal.ts';
import {
  StorageError,
  type StorageFailure,
  type StorageMessage,
  type StorageReply,
  type StorageRequest,
  type StorageThreadData,
} from './calls.ts';
import { PartitionFile } from './partition-file.ts';

/** A file that nobody has asked for this long is closed, ms (chosen: its caches are worth more than opening costs). */
const IDLE_MS = 60_000;

/** One storage thread: owns the files of its partitions, and answers one request after the other. */
class StorageThread {
  readonly #seal: SessionSeal;
  readonly #files = new Map<string, { readonly partition: PartitionFile; usedAt: number }>();

  constructor(main: MessagePort, { sealSecret }: StorageThreadData) {
    this.#seal = new SessionSeal(sealSecret);
    const closing = setInterval(() => this.#closeIdle(), IDLE_MS / 2).unref();
    main.on('message', (message: StorageMessage) => {
      if (message !== null) return main.postMessage(this.#answer(message));
      for (const file of this.#files.keys()) this.#close(file);
      clearInterval(closing);
      main.close();
    });
  }

  #answer({ id, file, method, args }: StorageRequest): StorageReply {
    try {
      if (method === 'close') {
        this.#close(file);
        return { id, result: undefined };
      }
      const partition = this.#file(file);
      const call = partition[method] as (...args: unknown[]) => unknown;
      return { id, result: call.apply(partition, [...args]) };
    } catch (error) {
      const failure = failureOf(error);
      // Memory may contradict the file: the next call reads it again.
      if (failure.kind !== 'full' && failure.kind !== 'message') this.#close(file);
      return { id, failure };
    }
  }

  #file(file: string): PartitionFile {
    let open = this.#files.get(file);
    if (open === undefined) {
      open = { partition: new PartitionFile(file, this.#seal), usedAt: 0 };
      this.#files.set(file, open);
    }
    open.usedAt = Date.now();
    return open.partition;
  }

  #close(file: string): void {
    const open = this.#files.get(file);
    this.#files.delete(file);
    open?.partition.close();
  }

  #closeIdle(): void {
    const oldest = Date.now() - IDLE_MS;
    for (const [file, { usedAt }] of this.#files) if (usedAt < oldest) this.#close(file);
  }
}

function failureOf(error: unknown): StorageFailure {
  if (error instanceof StorageError) return { kind: error.kind, message: error.message };
  if (error instanceof SqliteError && (error.kind === 'full' || error.kind === 'io')) {
    return { kind: error.kind, message: `${error.code}: ${error.message}` };
  }
  if (error instanceof DecodeError || error instanceof NewerFormatError)
    return { kind: 'message', message: error.message };
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') return { kind: 'full', message: String(error) };
  return { kind: 'defect', message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

new StorageThread(present(parentPort, 'this file is a worker thread'), workerData as StorageThreadData);
