import { assert } from '../../base/assert.ts';
import type { CommitId } from '../../base/brand.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { BARRIERS, type Change } from './commit.ts';
import { sameChanges } from './encoding.ts';
import { readChangesBetween } from './image.ts';
import { keyText, type Layouts, readLayouts } from './layout.ts';
import { type Entry, readEntry } from './read.ts';
import { deleteRow, insertRow, updateRow } from './rows.ts';
import { layoutOf, type Replay, replaying, settle, type Targets } from './settle.ts';
import { readHead } from './tables.ts';

/**
 * Undoes the newest commits, newest first, so that `lastCommitId` is the last one, and removes them from
 * the log. A defect, and nothing changed, if one of them is purged or a barrier (`schema`, `config`,
 * `split`: row images cannot undo those), or if a commit is being made.
 */
export function undoTo(port: SqlitePort, lastCommitId: CommitId): void {
  port.transaction(() => {
    const head = readHead(port);
    assert(lastCommitId <= head.lastCommitId, 'undo to a commit that is not there');
    if (lastCommitId === head.lastCommitId) return;
    assert(lastCommitId >= head.firstCommitId - 1, 'undo of a purged commit');
    const layouts = readLayouts(port);
    const targets: Targets = new Map();
    const expected: Change[] = [];
    let firstSeq = head.lastSeq + 1;
    replaying(port, (replay) => {
      for (let id = head.lastCommitId as number; id > lastCommitId; id--) {
        const entry = readEntry(port, id as CommitId);
        assert(entry !== null, () => `commit ${id} is missing`);
        assert(!BARRIERS.has(entry.header.kind), () => `commit ${id} is a barrier`);
        undoEntry(port, replay, layouts, entry, targets, expected);
        firstSeq = entry.firstSeq;
      }
      const own = readChangesBetween(port, layouts, head.lastSeq + 1, Number.MAX_SAFE_INTEGER);
      if (!sameChanges(own, expected)) settle(port, replay, layouts, targets, head.lastSeq);
    });
    truncate(port, lastCommitId, firstSeq);
  });
}

function undoEntry(
  port: SqlitePort,
  replay: Replay,
  layouts: Layouts,
  entry: Entry,
  targets: Targets,
  expected: Change[],
): void {
  const { firstSeq, lastSeq } = entry;
  if (firstSeq > lastSeq) return;
  for (const change of readChangesBetween(port, layouts, firstSeq, lastSeq).reverse()) {
    const layout = layoutOf(layouts, change);
    const { before, after } = change;
    replay.attempt(() => {
      if (before === null) deleteRow(port, layout, after ?? []);
      else if (after === null) insertRow(port, layout, before);
      else updateRow(port, layout, after, before);
    });
    if (after !== null) targets.set(keyText(layout, after), { layout, image: after, state: null });
    if (before !== null) targets.set(keyText(layout, before), { layout, image: before, state: before });
    expected.push(inverse(change));
  }
}

function inverse(change: Change): Change {
  const type = change.type === 'create' ? 'delete' : change.type === 'delete' ? 'create' : 'update';
  return { ...change, type, before: change.after, after: change.before };
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
