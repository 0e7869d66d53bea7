import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import * as v from 'valibot';
import type { PartitionId } from '../base/brand.ts';
import { AgentError } from './agent-error.ts';

/**
 * Layout of an agent's data directory, which `host.json` names. A newer one is refused; a change adds a step that
 * upgrades older ones.
 *
 * - 1: `host.json` (who this host is), `lock` and `running` (who has the directory open), and one SQLite file for
 *   each partition, `{database}/{partition}.sqlite`; beside it, while a snapshot arrives, `….sqlite.incoming`, and
 *   what was found damaged, `….sqlite.corrupt-{time}`. Where a cluster was founded, `token` and `secret`: those of its
 *   credentials that were made.
 */
const FORMAT = 1;

const HostRecord = v.object({
  format: v.pipe(v.number(), v.integer(), v.minValue(1)),
  /** Ed25519 private key, a JWK as text: whoever has it is this host. */
  key: v.string(),
  /** What people call this host; its id follows from the key. */
  name: v.string(),
  /** The cluster that it has joined; null before. */
  cluster: v.nullable(v.object({ database: v.string(), history: v.string() })),
  /** The cluster that is being founded here, as long as it is not whole. */
  founding: v.optional(
    v.object({ database: v.string(), partitions: v.pipe(v.number(), v.integer(), v.minValue(1)) }),
  ),
});

export type HostRecord = Readonly<v.InferOutput<typeof HostRecord>>;
export type Founding = NonNullable<HostRecord['founding']>;
export type ClusterId = NonNullable<HostRecord['cluster']>;

/** A partition as files and messages name it. */
export interface PartitionName {
  readonly database: string;
  readonly partition: PartitionId;
}

/** The files of one agent, held by this process until {@link close}. */
export class DataDirectory {
  readonly path: string;
  readonly #release: () => void;
  #record: HostRecord | null;

  private constructor(path: string, record: HostRecord | null, release: () => void) {
    this.path = path;
    this.#record = record;
    this.#release = release;
  }

  /** @throws AgentError when another process has it open, or `host.json` is damaged or newer than this Atoll */
  static open(directory: string): DataDirectory {
    const path = resolve(directory);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const release = lock(path);
    try {
      return new DataDirectory(path, readRecord(join(path, 'host.json')), release);
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Who this host is; null in a new directory. */
  get host(): HostRecord | null {
    return this.#record;
  }

  /** Durable when it returns. */
  setHost(record: Omit<HostRecord, 'format'>): void {
    this.#record = { format: FORMAT, ...record };
    replaceFile(join(this.path, 'host.json'), `${JSON.stringify(this.#record, null, 2)}\n`);
  }

  /** @throws AgentError when the directory belongs to another cluster than this one */
  checkCluster({ database, history }: ClusterId): void {
    const own = this.#record?.cluster ?? null;
    if (own === null || (own.database === database && own.history === history)) return;
    throw new AgentError(
      `the data directory ${this.path} belongs to another cluster: it holds ${own.database}, history ${own.history}; ` +
        `the cluster has ${database}, history ${history}`,
      'join the cluster it belongs to, or choose an empty directory with --data',
    );
  }

  /** Tells others who find the directory in use where it is served. */
  announce(url: string): void {
    replaceFile(join(this.path, 'running'), `${JSON.stringify({ url, pid: process.pid })}\n`);
  }

  /** Partitions that have a file here, whatever is in it. */
  partitions(): PartitionName[] {
    return readdirSync(this.path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap(({ name }) =>
        partitionFiles(readdirSync(join(this.path, name))).map(({ partition }) => ({
          database: name,
          partition,
        })),
      );
  }

  close(): void {
    rmSync(join(this.path, 'running'), { force: true });
    this.#release();
  }
}

/**
 * Of names in a database's directory those of partitions' replicas. A snapshot that has come whole is one before it is in its
 * place: between the end of the former file and that, the process may end.
 */
export function partitionFiles(names: readonly string[]): { partition: PartitionId; name: string }[] {
  return names.flatMap((name) => {
    const [, partition, isIncoming] = /^(\d+)\.sqlite(\.incoming)?$/.exec(name) ?? [];
    if (partition === undefined || (isIncoming !== undefined && names.includes(`${partition}.sqlite`)))
      return [];
    return [{ partition: Number(partition) as PartitionId, name }];
  });
}

/** The file of a partition's replica; its directory need not be there yet. */
export function partitionFile(directory: string, { database, partition }: PartitionName): string {
  return join(directory, database, `${partition}.sqlite`);
}

/**
 * The operating system frees SQLite's file lock when its holder dies, however it dies; a file with a process id in it
 * would outlive a `kill -9` and could name a stranger afterwards.
 */
function lock(path: string): () => void {
  const database = new DatabaseSync(join(path, 'lock'));
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (!/locked/.test((error as Error).message)) throw error;
    throw new AgentError(
      `the data directory ${path} is in use by another agent${holder(path)}`,
      'stop that one, or choose another directory with --data',
    );
  }
  return () => database.close();
}

function holder(path: string): string {
  try {
    const { url, pid } = JSON.parse(readFileSync(join(path, 'running'), 'utf8'));
    return ` (process ${pid}, ${url})`;
  } catch {
    return '';
  }
}

function readRecord(file: string): HostRecord | null {
  const text = read(file);
  if (text === null) return null;
  const found = v.safeParse(v.pipe(v.string(), v.parseJson(), HostRecord), text);
  if (!found.success) {
    throw new AgentError(
      `${file} is damaged: ${v.summarize(found.issues)}`,
      'restore it from a backup, or join as a new host with an empty directory',
    );
  }
  const { format } = found.output;
  if (format > FORMAT) {
    throw new AgentError(
      `${file} has format ${format}; this Atoll knows up to ${FORMAT}`,
      'update Atoll, or choose another directory with --data',
    );
  }
  return found.output;
}

function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Either the former text or the new one is there, whenever the power goes. */
export function replaceFile(file: string, text: string): void {
  const next = `${file}.next`;
  writeFileSync(next, text, { mode: 0o600, flush: true });
  renameSync(next, file);
  syncDirectory(join(file, '..'));
}

/** A new name in a directory is durable only once the directory is: fsync(2). */
export function syncDirectory(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
