import { assert } from '../../base/assert.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { append } from './append.ts';
import type { Change, CommitHeader } from './commit.ts';
import { imageBytes, sameChanges } from './encoding.ts';
import { PAGE_BYTES, readChanges } from './image.ts';
import { type Layouts, layoutOf, readLayouts } from './layout.ts';
import { readCapturedPages } from './read.ts';
import { replaying } from './replay.ts';
import { newestSeq, readHead } from './tables.ts';

/** A commit to apply; its changes may come page by page from a generator and are gone through once. */
export interface AppliedCommit {
  readonly header: CommitHeader;
  readonly changes: Iterable<Change>;
}

/**
 * Applies the next commit to a replica: its rows, and its entry in the replica's own log, which then is
 * byte for byte (under the encoding) the leader's. DDL of a `schema` commit is the caller's, before this, in the
 * same transaction. What it does to rows of other tables (DROP TABLE deletes its rows, and foreign keys act) is
 * logged here as it was at the leader, where DDL comes first too; the changes that follow are applied.
 * A defect, and nothing changed, if the commit is not the next one or a row is not as its before-image says.
 */
export function applyCommit(port: SqlitePort, { header, changes }: AppliedCommit): void {
  port.transaction(() => {
    const { lastCommitId } = readHead(port);
    assert(header.commitId === lastCommitId + 1, () => `commit ${header.commitId} after ${lastCommitId}`);
    applyChanges(port, header.kind === 'schema' ? withoutCaptured(port, changes) : changes);
    append(port, header, true);
  });
}

/**
 * Makes changes that were captured elsewhere or earlier part of the commit being made: a replica's entry, a
 * prepared transaction, a statement of an interactive one. They are logged as they are in `changes`.
 * Inside a transaction. A defect if a row is not as its before-image says.
 */
export function applyChanges(port: SqlitePort, changes: Iterable<Change>): void {
  const layouts = readLayouts(port);
  const unchecked: Change[] = [];
  let bytes = 0;
  replaying(port, (replay) => {
    let start = newestSeq(port);
    for (const change of changes) {
      if (bytes > PAGE_BYTES) {
        checkLogged(port, layouts, unchecked, start);
        start = newestSeq(port);
        unchecked.length = 0;
        bytes = 0;
      }
      const layout = layoutOf(layouts, change);
      assert(layout.current, () => `layout ${change.layout} is not current`);
      assert(replay.forward(layout, change), () => `${layout.table}: a change meets a row that it did not`);
      unchecked.push(change);
      bytes += imageBytes(change.before) + imageBytes(change.after);
    }
    checkLogged(port, layouts, unchecked, start);
  });
}

/** What is left of `changes` after those that were captured here already, which must be the first of them. */
function withoutCaptured(port: SqlitePort, changes: Iterable<Change>): Iterable<Change> {
  const rest = changes[Symbol.iterator]();
  for (const page of readCapturedPages(port))
    for (const captured of page) {
      const { value, done } = rest.next();
      assert(
        done !== true && sameChanges([captured], [value]),
        'a schema change did to rows what it did not',
      );
    }
  return { [Symbol.iterator]: () => rest };
}

/** What the triggers saw change is what was meant, before-images included. */
function checkLogged(port: SqlitePort, layouts: Layouts, meant: readonly Change[], startSeq: number): void {
  if (meant.length === 0) return;
  const own = readChanges(port, layouts, { first: startSeq + 1, last: Number.MAX_SAFE_INTEGER });
  if (sameChanges(own, meant)) return;
  const at = own.findIndex((change, i) => !sameChanges([change], meant.slice(i, i + 1)));
  const change = meant[at === -1 ? own.length : at];
  const table = change === undefined ? 'a table' : layoutOf(layouts, change).table;
  assert(false, () => `${table}: a row is not equal to its before-image`);
}
