import { assert } from '../../base/assert.ts';
import { SqliteError, type SqlitePort } from '../sqlite/port.ts';
import { accountOf } from './account.ts';
import type { Change, Image } from './commit.ts';
import { sameValues } from './encoding.ts';
import { readChangesBetween } from './image.ts';
import type { Layout, Layouts } from './layout.ts';
import { deleteRow, insertRow, readRow, updateRow } from './rows.ts';
import { readHead } from './tables.ts';

/**
 * Row changes replayed one by one, in their order or backwards, do what they did, with two exceptions:
 * foreign-key actions, which cannot be switched off inside a transaction, may fire once more and touch rows
 * beside; and a row may for a moment stand in another one's way (UNIQUE). Both leave traces in the log
 * that the triggers write meanwhile, before-images included. So the end state is known for every row that
 * was touched, and {@link settle} brings the rows there.
 */

/** A row and what it shall be: null for absent. `image` carries the key. */
export interface Target {
  readonly layout: Layout;
  readonly image: Image;
  readonly state: Image | null;
}

export type Targets = Map<string, Target>;

/** Rounds of corrections. Each action chain is cut by restoring what it touched; more is a defect (chosen). */
const ROUNDS_MAX = 20;

/**
 * Runs a change of rows that the log knows already: user triggers are silent, and foreign keys are checked at
 * the end where they stand in the way before. Inside a transaction.
 */
export function replaying<T>(port: SqlitePort, body: (replay: Replay) => T): T {
  const { suspect } = readHead(port);
  port.query('UPDATE _atoll_head SET applying = 1');
  const replay = new Replay(port);
  let result: T;
  try {
    result = body(replay);
  } finally {
    replay.end();
  }
  // What is logged meanwhile is compared with what was meant, so the triggers' suspicion is settled.
  port.query('UPDATE _atoll_head SET applying = 0, suspect = ?', suspect ? 1 : 0);
  return result;
}

/** Row statements that constraints may stop. */
export class Replay {
  readonly #port: SqlitePort;
  #deferred = false;

  constructor(port: SqlitePort) {
    this.#port = port;
  }

  /** Runs one row statement; false if a constraint stood in its way, which {@link settle} then clears. */
  attempt(body: () => void): boolean {
    if (succeeds(body)) return true;
    if (this.#deferred) return false;
    // Only now: setting a PRAGMA makes SQLite prepare every statement of the connection again.
    this.#port.query('PRAGMA defer_foreign_keys = ON');
    this.#deferred = true;
    return succeeds(body);
  }

  /** PRAGMAs do not roll back with a savepoint. */
  end(): void {
    if (this.#deferred) this.#port.query('PRAGMA defer_foreign_keys = OFF');
  }
}

function succeeds(body: () => void): boolean {
  try {
    body();
    return true;
  } catch (error) {
    if (error instanceof SqliteError && error.kind === 'constraint') return false;
    throw error;
  }
}

/** Adds to `targets` the rows that `changes` touched and that nobody meant: they shall be as they were before. */
function restoreOthers(
  port: SqlitePort,
  layouts: Layouts,
  targets: Targets,
  changes: readonly Change[],
): void {
  for (const [key, { layout, image, initial }] of accountOf(port, layouts, changes))
    if (!targets.has(key)) targets.set(key, { layout, image, state: initial });
}

/** Brings every target to its state, and whatever is touched on the way back to where it was. */
export function settle(
  port: SqlitePort,
  replay: Replay,
  layouts: Layouts,
  targets: Targets,
  afterSeq: number,
): void {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    restoreOthers(
      port,
      layouts,
      targets,
      readChangesBetween(port, layouts, afterSeq + 1, Number.MAX_SAFE_INTEGER),
    );
    let clean = true;
    for (const target of targets.values()) if (!correct(port, replay, target, round)) clean = false;
    if (clean) return;
  }
  assert(false, 'replayed rows do not settle');
}

/** Corrects one row; true if there was nothing to correct. */
function correct(port: SqlitePort, replay: Replay, { layout, image, state }: Target, round: number): boolean {
  const row = readRow(port, layout, image);
  if (row === null && state === null) return true;
  if (row !== null && state !== null && sameValues(row, state)) return true;
  const done = replay.attempt(() => {
    if (state === null) deleteRow(port, layout, image);
    else if (row === null) insertRow(port, layout, state);
    else updateRow(port, layout, row, state);
  });
  if (done || round === 0 || row === null) return false;
  // Two rows that hold each other's unique value never make room by updates: one steps out for a round.
  if (state !== null) replay.attempt(() => deleteRow(port, layout, row));
  else detach(port, replay, layout, row);
  return false;
}

/**
 * Rows that refer to each other hold each other fast (RESTRICT, SET NULL on NOT NULL): lets one go, by a
 * reference to nothing, which deferred foreign keys allow until the row is deleted.
 */
function detach(port: SqlitePort, replay: Replay, layout: Layout, row: Image): void {
  for (const nothing of [null, '\u0000nothing', -(2n ** 62n) - 1n, 1.5e-300]) {
    const loose = row.map((value, index) => (layout.childColumns.includes(index) ? nothing : value));
    if (replay.attempt(() => updateRow(port, layout, row, loose))) return;
  }
}

export function layoutOf(layouts: Layouts, change: Change): Layout {
  const layout = layouts.get(change.layout);
  assert(layout !== undefined, () => `no layout ${change.layout}`);
  return layout;
}
