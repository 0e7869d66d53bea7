import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { TOKEN_FILE } from './connection.ts';
import { CliError } from './failure.ts';

/**
 * Layout of a data directory. A newer one is refused; a change adds a step that upgrades older ones.
 *
 * - 1: `format`, `token`, `secret`, `lock`, `running`, `storage/`, which is workerd's, and `agents/`, a
 *   directory for each agent.
 */
const FORMAT = 1;

/** A data directory, held by this process until `close`. */
export interface DataDirectory {
  readonly path: string;
  /** Where workerd keeps the objects' databases. */
  readonly storage: string;
  /** True when this run made it. */
  readonly isNew: boolean;
  /** A secret of this cluster, made and kept on first use. */
  secret(name: typeof TOKEN_FILE | 'secret'): string;
  /** Tells others who find the directory in use where it is served. */
  announce(url: string): void;
  close(): void;
}

/** Opens or makes a data directory. Refuses one that another process has open or that a newer Atoll wrote. */
export function openDataDirectory(directory: string): DataDirectory {
  const path = resolve(directory);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const release = lock(path);
  try {
    const isNew = checkFormat(path);
    return {
      path,
      storage: join(path, 'storage'),
      isNew,
      secret: (name) => keptSecret(join(path, name)),
      announce: (url) =>
        writeFileSync(join(path, 'running'), `${JSON.stringify({ url, pid: process.pid })}\n`),
      close: () => {
        rmSync(join(path, 'running'), { force: true });
        release();
      },
    };
  } catch (error) {
    release();
    throw error;
  }
}

/**
 * The operating system frees SQLite's file lock when its holder dies, however it dies; a file with a process
 * id in it would outlive a `kill -9` and could name a stranger afterwards.
 */
function lock(path: string): () => void {
  const database = new DatabaseSync(join(path, 'lock'));
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (!/locked/.test((error as Error).message)) throw error;
    throw new CliError(
      `the data directory ${path} is in use by another \`atoll dev\`${holder(path)}`,
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

function checkFormat(path: string): boolean {
  const file = join(path, 'format');
  const text = read(file);
  if (text === undefined) {
    writeFileSync(file, `${FORMAT}\n`);
    return true;
  }
  const found = Number(text);
  if (!Number.isInteger(found) || found < 1) {
    throw new CliError(`${file} is damaged: ${JSON.stringify(text.slice(0, 40))}`, `write ${FORMAT} into it`);
  }
  if (found > FORMAT) {
    throw new CliError(
      `the data directory ${path} has format ${found}; this Atoll knows up to ${FORMAT}`,
      'update Atoll, or choose another directory with --data',
    );
  }
  return false;
}

function keptSecret(file: string): string {
  const kept = read(file)?.trim();
  if (kept !== undefined && kept !== '') return kept;
  const made = randomBytes(32).toString('base64url');
  writeFileSync(file, `${made}\n`, { mode: 0o600 });
  return made;
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
