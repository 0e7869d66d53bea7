import { existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { SqliteError } from '../../core/sqlite/port.ts';
import { syncDirectory } from '../data-directory.ts';
import { type NodeSqliteOptions, NodeSqlitePort } from '../sqlite-port.ts';
import { StorageError } from './calls.ts';

/** A file up to this size is read whole when it is opened, bytes (measured: some 100 ms; damage in larger ones shows in use). */
const CHECKED_BYTES_MAX = 64 << 20;
/** Pages kept in memory for each file (chosen: a hundred open files then take at most 50 MB for them). */
const CACHE_KILOBYTES = 512;
/** Files that this process has found whole: one that was closed for want of use is not read again. */
const checked = new Set<string>();
/** Of a replica: it is made durable before its leader is told how far it is, which many batches share. */
const REPLICA: NodeSqliteOptions = { synchronous: 'NORMAL', cacheKilobytes: CACHE_KILOBYTES };
/** A file that no longer is one: https://www.sqlite.org/rescode.html#corrupt. */
export const DAMAGED: ReadonlySet<unknown> = new Set(['SQLITE_CORRUPT', 'SQLITE_NOTADB']);

/** The file first: a log without its file is deleted when the file is opened, a file without its log is damaged. */
export function removeDatabase(file: string): void {
  for (const each of [file, `${file}-wal`, `${file}-shm`]) rmSync(each, { force: true });
}

/** @throws StorageError `corrupt`, when the file was damaged: it is aside then */
export function openChecked(file: string, options: NodeSqliteOptions = REPLICA): NodeSqlitePort {
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

/** Does something with the file's rows. @throws StorageError `corrupt` as {@link openChecked} */
export function guarded<T>(file: string, port: NodeSqlitePort, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw isDamage(error) ? damaged(file, port, (error as Error).message) : error;
  }
}

/** The file is aside then, and its connection closed. */
export function damaged(file: string, port: NodeSqlitePort | null, what: string): StorageError {
  port?.close();
  checked.delete(file);
  const aside = moveAside(file, 'corrupt');
  return new StorageError({ kind: 'corrupt', message: `${file} is damaged (${what}); it is now ${aside}` });
}

export type Aside = 'corrupt' | 'released';

/** Gives its new name. */
export function moveAside(file: string, why: Aside): string {
  const time = new Date().toISOString().replace(/[-:]/g, '').replace('.', '');
  const aside = `${file}.${why}-${time}`;
  renameSync(file, aside);
  for (const end of ['-wal', '-shm']) if (existsSync(file + end)) renameSync(file + end, aside + end);
  syncDirectory(dirname(file));
  return aside;
}
