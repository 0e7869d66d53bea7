import { SqliteError, type SqlitePort } from '../sqlite/port.ts';
import type { Change, Image } from './commit.ts';
import type { Layout } from './layout.ts';
import { deleteRow, insertRow, updateRow } from './rows.ts';

/**
 * Replaying row changes that the log knows already, one by one, in their order or backwards. Nothing else may
 * happen meanwhile: user triggers are silent (guard.ts), foreign-key actions too (hush.ts). So each change
 * goes through a state in which the rows were before, and SQLite can refuse it only for a rule that looks
 * beyond the row, at a statement's end (foreign keys), or that is no function of the row (`CHECK (random() …)`):
 * those are suspended where they stand in the way. UNIQUE holds all along; straighten.ts sees to it.
 */
export interface Replay {
  /** Changes one row; false if its constraints do not allow that. */
  readonly forward: (layout: Layout, change: Change) => boolean;
  /** Takes back the change of one row. */
  readonly backward: (layout: Layout, change: Change) => boolean;
}

/** Inside a transaction. */
export function replaying<T>(port: SqlitePort, body: (replay: Replay) => T): T {
  const leniency = new Leniency(port);
  port.query('UPDATE _atoll_head SET applying = 1');
  let result: T;
  try {
    result = body({
      forward: (layout, { before, after }) => leniency.attempt(() => change(port, layout, before, after)),
      backward: (layout, { before, after }) => leniency.attempt(() => change(port, layout, after, before)),
    });
  } finally {
    leniency.end();
  }
  port.query('UPDATE _atoll_head SET applying = 0');
  return result;
}

function change(port: SqlitePort, layout: Layout, from: Image | null, to: Image | null): void {
  if (from === null) insertRow(port, layout, to ?? []);
  else if (to === null) deleteRow(port, layout, from);
  else updateRow(port, layout, from, to);
}

class Leniency {
  readonly #port: SqlitePort;
  #lenient = false;

  constructor(port: SqlitePort) {
    this.#port = port;
  }

  /** Only when needed: setting a PRAGMA makes SQLite prepare every statement of the connection again. */
  attempt(body: () => void): boolean {
    if (succeeds(body)) return true;
    if (this.#lenient) return false;
    this.#lenient = true;
    this.#port.query('PRAGMA defer_foreign_keys = ON');
    this.#port.query('PRAGMA ignore_check_constraints = ON');
    return succeeds(body);
  }

  /** PRAGMAs do not roll back with a savepoint. OFF also forgets the violations counted meanwhile. */
  end(): void {
    if (!this.#lenient) return;
    this.#port.query('PRAGMA defer_foreign_keys = OFF');
    this.#port.query('PRAGMA ignore_check_constraints = OFF');
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
