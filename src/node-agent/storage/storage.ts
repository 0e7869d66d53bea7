import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { present } from '../../base/assert.ts';
import type { LogEvent } from '../log.ts';
import {
  type StorageCalls,
  StorageError,
  type StorageMessage,
  type StorageMethod,
  type StorageReply,
  type StorageRequest,
  type StorageThreadData,
} from './calls.ts';

/** Most threads (chosen: a thread takes some 15 MB, and disks serve few writers at once well). */
const THREADS_MAX = 4;

type Result<Method extends StorageMethod> = ReturnType<StorageCalls[Method]>;

interface Pending {
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
}

/** The partitions' files of this host, each served by one of a few threads. */
export class Storage {
  readonly #lanes: readonly Lane[];
  readonly #laneOf = new Map<string, Lane>();

  constructor(
    log: LogEvent,
    data: StorageThreadData,
    threads = Math.min(availableParallelism(), THREADS_MAX),
  ) {
    this.#lanes = Array.from({ length: threads }, (_, index) => new Lane(index, log, data));
  }

  /**
   * Calls the thread that owns `file`. Arguments that are bytes are copied unless they own their buffer, which then
   * is moved: the caller must not use them again.
   *
   * @throws StorageError
   */
  call<Method extends StorageMethod>(
    file: string,
    method: Method,
    ...args: Parameters<StorageCalls[Method]>
  ): Promise<Result<Method>> {
    return this.#lane(file).call(file, method, args) as Promise<Result<Method>>;
  }

  /** Finishes what was asked, closes all files and ends the threads. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#laneOf].map(([file, lane]) => lane.call(file, 'close', [])));
    await Promise.all(this.#lanes.map((lane) => lane.end()));
  }

  /** A partition's thread never changes: two must not have one file open. */
  #lane(file: string): Lane {
    let lane = this.#laneOf.get(file);
    if (lane === undefined) {
      lane = present(this.#lanes[this.#laneOf.size % this.#lanes.length], 'at least one thread');
      this.#laneOf.set(file, lane);
    }
    return lane;
  }
}

/** One thread and what it was asked. A thread that ends unasked is replaced: files survive that. */
class Lane {
  readonly #index: number;
  readonly #log: LogEvent;
  readonly #data: StorageThreadData;
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | null = null;
  #nextId = 1;
  #ended = false;

  constructor(index: number, log: LogEvent, data: StorageThreadData) {
    this.#index = index;
    this.#data = data;
    this.#log = log;
  }

  call(file: string, method: StorageMethod, args: readonly unknown[]): Promise<unknown> {
    if (this.#ended)
      return Promise.reject(new StorageError({ kind: 'io', message: 'the agent is stopping' }));
    this.#worker ??= this.#start();
    const worker = this.#worker;
    const id = this.#nextId++;
    const request: StorageRequest = { id, file, method, args: args.map(ownedBytes) };
    const transfer = request.args.flatMap((each) => (each instanceof Uint8Array ? [each.buffer] : []));
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      worker.postMessage(request, transfer as ArrayBuffer[]);
    });
  }

  async end(): Promise<void> {
    this.#ended = true;
    const worker = this.#worker;
    if (worker === null) return;
    // It ends by itself: to be terminated beside SQLite's objects once crashed the process.
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    worker.postMessage(null satisfies StorageMessage);
    await ended;
  }

  #start(): Worker {
    const worker = new Worker(new URL('./thread.ts', import.meta.url), {
      name: `storage-${this.#index}`,
      workerData: this.#data,
      // The tests' runner passes flags for its own threads.
      execArgv: [],
    });
    worker.on('message', (reply: StorageReply) => {
      const pending = present(this.#pending.get(reply.id), 'a reply belongs to a request');
      this.#pending.delete(reply.id);
      if ('failure' in reply) pending.reject(new StorageError(reply.failure));
      else pending.resolve(reply.result as never);
    });
    let cause = 'it ended';
    worker.on('error', (error) => {
      cause = String(error);
    });
    worker.on('exit', () => {
      this.#worker = null;
      if (!this.#ended) this.#log('error', 'storage-thread-ended', { thread: this.#index, cause });
      const error = new StorageError({ kind: 'io', message: `the storage thread ended: ${cause}` });
      for (const { reject } of this.#pending.values()) reject(error);
      this.#pending.clear();
    });
    return worker;
  }
}

/** Bytes whose buffer can be moved: a view of a larger one, as of a received frame, is copied first. */
function ownedBytes(value: unknown): unknown {
  if (!(value instanceof Uint8Array)) return value;
  const whole = value.byteLength === value.buffer.byteLength && !Buffer.isBuffer(value);
  return whole ? value : new Uint8Array(value);
}
