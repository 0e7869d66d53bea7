import type { CommitId, Epoch, SchemaVersion, TableId, Term, Timestamp } from '../src/base/brand.ts';
import { finishCommit } from '../src/core/log/append.ts';
import { applyCommit } from '../src/core/log/apply.ts';
import { createLog } from '../src/core/log/capture.ts';
import type { CommitInput } from '../src/core/log/commit.ts';
import { decodeCommit, encodeCommit } from '../src/core/log/encoding.ts';
import { readCommit } from '../src/core/log/read.ts';
import { createLogTables } from '../src/core/log/tables.ts';
import { undoTo } from '../src/core/log/undo.ts';
import type { Table } from '../src/core/schema/table.ts';
import type { SqlitePort } from '../src/core/sqlite/port.ts';

/** Rows of a bulk statement, and single-row commits, of each measurement. */
const ROWS = 20_000;
const COMMITS = 5_000;

const NAMES = ['id', 'a', 'b', 'c', 'd'] as const;
const TABLE: Table = {
  id: 1 as TableId,
  name: 't',
  columns: NAMES.map((name, index) => ({
    name,
    declaredType: '',
    affinity: 'BLOB',
    collation: 'BINARY',
    notNull: false,
    defaultSql: null,
    generated: 'no',
    primaryKeyIndex: index === 0 ? 1 : 0,
  })),
  withoutRowid: false,
  strict: false,
  rowidColumn: 'id',
  rowidName: 'rowid',
  placement: { kind: 'reference' },
  sql: '',
  foreignKeys: [],
  indexes: [],
};

let time = 0;
function input(): CommitInput {
  return {
    term: 1 as Term,
    timestamp: String(++time).padStart(16, '0') as Timestamp,
    kind: 'write',
    transactionId: null,
    commitTimestamp: null,
    epoch: 1 as Epoch,
    schemaVersion: 1 as SchemaVersion,
    payload: null,
  };
}

const INSERT = `INSERT INTO t WITH RECURSIVE s(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM s WHERE x < ${ROWS})
  SELECT x, x * 7 % 1000, 'text number ' || x, x * 0.37, x % 5 FROM s`;

/** One measurement: `run` handles `count` of what `label` ends with. */
export interface Step {
  readonly label: string;
  readonly count: number;
  readonly run: () => void;
}

/** Steps to run in order over one empty database each. */
export const LOG_SUITES: Readonly<Record<string, (port: SqlitePort) => Step[]>> = {
  plain: (port) => statements(port, false),
  logged: (port) => statements(port, true),
  replication,
  imports,
};

function statements(port: SqlitePort, logged: boolean): Step[] {
  const name = logged ? 'with log' : 'without log';
  const bulk = (sql: string) => () => port.transaction(() => finish(port, sql, logged));
  return [
    { label: '', count: 0, run: () => void prepare(port, logged) },
    { label: `bulk insert, ${name}, rows`, count: ROWS, run: bulk(INSERT) },
    { label: `bulk update, ${name}, rows`, count: ROWS, run: bulk('UPDATE t SET d = d + 1') },
    { label: `bulk delete, ${name}, rows`, count: ROWS, run: bulk('DELETE FROM t WHERE id > 0') },
    ...[1, 20].map((size) => ({
      label: `single-row inserts, ${name}, ${size} a transaction`,
      count: COMMITS,
      run: () => singles(port, size, logged),
    })),
  ];
}

function prepare(port: SqlitePort, logged: boolean): SqlitePort {
  port.transaction(() => {
    createLogTables(port);
    port.query('CREATE TABLE t(id INTEGER PRIMARY KEY, a, b TEXT, c REAL, d); CREATE INDEX ta ON t(a)');
    if (logged) createLog(port, TABLE);
  });
  return port;
}

function finish(port: SqlitePort, sql: string, logged: boolean): void {
  port.query(sql);
  if (logged) finishCommit(port, input());
}

function singles(port: SqlitePort, size: number, logged: boolean): void {
  for (let i = 0; i < COMMITS; i += size)
    port.transaction(() => {
      for (let j = 0; j < size; j++) {
        port.query('INSERT INTO t(a, b, c, d) VALUES (?, ?, ?, ?)', i + j, 'some text', 1.5, null);
        if (logged) finishCommit(port, input());
      }
    });
}

function replication(port: SqlitePort): Step[] {
  const commits: Uint8Array[] = [];
  let bulk: Uint8Array = new Uint8Array();
  const readAll = () => {
    for (let id = 1; id <= COMMITS; id++) commits.push(encoded(port, id));
  };
  // A replica in the same database: undone first and applied again.
  const applyAll = () => {
    for (let i = 0; i < COMMITS; i += 20)
      port.transaction(() => {
        for (const bytes of commits.slice(i, i + 20)) applyCommit(port, decodeCommit(bytes));
      });
  };
  const prepareAll = () => {
    prepare(port, true);
    singles(port, 20, true);
    port.transaction(() => finish(port, 'UPDATE t SET d = 1', true));
    bulk = encoded(port, COMMITS + 1);
  };
  return [
    { label: '', count: 0, run: prepareAll },
    { label: 'read and encode single-row commits', count: COMMITS, run: readAll },
    {
      label: 'undo one commit of updates, rows',
      count: COMMITS,
      run: () => undoTo(port, COMMITS as CommitId),
    },
    {
      label: 'apply one commit of updates, rows',
      count: COMMITS,
      run: () => void applyCommit(port, decodeCommit(bulk)),
    },
    { label: '', count: 0, run: () => undoTo(port, COMMITS as CommitId) },
    { label: 'undo single-row commits', count: COMMITS, run: () => undoTo(port, 0 as CommitId) },
    { label: 'apply single-row commits, 20 a transaction', count: COMMITS, run: applyAll },
  ];
}

/** What an import makes of a replica: entries of a thousand rows. */
function imports(port: SqlitePort): Step[] {
  const chunk = 1000;
  const commits: Uint8Array[] = [];
  const prepareAll = () => {
    prepare(port, true);
    for (let from = 0; from < ROWS; from += chunk)
      port.transaction(() => {
        port.query(
          `INSERT INTO t WITH RECURSIVE s(x) AS (SELECT ${from + 1} UNION ALL SELECT x + 1 FROM s WHERE x < ${from + chunk})
           SELECT x, x * 7 % 1000, 'text number ' || x, x * 0.37, x % 5 FROM s`,
        );
        finishCommit(port, input());
      });
    for (let id = 1; id <= ROWS / chunk; id++) commits.push(encoded(port, id));
    undoTo(port, 0 as CommitId);
  };
  return [
    { label: '', count: 0, run: prepareAll },
    {
      label: 'apply commits of 1000 creates, rows',
      count: ROWS,
      run: () => {
        for (const bytes of commits) applyCommit(port, decodeCommit(bytes));
      },
    },
  ];
}

function encoded(port: SqlitePort, id: number): Uint8Array {
  const commit = readCommit(port, id as CommitId);
  if (commit === null) throw new Error(`no commit ${id}`);
  return encodeCommit(commit);
}
