import fc from 'fast-check';
import { assert, present } from '../../../src/base/assert.ts';
import type { CommitId, Epoch, SchemaVersion, Term, Timestamp } from '../../../src/base/brand.ts';
import { finishCommit } from '../../../src/core/log/append.ts';
import { applyCommit } from '../../../src/core/log/apply.ts';
import { createLog, refreshLog } from '../../../src/core/log/capture.ts';
import type { CommitInput } from '../../../src/core/log/commit.ts';
import { dump, dumpFingerprint } from '../../../src/core/log/dump.ts';
import { decodeCommit, encodeCommit, latin1 } from '../../../src/core/log/encoding.ts';
import { guardTrigger } from '../../../src/core/log/guard.ts';
import { readCommit } from '../../../src/core/log/read.ts';
import { createLogTables, readHead } from '../../../src/core/log/tables.ts';
import { undoTo } from '../../../src/core/log/undo.ts';
import type { Table } from '../../../src/core/schema/table.ts';
import { SqliteError, type SqlitePort } from '../../../src/core/sqlite/port.ts';
import { arbitraryHistory, type History } from './arbitrary-history.ts';
import { describeTable } from './describe-table.ts';

/**
 * The log's promise, on any engine: a history's commits, sent through the wire encoding, make an empty
 * database equal to the one they come from, row by row and log by log; undoing any number of them gives the
 * rows of before, and doing them again those of after.
 */

/** Runs a body over an empty database. */
export type Scratch = <T>(body: (port: SqlitePort) => T) => T;

/** What the histories were made of; a test fails where a count stays zero. */
export interface Coverage {
  commits: number;
  failures: number;
  changes: number;
  undone: number;
}

export function checkReplay(scratch: Scratch, runs: number, seed?: number): Coverage {
  const coverage = createCoverage();
  fc.assert(
    fc.property(arbitraryHistory, (history) => {
      checkHistory(scratch, history, coverage);
    }),
    { numRuns: runs, ...(seed === undefined ? {} : { seed }) },
  );
  return coverage;
}

/** One history; throws where the promise is not kept. */
export function checkHistory(
  scratch: Scratch,
  history: History,
  coverage: Coverage = createCoverage(),
): Coverage {
  const origin = scratch((port) => runOrigin(port, history, coverage));
  scratch((port) => runReplica(port, history, origin));
  return coverage;
}

function createCoverage(): Coverage {
  return { commits: 0, failures: 0, changes: 0, undone: 0 };
}

interface Origin {
  readonly commits: readonly Uint8Array[];
  readonly fingerprint: string;
}

export function setUp(port: SqlitePort, history: History): Table[] {
  return port.transaction(() => {
    createLogTables(port);
    for (const { sql } of history.tables) port.query(sql);
    const tables = history.tables.map(({ name }, index) => describeTable(port, name, index + 1));
    for (const table of tables) createLog(port, table);
    for (const sql of history.views) port.query(guardTrigger(sql));
    for (const { table, sql } of history.triggers) {
      port.query(guardTrigger(sql));
      refreshLog(port, present(tables[table], 'a table').id);
    }
    return tables;
  });
}

export function inputAt(time: number): CommitInput {
  return {
    term: 1 as Term,
    timestamp: String(time).padStart(16, '0') as Timestamp,
    kind: 'write',
    transactionId: null,
    commitTimestamp: null,
    epoch: 1 as Epoch,
    schemaVersion: 1 as SchemaVersion,
    payload: null,
  };
}

function runOrigin(port: SqlitePort, history: History, coverage: Coverage): Origin {
  const tables = setUp(port, history);
  const fingerprints = [fingerprintOf(port, tables)];
  const commits: Uint8Array[] = [];
  history.commits.forEach((statements, step) => {
    port.transaction(() => {
      for (const sql of statements) if (!succeeds(port, sql)) coverage.failures++;
      finishCommit(port, inputAt(step + 1));
    });
    const commit = readCommit(port, (commits.length + 1) as CommitId);
    if (commit === null) return;
    commits.push(encodeCommit(commit));
    fingerprints.push(fingerprintOf(port, tables));
    coverage.commits++;
    coverage.changes += commit.changes.length;
    coverage.undone += undoAndRedo(port, tables, commits, fingerprints, history.undo[step] ?? 0);
  });
  return { commits, fingerprint: present(fingerprints.at(-1), 'a fingerprint') };
}

export function succeeds(port: SqlitePort, sql: string): boolean {
  try {
    port.transaction(() => {
      port.query(sql);
      // SQLite lets some statements through, UPSERTs on a table that is its own parent for one.
      if (port.query('PRAGMA foreign_key_check').rows.length > 0)
        throw new SqliteError('constraint', 'SQLITE_CONSTRAINT_FOREIGNKEY', 'a foreign key is violated');
    });
    return true;
  } catch (error) {
    if (error instanceof SqliteError) return false;
    throw error;
  }
}

function undoAndRedo(
  port: SqlitePort,
  tables: readonly Table[],
  commits: readonly Uint8Array[],
  fingerprints: readonly string[],
  count: number,
): number {
  const last = commits.length;
  const target = Math.max(0, last - count);
  undoTo(port, target as CommitId);
  assert(fingerprintOf(port, tables) === fingerprints[target], 'undo gives the rows of before');
  assert(readHead(port).lastCommitId === target, 'undo takes back the head');
  for (let id = target; id < last; id++) {
    applyCommit(port, decodeCommit(present(commits[id], 'a commit')));
    assert(fingerprintOf(port, tables) === fingerprints[id + 1], 'redo gives the rows of after');
    assertSameLog(port, id + 1, present(commits[id], 'a commit'));
  }
  return last - target;
}

function runReplica(port: SqlitePort, history: History, origin: Origin): void {
  const tables = setUp(port, history);
  const empty = fingerprintOf(port, tables);
  const apply = () => {
    origin.commits.forEach((bytes, index) => {
      applyCommit(port, decodeCommit(bytes));
      assertSameLog(port, index + 1, bytes);
    });
    assert(fingerprintOf(port, tables) === origin.fingerprint, 'a replica is equal to its origin');
  };
  apply();
  undoTo(port, 0 as CommitId);
  assert(fingerprintOf(port, tables) === empty, 'undoing all leaves nothing');
  apply();
}

function assertSameLog(port: SqlitePort, commitId: number, bytes: Uint8Array): void {
  const own = encodeCommit(present(readCommit(port, commitId as CommitId), 'a commit'));
  assert(latin1(own) === latin1(bytes), "a replica's log is equal to its origin's");
}

export function fingerprintOf(port: SqlitePort, tables: readonly Table[]): string {
  return dumpFingerprint(dump(port, tables));
}
