import { present } from '../../base/assert.ts';
import type { CommitId, Term } from '../../base/brand.ts';
import { REBUILDS_SINCE, RPC_VERSION } from '../../protocol/rpc.ts';
import { ByteReader, ByteWriter, DecodeError } from '../log/bytes.ts';
import type { Commit, CommitHeader } from '../log/commit.ts';
import { encodeCommit } from '../log/encoding.ts';
import { changePage, countChanges, seqOfChange } from '../log/image.ts';
import { readLayouts } from '../log/layout.ts';
import { type Entry, readEntries, readEntry, readFollowing } from '../log/read.ts';
import { readHead } from '../log/tables.ts';
import { schemaChangeOf } from '../replica/feed.ts';
import type { Replica } from '../replica/replica.ts';
import { isRebuild } from '../schema/change.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import type { EntryId } from './position.ts';
import { termAt } from './position.ts';
import type { Piece } from './staging.ts';

/** Values in one batch (chosen: half of a frame, so that it is one message; a single change may be larger). */
export const BATCH_BYTES = 512 * 1024;
/** Entries in one batch (chosen: bounds the time that reading them takes). */
const ENTRIES_MAX = 1024;

/** Entries that follow one another, for a follower whose log ends with `previous`. */
export interface AppendBatch {
  readonly previous: EntryId;
  /** Each an encoded commit. */
  readonly entries: readonly Uint8Array[];
  /** If there: `entries` is one, and has only these of its changes. */
  readonly piece: Piece | null;
  /** The leader's last entry. */
  readonly last: CommitId;
}

/** A batch with what its sender notes of it. */
export interface ReadBatch extends AppendBatch {
  /** Where the follower's log ends when it has this. */
  readonly end: After;
}

/** Where a follower's log ends; `offset` as in `Position`. */
export interface After extends EntryId {
  readonly offset?: number;
}

/**
 * The entries that follow, of about `bytesMax`, for a follower that speaks `version` of the protocol. `snapshot-needed` if the
 * log does not have them any more, or has another entry at `after` than the follower, or one that it does not know.
 */
export function readBatch(
  replica: Replica,
  after: After,
  bytesMax: number = BATCH_BYTES,
  version: number = RPC_VERSION,
): ReadBatch | 'snapshot-needed' | 'up-to-date' {
  const { port } = replica;
  const offset = after.offset ?? 0;
  const { term, following, last } = readTail(port, after.commitId, offset > 0 ? 1 : ENTRIES_MAX, bytesMax);
  if (term !== after.term) return 'snapshot-needed';
  if (after.commitId === last) return 'up-to-date';
  const previous = { commitId: after.commitId, term: after.term };
  if (offset > 0) return readPiece(replica, previous, offset, bytesMax);
  const isOlder = version < REBUILDS_SINCE;
  const [first] = following;
  if (isOlder && first !== undefined && isRebuildEntry(replica, first.header)) return 'snapshot-needed';
  const entries: Uint8Array[] = [];
  let end: EntryId = previous;
  for (const commit of wholeCommits(port, following, bytesMax)) {
    if (isOlder && isRebuildEntry(replica, commit.header)) break;
    entries.push(encodeCommit(commit));
    end = commit.header;
  }
  if (entries.length === 0) return readPiece(replica, previous, 0, bytesMax);
  return {
    previous,
    entries,
    piece: null,
    end: { commitId: end.commitId, term: end.term },
    last,
  };
}

function isRebuildEntry({ isSystem }: Replica, { kind, payload }: CommitHeader): boolean {
  return kind === 'schema' && isRebuild(schemaChangeOf(isSystem, payload));
}

/** The log from `after` on: the term there, and what follows, at most `limit`, but one entry if there is any. */
function readTail(port: SqlitePort, after: CommitId, limit: number, bytesMax: number): Tail {
  const tail = readFollowing(port, after, limit, bytesMax);
  if (tail !== null && (tail.entries.length > 0 || tail.last === after)) {
    return { term: tail.previous.header.term, following: tail.entries, last: tail.last };
  }
  // It is where the log begins, not in it at all, or so large that nothing else has room.
  const { lastCommitId: last } = readHead(port);
  const term = termAt(port, after);
  const following = term === null ? [] : readEntries(port, (after + 1) as CommitId, limit, bytesMax);
  return { term, following, last };
}

