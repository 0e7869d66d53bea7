import { assert } from '../../base/assert.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { accountOf } from './account.ts';
import { type Appended, append } from './append.ts';
import type { Change, Commit, Image } from './commit.ts';
import { sameChanges, sameValues } from './encoding.ts';
import { readChangesBetween } from './image.ts';
import { keyText, type Layout, type Layouts, readLayouts } from './layout.ts';
import { deleteRow, insertRow, readRow, updateRow } from './rows.ts';
import { layoutOf, type Replay, replaying, settle, type Targets } from './settle.ts';
import { logChanges } from './straighten.ts';
import { readHead } from './tables.ts';

/**
 * Applies the next commit to a replica: its rows, and its entry in the replica's own log, which then is
 * byte for byte (under the encoding) the leader's. DDL of a `schema` commit is the caller's, before this.
 * A defect, and nothing changed, if the commit is not the next one or a row is not as its before-image says.
 */
export function applyCommit(port: SqlitePort, commit: Commit): Appended {
  return port.transaction(() => {
    const { lastCommitId } = readHead(port);
    const { header, changes } = commit;
    assert(header.commitId === lastCommitId + 1, () => `commit ${header.commitId} after ${lastCommitId}`);
    applyChanges(port, changes);
    const appended = append(port, header, true);
    assert(appended?.commitId === header.commitId, 'the commit got another id');
    return appended;
  });
}

/**
 * Makes changes that were captured elsewhere or earlier part of the commit being made: a replica's entry, a
 * prepared transaction, a statement of an interactive one. They are logged as they are in `changes`.
 * Inside a transaction. A defect if a row is not as its before-image says.
 */
export function applyChanges(port: SqlitePort, changes: readonly Change[]): void {
  if (changes.length === 0) return;
  const layouts = readLayouts(port);
  const { rows } = port.query('SELECT max(seq) FROM _atoll_log');
  const startSeq = Number(rows[0]?.[0] ?? 0);
  replaying(port, (replay) => {
    for (const change of changes) {
      assert(layoutOf(layouts, change).current, () => `layout ${change.layout} is not current`);
      replay.attempt(() => forward(port, layouts, change));
    }
    const own = readChangesBetween(port, layouts, startSeq + 1, Number.MAX_SAFE_INTEGER);
    if (!sameChanges(own, changes)) repair(port, replay, layouts, changes, own, startSeq);
  });
}

function forward(port: SqlitePort, layouts: Layouts, change: Change): void {
  const layout = layoutOf(layouts, change);
  if (change.before === null) insertRow(port, layout, change.after ?? []);
  else if (change.after === null) deleteRow(port, layout, change.before);
  else updateRow(port, layout, change.before, change.after);
}

/** What was done is not what was meant: see settle.ts. Afterwards the log says what was meant. */
function repair(
  port: SqlitePort,
  replay: Replay,
  layouts: Layouts,
  changes: readonly Change[],
  own: readonly Change[],
  startSeq: number,
): void {
  const targets: Targets = new Map();
  for (const change of changes) {
    const layout = layoutOf(layouts, change);
    if (change.before !== null)
      targets.set(keyText(layout, change.before), { layout, image: change.before, state: null });
    if (change.after !== null)
      targets.set(keyText(layout, change.after), { layout, image: change.after, state: change.after });
  }
  checkBefore(port, layouts, changes, own);
  settle(port, replay, layouts, targets, startSeq);
  port.query('DELETE FROM _atoll_log WHERE seq > ?', startSeq);
  logChanges(port, changes);
}

/** Each row that `changes` touch was, when `own` began, what its first change says. */
function checkBefore(
  port: SqlitePort,
  layouts: Layouts,
  changes: readonly Change[],
  own: readonly Change[],
): void {
  const done = accountOf(port, layouts, own);
  const checked = new Set<string>();
  const check = (layout: Layout, image: Image, state: Image | null) => {
    const key = keyText(layout, image);
    if (checked.has(key)) return;
    checked.add(key);
    const touched = done.get(key);
    const actual = touched === undefined ? readRow(port, layout, image) : touched.initial;
    const equal = state === null ? actual === null : actual !== null && sameValues(actual, state);
    assert(equal, () => `${layout.table}: a row is not equal to its before-image`);
  };
  for (const change of changes) {
    const layout = layoutOf(layouts, change);
    if (change.before !== null) check(layout, change.before, change.before);
    if (change.after !== null) check(layout, change.after, null);
  }
}
