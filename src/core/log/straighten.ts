import { bindExact } from '../sqlite/exact.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { type Account, accountOf, currentRow, digestOf, initialSeq, type Trace } from './account.ts';
import type { Image } from './commit.ts';
import {
  CREATE_AFTER,
  DELETE_BEFORE,
  readImage,
  type SeqRange,
  UPDATE_AFTER,
  UPDATE_BEFORE,
} from './image.ts';
import { type Layout, type Layouts, readLayouts } from './layout.ts';
import { replaying } from './replay.ts';
import { newestSeq, readHead } from './tables.ts';
import { undoImages } from './undo.ts';

/**
 * The log's order is that in which rows changed: replaying it, forwards or backwards, passes through states in
 * which the rows were. Triggers keep it but in two corners, whose commits `_atoll_head.suspect` marks
 * (suspect.ts):
 *
 * - *Nested first.* A foreign-key action runs between a row's change and the AFTER triggers of that change, so
 *   what it does is logged before the change that caused it: wrong if that is to the very same row, or to
 *   another one that takes a UNIQUE value that the first gives up.
 * - *Stale OLD.* When a user's BEFORE trigger changes the very row under change, SQLite has loaded OLD before.
 *
 * Before a change that others may overtake a witness notes what the rows are. So before such a commit is finished or read, its images are checked: they must lead from the rows of before
 * to those of now, row by row, and can be undone as a whole. If not, they are replaced by the net change of each
 * row; if that meets a UNIQUE value too, by deletes of all rows, then creates, which meet none in any case.
 */
export function straighten(port: SqlitePort): void {
  const { lastSeq, suspect } = readHead(port);
  if (!suspect) return;
  port.query('UPDATE _atoll_head SET suspect = 0');
  const images = imagesAfter(port, lastSeq);
  if (images === null) return;
  const layouts = readLayouts(port);
  // DDL in the same commit: it is a barrier, and its images are not replayed alone.
  const account = touchRetired(port, images) ? null : accountOf(port, layouts, images);
  const inOrder = account === null || (account.inOrder && comesUndone(port, layouts, images));
  if (!inOrder && !rewrite(port, layouts, account, images, false))
    rewrite(port, layouts, account, images, true);
  port.query('DELETE FROM _atoll_log WHERE seq BETWEEN ? AND ? AND image < 0', images.first, images.last);
}

/** What a commit being made has logged; null for nothing. */
function imagesAfter(port: SqlitePort, lastSeq: number): SeqRange | null {
  const { rows } = port.query('SELECT min(seq) FROM _atoll_log WHERE seq > ?', lastSeq);
  const first = rows[0]?.[0] ?? null;
  return first === null ? null : { first: Number(first), last: newestSeq(port) };
}

function touchRetired(port: SqlitePort, { first, last }: SeqRange): boolean {
  const { rows } = port.query(
    'SELECT 1 FROM _atoll_log WHERE seq BETWEEN ? AND ? ' +
      'AND (CASE WHEN image < 0 THEN -image ELSE image / 4 END) IN ' +
      '(SELECT layout FROM _atoll_layouts WHERE retired_seq IS NOT NULL) LIMIT 1',
    first,
    last,
  );
  return rows.length > 0;
}

/** Thrown to take a trial back. */
class Trial extends Error {}

function comesUndone(port: SqlitePort, layouts: Layouts, images: SeqRange): boolean {
  let done = false;
  try {
    port.transaction(() => {
      done = replaying(port, (replay) => undoImages(port, replay, layouts, images));
      throw new Trial();
    });
  } catch (error) {
    if (!(error instanceof Trial)) throw error;
  }
  return done;
}

/** Replaces the images by net changes. With `split` no change is an update, else it may fail and do nothing. */
function rewrite(
  port: SqlitePort,
  layouts: Layouts,
  { traces }: Account,
  images: SeqRange,
  split: boolean,
): boolean {
  try {
    port.transaction(() => {
      // Deletes first: they make room.
      for (const type of ['delete', 'update', 'create'] as const)
        for (const trace of traces.values()) logNetChange(port, trace, type, split);
      port.query('DELETE FROM _atoll_log WHERE seq BETWEEN ? AND ?', images.first, images.last);
      const range = imagesAfter(port, images.last);
      if (!split && range !== null && !comesUndone(port, layouts, range)) throw new Trial();
    });
    return true;
  } catch (error) {
    if (error instanceof Trial) return false;
    throw error;
  }
}

/** Logs what became of a row on the whole, if that is of the given type: images are read one by one. */
function logNetChange(
  port: SqlitePort,
  trace: Trace,
  type: 'delete' | 'update' | 'create',
  split: boolean,
): void {
  if (trace.images === 0) return;
  const { layout } = trace;
  const after = currentRow(port, trace);
  const seq = initialSeq(trace, after !== null);
  const before = seq === null ? null : readImage(port, layout, seq);
  if (before !== null && after !== null && digestOf(before) === digestOf(after)) return;
  const updates = before !== null && after !== null && !split;
  if (type === 'update' && updates) {
    logImage(port, layout, UPDATE_BEFORE, before);
    logImage(port, layout, UPDATE_AFTER, after);
  }
  if (type === 'delete' && before !== null && !updates) logImage(port, layout, DELETE_BEFORE, before);
  if (type === 'create' && after !== null && !updates) logImage(port, layout, CREATE_AFTER, after);
}

/** As the triggers do it. */
function logImage(port: SqlitePort, { layout }: Layout, kind: number, image: Image): void {
  const bound = image.map(bindExact);
  const slots = bound.map((_, slot) => `c${slot}`);
  port.query(
    `INSERT INTO _atoll_log(commit_id, image, ${slots.join(', ')}) VALUES ` +
      `((SELECT last_commit_id + 1 FROM _atoll_head), ?, ${bound.map((each) => each.sql).join(', ')})`,
    layout * 4 + kind,
    ...bound.map((each) => each.binding),
  );
}