interface Tail {
  /** Null: the log does not have it any more, or not yet. */
  readonly term: Term | null;
  readonly following: readonly Entry[];
  readonly last: CommitId;
}

/** Those of `found` that fit whole into about `bytesMax`, in one read however many they are: their images lie together. */
function wholeCommits(port: SqlitePort, found: readonly Entry[], bytesMax: number): Commit[] {
  const images = found
    .filter((entry) => entry.images.first <= entry.images.last)
    .map((entry) => entry.images);
  const [from, to] = [images[0], images.at(-1)];
  if (from === undefined || to === undefined) return found.map(({ header }) => ({ header, changes: [] }));
  const range = { first: from.first, last: to.last };
  const { changes, seqs, next } = changePage(port, readLayouts(port), range, bytesMax);
  const commits: Commit[] = [];
  let at = 0;
  for (const entry of found) {
    const { last } = entry.images;
    if (next !== null && last >= next) break;
    const start = at;
    while (at < changes.length && (seqs[at] as number) <= last) at++;
    commits.push({ header: entry.header, changes: changes.slice(start, at) });
  }
  return commits;
}

function readPiece(
  replica: Replica,
  previous: EntryId,
  offset: number,
  bytesMax: number,
): ReadBatch | 'snapshot-needed' {
  const { port } = replica;
  const { header, images } = entryAt(replica, previous.commitId + 1);
  // Not from where it was in the log: an undo, and the same done again, number it anew.
  const first = offset === 0 ? images.first : seqOfChange(port, images, offset);
  // Pieces of an entry that was another one.
  if (first === null) return 'snapshot-needed';
  const page = changePage(port, readLayouts(port), { ...images, first }, bytesMax);
  const next = page.next === null ? null : offset + page.changes.length;
  const whole = offset === 0 && next === null;
  return {
    previous,
    entries: [encodeCommit({ header, changes: page.changes })],
    piece: whole ? null : { offset, next, changes: countChanges(port, images) },
    end: next === null ? { commitId: header.commitId, term: header.term } : { ...previous, offset: next },
    last: readHead(port).lastCommitId,
  };
}

function entryAt({ port }: Replica, id: number): Entry {
  return present(readEntry(port, id as CommitId), () => `commit ${id} is missing`);
}

/** A batch as a message: what is small as JSON, entries as bytes. */
export function encodeBatch({ previous, entries, piece, last }: AppendBatch): {
  head: unknown;
  data: Uint8Array;
} {
  const writer = new ByteWriter();
  writer.varint(entries.length);
  for (const entry of entries) writer.bytes(entry);
  return { head: { previous, piece, last }, data: writer.finish() };
}

/** @throws DecodeError for what is no batch */
export function decodeBatch(head: unknown, data: Uint8Array): AppendBatch {
  const { previous, piece, last } = asRecord(head);
  const reader = new ByteReader(data);
  const entries = Array.from({ length: reader.varint() }, () => reader.bytes());
  if (!reader.done) throw new DecodeError('bytes are left over');
  const decoded = piece === null ? null : decodePiece(asRecord(piece));
  if (decoded !== null && entries.length !== 1) throw new DecodeError('a piece is one entry');
  return {
    previous: decodeId(asRecord(previous)),
    entries,
    piece: decoded,
    last: index(last) as CommitId,
  };
}

function decodeId({ commitId, term }: Record<string, unknown>): EntryId {
  return { commitId: index(commitId) as CommitId, term: index(term) as Term };
}

function decodePiece({ offset, next, changes }: Record<string, unknown>): Piece {
  return {
    offset: index(offset),
    next: next === null ? null : index(next),
    ...(changes !== undefined && { changes: index(changes) }),
  };
}

function asRecord(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new DecodeError('the head of a batch');
  return value as Record<string, unknown>;
}

function index(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw new DecodeError('a number of a batch');
  return value;
}
