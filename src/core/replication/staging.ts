import type { Change, CommitHeader } from '../log/commit.ts';
import { decodeCommit } from '../log/encoding.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import type { EntryId } from './position.ts';

/**
 * Pieces of one entry that is too large for a message, kept in the file until all are there: a local table, of this
 * host alone. Each piece is an encoded commit with some of the entry's changes. A piece lies in rows of at most
 * {@link CHUNK_BYTES}, for SQLite bounds the length of one (SQL.md).
 */

const CHUNK_BYTES = 1024 * 1024;

export interface Piece {
  /** How many of the entry's changes come before it: 0 for the first, else `next` of the one before. */
  readonly offset: number;
  /** Null for the last piece. */
  readonly next: number | null;
  /** How many the entry has. Senders of RPC version 2 and before do not say. */
  readonly changes?: number;
}

/** Where the next piece begins; 0 if none is here. */
export function stagedOffset(port: SqlitePort): number {
  const { rows } = port.query('SELECT next_offset FROM _atoll_staged ORDER BY id DESC LIMIT 1');
  return Number(rows[0]?.[0] ?? 0);
}

/** Whether the pieces here, if any, are of this entry. */
export function isStaged(port: SqlitePort, { commitId, term }: EntryId): boolean {
  const { rows } = port.query(
    'SELECT 1 FROM _atoll_staged WHERE commit_id <> ? OR term <> ? LIMIT 1',
    commitId,
    term,
  );
  return rows.length === 0;
}

export function stage(port: SqlitePort, { commitId, term }: EntryId, piece: Piece, bytes: Uint8Array): void {
  const { rows } = port.query('SELECT coalesce(max(piece), 0) + 1 FROM _atoll_staged');
  for (let from = 0; from < bytes.length; from += CHUNK_BYTES)
    port.query(
      'INSERT INTO _atoll_staged(commit_id, term, piece, next_offset, bytes) VALUES (?, ?, ?, ?, ?)',
      commitId,
      term,
      rows[0]?.[0] ?? 1,
      piece.next,
      bytes.subarray(from, from + CHUNK_BYTES),
    );
}

export function clearStaged(port: SqlitePort): void {
  port.query('DELETE FROM _atoll_staged');
}

/** The entry that the pieces make; its changes are read piece by piece. */
export function readStaged(port: SqlitePort): { header: CommitHeader; changes: Iterable<Change> } {
  return { header: decodeCommit(readPiece(port, 1)).header, changes: stagedChanges(port) };
}

function* stagedChanges(port: SqlitePort): Generator<Change> {
  const { rows } = port.query('SELECT max(piece) FROM _atoll_staged');
  for (let piece = 1; piece <= Number(rows[0]?.[0]); piece++)
    yield* decodeCommit(readPiece(port, piece)).changes;
}

function readPiece(port: SqlitePort, piece: number): Uint8Array {
  const { rows } = port.query('SELECT bytes FROM _atoll_staged WHERE piece = ? ORDER BY id', piece);
  const chunks = rows.map(([bytes]) => bytes as Uint8Array);
  const whole = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
