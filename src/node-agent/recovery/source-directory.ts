import { constants, copyFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { PartitionId } from '../../base/brand.ts';
import { AgentError } from '../agent-error.ts';
import { partitionFiles } from '../data-directory.ts';

/** A file of a partition, as it lies in an agent's directory. */
export interface SourceFile {
  readonly partition: PartitionId;
  readonly path: string;
}

/**
 * An agent's directory that is only read: nothing in it is written, made or removed. As long as it is open here no agent can
 * start on it.
 */
export class SourceDirectory {
  readonly path: string;
  readonly #lock: DatabaseSync | null;

  private constructor(path: string, lock: DatabaseSync | null) {
    this.path = path;
    this.#lock = lock;
  }

  /** @throws AgentError when it is not there, or an agent runs on it */
  static open(directory: string): SourceDirectory {
    const path = resolve(directory);
    if (!existsSync(path))
      throw new AgentError(`there is no directory ${path}`, 'name the --data of an agent');
    return new SourceDirectory(path, sharedLock(path));
  }

  /** Partitions' files of a database. One that its agent has put aside because it was no longer wanted there counts too. */
  files(database: string): SourceFile[] {
    const directory = join(this.path, database);
    if (!existsSync(directory)) return [];
    const names = readdirSync(directory).sort();
    const released = names.flatMap((name) => {
      const partition = /^(\d+)\.sqlite\.released-[0-9A-Z]+$/.exec(name)?.[1];
      return partition === undefined ? [] : [{ partition: Number(partition) as PartitionId, name }];
    });
    return [...partitionFiles(names), ...released].map(({ partition, name }) => ({
      partition,
      path: join(directory, name),
    }));
  }

  close(): void {
    this.#lock?.close();
  }
}

/** A running agent has `lock` open exclusively (data-directory.ts); here a shared lock is enough, and writes nothing. */
function sharedLock(path: string): DatabaseSync | null {
  const file = join(path, 'lock');
  if (!existsSync(file)) return null;
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    database.exec('BEGIN; SELECT count(*) FROM sqlite_schema');
    return database;
  } catch (error) {
    database.close();
    if (!/locked/.test((error as Error).message)) throw error;
    throw new AgentError(
      `an agent is running on ${path}`,
      'stop it first: its copies must not change while they are read',
    );
  }
}

/** With the write-ahead log, in which the newest commits may be; without copying blocks where the file system can share them. */
export function copyDatabase(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  for (const end of ['', '-wal'])
    if (existsSync(from + end)) copyFileSync(from + end, to + end, constants.COPYFILE_FICLONE);
}
