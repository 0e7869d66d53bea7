import { assert, present } from '../../base/assert.ts';
import type { CommitId } from '../../base/brand.ts';
import type { SessionSeal } from '../../protocol/session-seal.ts';
import { type AppliedCommit, applyCommit, applyCommits } from '../log/apply.ts';
import { DecodeError } from '../log/bytes.ts';
import type { Change } from '../log/commit.ts';
import { decodeCommit } from '../log/encoding.ts';
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
    return readPosition(this.replica.port);
  }

  /**
   * Applies a batch in one SQLite transaction; its entries are durable when this returns. A defect, and nothing changed,
   * if a row is not as an entry says that it was.
   *
   * @throws DecodeError for an entry that is damaged or not the next one
   */
  append(batch: AppendBatch): AppendResult {
    const { port } = this.replica;
    const before = this.position();
    if (batch.previous.commitId > before.commitId) return { kind: 'gap', position: before };
    const known = termAt(port, batch.previous.commitId);
    if (known !== null && known !== batch.previous.term) return { kind: 'diverged', position: before };
    try {
      const kind = port.transaction(() =>
        batch.piece === null ? this.#appendEntries(batch) : this.#appendPiece(batch, before),
      );
      return { kind, position: kind === 'appended' ? this.position() : before };
    } catch (error) {
      // Memory that ran ahead of the file follows it back.
      this.replica.reload();
      if (!(error instanceof TornEntryError)) throw error;
      port.transaction(() => clearStaged(port));
      return { kind: 'gap', position: this.position() };
    }
  }

  #appendEntries({ previous, entries }: AppendBatch): AppendResult['kind'] {
    const { port } = this.replica;
    let next = this.position().commitId + 1;
    let commitId: number = previous.commitId;
    const commits: AppliedCommit[] = [];
    for (const bytes of entries) {
      commitId++;
      if (commitId < next && commits.length === 0) {
        const own = termAt(port, commitId as CommitId);
        if (own !== null && own !== decodeCommit(bytes).header.term) return 'diverged';
        continue;
      }
      const commit = decodeCommit(bytes);
      if (commit.header.commitId !== commitId)
        throw new DecodeError(`commit ${commit.header.commitId} as ${commitId}`);
      checkKind(commit);
      commits.push(commit);
      next++;
    }
    if (commits.length === 0) return 'stale';
    const progress = this.#applyAll(commits);
    clearStaged(port);
    if (progress) this.replica.progressFollowed();
    return 'appended';
  }

  #appendPiece({ previous, entries, piece }: AppendBatch, before: Position): AppendResult['kind'] {
    const { port } = this.replica;
    const { offset, next } = present(piece, 'a batch that is a piece');
    if (previous.commitId < before.commitId) return 'stale';
    const bytes = present(entries[0], 'a piece has bytes');
    const { commitId, term } = decodeCommit(bytes).header;
    if (commitId !== previous.commitId + 1)
      throw new DecodeError(`commit ${commitId} after ${previous.commitId}`);
    // A leader of another term sends another entry.
    if (!isStaged(port, { commitId, term })) clearStaged(port);
    const here = stagedOffset(port);
    if (offset !== here) return offset < here ? 'stale' : 'gap';
    stage(port, { commitId, term }, { offset, next }, bytes);
    if (next !== null) return 'appended';
    const { header, changes } = readStaged(port);
    checkKind({ header });
    const whole = piece?.changes === undefined ? changes : counted(changes, piece.changes);
    if (this.#apply({ header, changes: whole })) this.replica.progressFollowed();
    clearStaged(port);
    return 'appended';
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
