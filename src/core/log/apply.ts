import { assert } from '../../base/assert.ts';
import { bindExact } from '../sqlite/exact.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { type Appended, finishCommit } from './append.ts';
import { CREATE_AFTER, DELETE_BEFORE, UPDATE_AFTER, UPDATE_BEFORE } from './capture.ts';
import type { Change, Commit, Image } from './commit.ts';
import { encodeChanges } from './encoding.ts';
import { keyText, type Layouts, readLayouts } from './layout.ts';
import { readChangesBetween } from './read.ts';
import { deleteRow, insertRow, readRow, updateRow } from './rows.ts';
import { attempt, layoutOf, replaying, restoreOthers, settle, type Targets } from './settle.ts';
import { sameStored } from './stored.ts';
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
    const appended = finishCommit(port, header);
    assert(appended?.commitId === header.commitId, 'a commit without anything in it, or with another id');
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
  replaying(port, () => {
    for (const change of changes) {
      assert(layoutOf(layouts, change).current, () => `layout ${change.layout} is not current`);
      attempt(() => forward(port, layouts, change));
    }
    const own = readChangesBetween(port, layouts, startSeq + 1, Number.MAX_SAFE_INTEGER);
    if (!sameBytes(encodeChanges(own), encodeChanges(changes))) repair(port, layouts, changes, own, startSeq);
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
  settle(port, layouts, targets, startSeq);
  port.query('DELETE FROM _atoll_log WHERE seq > ?', startSeq);
  for (const change of changes) logChange(port, change);
}

/** Each row that `changes` touch was, when `own` began, what its first change says. */
function checkBefore(
  port: SqlitePort,
  layouts: Layouts,
  changes: readonly Change[],
  own: readonly Change[],
): void {
  const found: Targets = new Map();
  restoreOthers(layouts, found, own);
  const meant: Targets = new Map();
  restoreOthers(layouts, meant, changes);
  for (const [key, { layout, image, state }] of meant) {
    const known = found.get(key);
    const actual = known === undefined ? readRow(port, layout, image) : known.state;
    const equal = state === null ? actual === null : actual !== null && sameStored(actual, state);
    assert(equal, () => `${layout.table}: a row is not equal to its before-image`);
  }
}

function logChange(port: SqlitePort, { layout, type, before, after }: Change): void {
  if (type === 'create') logImage(port, layout * 4 + CREATE_AFTER, after ?? []);
  else if (type === 'delete') logImage(port, layout * 4 + DELETE_BEFORE, before ?? []);
  else {
    logImage(port, layout * 4 + UPDATE_BEFORE, before ?? []);
    logImage(port, layout * 4 + UPDATE_AFTER, after ?? []);
  }
}

function logImage(port: SqlitePort, image: number, values: Image): void {
  const bound = values.map(bindExact);
  const slots = bound.map((_, slot) => `c${slot}`);
  port.query(
    `INSERT INTO _atoll_log(commit_id, image, ${slots.join(', ')}) VALUES ` +
      `((SELECT last_commit_id + 1 FROM _atoll_head), ?, ${bound.map((each) => each.sql).join(', ')})`,
    image,
    ...bound.map((each) => each.binding),
  );
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, i) => byte === right[i]);
}
