import { assert, present } from '../../base/assert.ts';
import type { CommitId } from '../../base/brand.ts';
import type { SessionSeal } from '../../protocol/session-seal.ts';
import { type AppliedCommit, applyCommit, applyCommits } from '../log/apply.ts';
import { DecodeError } from '../log/bytes.ts';
import type { Change } from '../log/commit.ts';
import { decodeCommit } from '../log/encoding.ts';
import { readHead } from '../log/tables.ts';
import { PROGRESS } from '../replica/bookkeeping.ts';
import { schemaChangeOf } from '../replica/feed.ts';
import { Replica } from '../replica/replica.ts';
import { recordSchema } from '../replica/schema-versions.ts';
import { applySchemaChange } from '../schema/apply-change.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { type Position, readPosition, termAt } from './position.ts';
import type { AppendBatch } from './shipping.ts';
import { clearStaged, isStaged, readStaged, stage, stagedOffset } from './staging.ts';

/**
 * - `appended`: the log has grown, or a piece was kept.
 * - `stale`: all of it was here already.
 * - `gap`: what lies between is missing; `position` says from where to send.
 * - `diverged`: this log has other entries than the leader's. It needs a snapshot.
 */
export interface AppendResult {
  readonly kind: 'appended' | 'gap' | 'diverged' | 'stale';
  readonly position: Position;
}

/**
 * A replica that follows a leader's log: entries become its own, rows and log, in their order and exactly. Messages may
 * come late, twice or in any order. Writes are nobody else's: `replica` serves reads.
 */
export class Follower {
  readonly replica: Replica;
  /** What the file says; null: it must be asked. */
  #position: Position | null = null;

  private constructor(replica: Replica) {
    this.replica = replica;
    replica.follows = true;
  }

  /** Null for a file without a replica, and for one whose snapshot is not complete. */
  static open(port: SqlitePort, seal?: SessionSeal): Follower | null {
    const replica = Replica.open(port);
    if (replica === null) return null;
    if (seal !== undefined) replica.seal = seal;
    return new Follower(replica);
  }

  position(): Position {
    this.#position ??= readPosition(this.replica.port);
    return this.#position;
  }

  /**
   * Applies a batch in one SQLite transaction; its entries are durable when this returns. A defect, and nothing changed,
   * if a row is not as an entry says that it was.
   *
   * @throws DecodeError for an entry that is damaged or not the next one
   */
  append(batch: AppendBatch): AppendResult {
    const { port } = this.replica;
    try {
      const result = port.transaction(() => this.#append(batch));
      this.#position = result.position;
      return result;
    } catch (error) {
      // Memory that ran ahead of the file follows it back.
      this.#position = null;
      this.replica.reload();
      if (!(error instanceof TornEntryError)) throw error;
      port.transaction(() => clearStaged(port));
      return { kind: 'gap', position: this.position() };
    }
  }

  #append(batch: AppendBatch): AppendResult {
    const position = this.#confirmed();
    const { commitId, term } = batch.previous;
    if (commitId > position.commitId) return { kind: 'gap', position };
    const known = commitId === position.commitId ? position.term : termAt(this.replica.port, commitId);
    if (known !== null && known !== term) return { kind: 'diverged', position };
    return batch.piece === null ? this.#appendEntries(batch, position) : this.#appendPiece(batch, position);
  }

