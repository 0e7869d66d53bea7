import fc from 'fast-check';
import { assert } from '../../../src/base/assert.ts';
import type { Timestamp } from '../../../src/base/brand.ts';
import { finishCommit } from '../../../src/core/log/append.ts';
import { pastAt, undoToPast } from '../../../src/core/log/as-of.ts';
import { readLayouts } from '../../../src/core/log/layout.ts';
import { rehearse } from '../../../src/core/replica/rehearse.ts';
import type { Table } from '../../../src/core/schema/table.ts';
import type { SqlitePort } from '../../../src/core/sqlite/port.ts';
import { arbitraryHistory, type History } from './arbitrary-history.ts';
import { fingerprintOf, inputAt, type Scratch, setUp, succeeds } from './replay-property.ts';

/**
 * What reads of the past promise, on any engine: the rows as of each moment of a history are those that were there then, of
 * all tables together and of each by itself, and afterwards nothing has changed, the log least of all.
 */

/** What the histories were made of; a test fails where a count stays zero. */
export interface PastCoverage {
  moments: number;
  /** Rows of a table were read that have changed since. */
  changed: number;
}

export function checkPast(scratch: Scratch, runs: number, seed?: number): PastCoverage {
  const coverage = { moments: 0, changed: 0 };
  fc.assert(
    fc.property(arbitraryHistory, (history) => {
      scratch((port) => checkPastOf(port, history, coverage));
    }),
    { numRuns: runs, ...(seed === undefined ? {} : { seed }) },
  );
  return coverage;
}

export function checkPastOf(port: SqlitePort, history: History, coverage: PastCoverage): PastCoverage {
  const tables = setUp(port, history);
  const remembered = [tables.map((table) => fingerprintOf(port, [table]))];
  history.commits.forEach((statements, step) => {
    port.transaction(() => {
      for (const sql of statements) succeeds(port, sql);
      finishCommit(port, inputAt(step + 1));
    });
    remembered.push(tables.map((table) => fingerprintOf(port, [table])));
  });
  const before = everything(port);
  const now = remembered.at(-1) ?? [];
  remembered.forEach((then, step) => {
    const at = inputAt(step).timestamp;
    coverage.moments++;
    if (String(rowsAsOf(port, tables, at)) !== String(then)) assert(false, `the rows as of ${step}`);
    tables.forEach((table, index) => {
      const [alone] = rowsAsOf(port, [table], at);
      assert(alone === then[index], () => `the rows of ${table.name} alone as of ${step}`);
      if (alone !== now[index]) coverage.changed++;
    });
    assert(everything(port) === before, () => `reading as of ${step} leaves nothing`);
  });
  return coverage;
}

/** Fingerprints by table. */
function rowsAsOf(port: SqlitePort, tables: readonly Table[], at: Timestamp): string[] {
  const ids = new Set(tables.map(({ id }) => id));
  const layouts = [...readLayouts(port).values()].filter(
    ({ tableId, current }) => current && ids.has(tableId),
  );
  return rehearse(port, () => {
    undoToPast(port, pastAt(port, at), new Set(layouts.map(({ layout }) => layout)));
    return tables.map((table) => fingerprintOf(port, [table]));
  });
}

/** All that the file holds, and the connection's state that the log sets. */
function everything(port: SqlitePort): string {
  const { rows } = port.query(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
  );
  const tables = rows.map(
    ([name]) => port.query(`SELECT * FROM "${String(name).replaceAll('"', '""')}"`).rows,
  );
  const pragmas = ['defer_foreign_keys', 'ignore_check_constraints'].map(
    (name) => port.query(`PRAGMA ${name}`).rows,
  );
  return JSON.stringify([port.query('SELECT * FROM sqlite_schema').rows, tables, pragmas]);
}
