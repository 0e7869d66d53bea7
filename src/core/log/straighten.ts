import { assert } from '../../base/assert.ts';
import { bindExact } from '../sqlite/exact.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { type Account, accountOf, imageText } from './account.ts';
import type { Change, Image } from './commit.ts';
import { CREATE_AFTER, DELETE_BEFORE, readChangesBetween, UPDATE_AFTER, UPDATE_BEFORE } from './image.ts';
import { keyText, type Layouts, readLayouts } from './layout.ts';
import { readHead } from './tables.ts';

/**
 * Triggers tell the truth but in two corners, whose commits `_atoll_head.suspect` marks (suspect.ts):
 *
 * - *Nested first.* A foreign-key action runs between a row's change and the AFTER triggers of that change.
 *   What it does to the very same row, because that is its own parent or through user triggers, is logged
 *   before the change that caused it.
 * - *Stale OLD.* When a user's BEFORE trigger changes the very row under change, SQLite has loaded OLD before.
 *
 * So before such a commit is finished or read its images are checked, and if they do not lead from the rows
 * of before to those of now, one by one, they are replaced by the net change of each row.
 */
export function straighten(port: SqlitePort): void {
  const { lastSeq, suspect } = readHead(port);
  if (!suspect) return;
  port.query('UPDATE _atoll_head SET suspect = 0');
  const layouts = readLayouts(port);
  const changes = readChangesBetween(port, layouts, lastSeq + 1, Number.MAX_SAFE_INTEGER);
  // DDL in the same commit: it is a barrier, and its images are not replayed alone.
  if (changes.some((change) => layouts.get(change.layout)?.current !== true)) return;
  const account = accountOf(port, layouts, changes);
  if (leadsThrough(layouts, changes, account)) return;
  port.query('DELETE FROM _atoll_log WHERE seq > ?', lastSeq);
  logChanges(port, netChanges(account));
}

function leadsThrough(layouts: Layouts, changes: readonly Change[], account: Account): boolean {
  const states = new Map<string, string | null>();
  for (const [key, { initial }] of account) states.set(key, initial && imageText(initial));
  for (const { layout: number, before, after } of changes) {
    const layout = layouts.get(number);
    assert(layout !== undefined, () => `no layout ${number}`);
    if (before !== null) {
      const key = keyText(layout, before);
      if (states.get(key) !== imageText(before)) return false;
      states.set(key, null);
    }
    if (after !== null) {
      const key = keyText(layout, after);
      if (states.get(key) !== null) return false;
      states.set(key, imageText(after));
    }
  }
  for (const [key, { final }] of account) if (states.get(key) !== (final && imageText(final))) return false;
  return true;
}

/** Deletes first: they make room. */
function netChanges(account: Account): Change[] {
  const changes: Change[] = [];
  for (const { layout, initial, final } of account.values()) {
    if (initial === null ? final === null : final !== null && imageText(initial) === imageText(final))
      continue;
    const type = initial === null ? 'create' : final === null ? 'delete' : 'update';
    changes.push({ type, tableId: layout.tableId, layout: layout.layout, before: initial, after: final });
  }
  const rank = { delete: 0, update: 1, create: 2 };
  return changes.sort((a, b) => rank[a.type] - rank[b.type]);
}

/** Writes the images of changes as if triggers had captured them. */
export function logChanges(port: SqlitePort, changes: readonly Change[]): void {
  for (const { layout, type, before, after } of changes) {
    if (type === 'create') logImage(port, layout * 4 + CREATE_AFTER, after ?? []);
    else if (type === 'delete') logImage(port, layout * 4 + DELETE_BEFORE, before ?? []);
    else {
      logImage(port, layout * 4 + UPDATE_BEFORE, before ?? []);
      logImage(port, layout * 4 + UPDATE_AFTER, after ?? []);
    }
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
