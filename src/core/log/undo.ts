import { assert } from '../../base/assert.ts';
import type { CommitId } from '../../base/brand.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { BARRIERS } from './commit.ts';
import { changePagesBackwards, PAGE_BYTES, type SeqRange } from './image.ts';
import { type Layouts, layoutOf, readLayouts } from './layout.ts';
import { readEntry } from './read.ts';
import { type Replay, replaying } from './replay.ts';
import { newestSeq, readHead } from './tables.ts';

/**
 * Undoes the newest commits, newest first, so that `lastCommitId` is the last one, and removes them from
 * the log. A defect, and nothing changed, if one of them is purged or a barrier (`schema`, `config`,
 * `split`: row images cannot undo those), or if a commit is being made. Memory is bounded by a page of images.
 */
export function undoTo(port: SqlitePort, lastCommitId: CommitId): void {
  port.transaction(() => {
    const head = readHead(port);
    assert(lastCommitId <= head.lastCommitId, 'undo to a commit that is not there');
    if (lastCommitId === head.lastCommitId) return;
    assert(lastCommitId >= head.firstCommitId - 1, 'undo of a purged commit');
    assert(newestSeq(port) <= head.lastSeq, 'no undo while a commit is being made');
    const layouts = readLayouts(port);
    let firstSeq = head.lastSeq + 1;
    replaying(port, (replay) => {
      for (let id = head.lastCommitId as number; id > lastCommitId; id--) {
        const entry = readEntry(port, id as CommitId);
        assert(entry !== null, () => `commit ${id} is missing`);
        assert(!BARRIERS.has(entry.header.kind), () => `commit ${id} is a barrier`);
        assert(undoImages(port, replay, layouts, entry.images), () => `commit ${id} does not come undone`);
        firstSeq = entry.images.first;
      }
    });
    truncate(port, lastCommitId, firstSeq);
  });
}

/** Takes back the changes of a range, with `only` those of these layouts; false at the first that constraints do not allow to. */
export function undoImages(
  port: SqlitePort,
  replay: Replay,
  layouts: Layouts,
  range: SeqRange,
  only: ReadonlySet<number> | null = null,
): boolean {
  for (const changes of changePagesBackwards(port, layouts, range, PAGE_BYTES, only)) {
    const start = newestSeq(port);
    let images = 0;
    for (const change of changes) {
      if (!replay.backward(layoutOf(layouts, change), change)) return false;
      images += change.type === 'update' ? 2 : 1;
    }
    assert(newestSeq(port) - start === images, 'undoing a change changes one row');
  }
  return true;
}

/** Removes entries after `lastCommitId` and all images from `firstSeq` on, those of the undoing too. */
function truncate(port: SqlitePort, lastCommitId: CommitId, firstSeq: number): void {
  port.query('DELETE FROM _atoll_log WHERE seq >= ?', firstSeq);
  port.query('DELETE FROM _atoll_commits WHERE commit_id > ?', lastCommitId);
  const timestamp = readEntry(port, lastCommitId)?.header.timestamp ?? readHead(port).baseTimestamp;
  // Not firstSeq − 1: in an empty log SQLite numbers from 1 again.
  port.query(
    'UPDATE _atoll_head SET last_commit_id = ?, last_timestamp = ?, ' +
      'last_seq = coalesce((SELECT max(seq) FROM _atoll_log), 0)',
    lastCommitId,
    timestamp,
  );
}