  /** What is remembered, held against the file: if somebody else has written there, the logs differ, and that is to be seen. */
  #confirmed(): Position {
    const { port } = this.replica;
    const known = this.position();
    return readHead(port).lastCommitId === known.commitId ? known : readPosition(port);
  }

  #appendEntries({ previous, entries }: AppendBatch, before: Position): AppendResult {
    const { port } = this.replica;
    let next = before.commitId + 1;
    let commitId: number = previous.commitId;
    const commits: AppliedCommit[] = [];
    for (const bytes of entries) {
      commitId++;
      if (commitId < next && commits.length === 0) {
        const own = termAt(port, commitId as CommitId);
        if (own !== null && own !== decodeCommit(bytes).header.term)
          return { kind: 'diverged', position: before };
        continue;
      }
      const commit = decodeCommit(bytes);
      if (commit.header.commitId !== commitId)
        throw new DecodeError(`commit ${commit.header.commitId} as ${commitId}`);
      checkKind(commit);
      commits.push(commit);
      next++;
    }
    const last = commits.at(-1)?.header;
    if (last === undefined) return { kind: 'stale', position: before };
    const progress = this.#applyAll(commits);
    clearStaged(port);
    if (progress) this.replica.progressFollowed();
    const { term, timestamp } = last;
    return { kind: 'appended', position: { commitId: last.commitId, term, timestamp, offset: 0 } };
  }

  #appendPiece({ previous, entries, piece }: AppendBatch, before: Position): AppendResult {
    const { port } = this.replica;
    const { offset, next } = present(piece, 'a batch that is a piece');
    if (previous.commitId < before.commitId) return { kind: 'stale', position: before };
    const bytes = present(entries[0], 'a piece has bytes');
    const { commitId, term } = decodeCommit(bytes).header;
    if (commitId !== previous.commitId + 1)
      throw new DecodeError(`commit ${commitId} after ${previous.commitId}`);
    // A leader of another term sends another entry.
    if (!isStaged(port, { commitId, term })) clearStaged(port);
    const here = stagedOffset(port);
    // What was staged of another term is gone.
    if (offset !== here) return { kind: offset < here ? 'stale' : 'gap', position: readPosition(port) };
    stage(port, { commitId, term }, { offset, next }, bytes);
    if (next !== null) return { kind: 'appended', position: readPosition(port) };
    const { header, changes } = readStaged(port);
    checkKind({ header });
    const whole = piece?.changes === undefined ? changes : counted(changes, piece.changes);
    if (this.#apply({ header, changes: whole })) this.replica.progressFollowed();
    clearStaged(port);
    return { kind: 'appended', position: readPosition(port) };
  }

  /** As {@link #apply}, what lies between schema changes together. */
  #applyAll(commits: readonly AppliedCommit[]): boolean {
    const noted = { progress: false };
    for (let from = 0; from < commits.length; ) {
      const schema = commits.findIndex(({ header }, at) => at >= from && header.kind === 'schema');
      const to = schema < 0 ? commits.length : schema;
      if (from < to) {
        const plain = commits.slice(from, to);
        applyCommits(
          this.replica.port,
          plain.map(({ header, changes }) => ({ header, changes: notingProgress(changes, noted) })),
        );
      }
      const change = commits[to];
      if (change !== undefined && this.#apply(change)) noted.progress = true;
      from = to + 1;
    }
    return noted.progress;
  }

  /** True if what is in memory follows from a row that was changed. */
  #apply({ header, changes }: AppliedCommit): boolean {
    const { port } = this.replica;
    const { kind, payload } = header;
    const noted = { progress: false };
    const noting = notingProgress(changes, noted);
    if (kind !== 'schema') applyCommit(port, { header, changes: noting });
    else {
      const change = schemaChangeOf(this.replica.isSystem, payload);
      applySchemaChange(port, this.replica.schema.catalogue, change);
      recordSchema(port, change);
      applyCommit(port, { header, changes: noting });
      this.replica.schemaApplied(change.catalogue);
    }
    return noted.progress;
  }
}

function checkKind({ header: { kind } }: Pick<AppliedCommit, 'header'>): void {
  assert(kind !== 'config' && kind !== 'split', () => `an entry of kind ${kind} in this version`);
}

/** The pieces of an entry do not make it: to be sent anew. A sender before RPC version 3 may have counted otherwise. */
class TornEntryError extends Error {
  override name = 'TornEntryError';
}

/** @throws TornEntryError at the end, if they are not as many */
function* counted(changes: Iterable<Change>, expected: number): Generator<Change> {
  let count = 0;
  for (const change of changes) {
    count++;
    yield change;
  }
  if (count !== expected) throw new TornEntryError(`${count} changes of ${expected}`);
}

/** Passes changes on and notes whether one is of what the partition knows of the system partition. */
function* notingProgress(changes: Iterable<Change>, noted: { progress: boolean }): Generator<Change> {
  for (const change of changes) {
    if (change.tableId === PROGRESS.id) noted.progress = true;
    yield change;
  }
}
