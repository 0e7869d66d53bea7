import { expect, test } from 'vitest';
import type { CommitId } from '../../../src/base/brand.ts';
import { finishCommit } from '../../../src/core/log/append.ts';
import { applyCommit } from '../../../src/core/log/apply.ts';
import { createLog, dropLog, refreshLog } from '../../../src/core/log/capture.ts';
import { decodeCommit, encodeCommit } from '../../../src/core/log/encoding.ts';
import { guardTrigger } from '../../../src/core/log/guard.ts';
import { readCommit } from '../../../src/core/log/read.ts';
import { createLogTables } from '../../../src/core/log/tables.ts';
import { undoTo } from '../../../src/core/log/undo.ts';
import type { Table } from '../../../src/core/schema/table.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { describeTable } from './describe-table.ts';
import { inputAt } from './replay-property.ts';

const TABLES = [
  'CREATE TABLE parent(k INTEGER PRIMARY KEY)',
  'CREATE TABLE child(k INTEGER PRIMARY KEY, p REFERENCES parent ON DELETE CASCADE)',
  'CREATE TABLE orphan(k INTEGER PRIMARY KEY, p REFERENCES parent ON DELETE SET NULL)',
  'CREATE TABLE seen(k INTEGER PRIMARY KEY)',
];

function create(): { port: NodeSqlitePort; tables: Table[] } {
  const port = new NodeSqlitePort(':memory:');
  createLogTables(port);
  const tables = TABLES.map((sql, i) => {
    port.query(sql);
    const table = describeTable(port, /TABLE (\w+)/.exec(sql)?.[1] ?? '', i + 1);
    createLog(port, table);
    return table;
  });
  port.query(
    guardTrigger('CREATE TRIGGER x AFTER DELETE ON child BEGIN INSERT INTO seen VALUES (OLD.k); END'),
  );
  for (const { id } of tables) refreshLog(port, id);
  return { port, tables };
}

/** As a partition makes a schema change: the log out of the way, the DDL, whatever comes with it. */
function dropParent({ port, tables }: ReturnType<typeof create>): void {
  const [parent] = tables;
  if (parent !== undefined) dropLog(port, parent.id);
  port.query('DROP TABLE parent');
}

test('a schema commit has what DDL did to rows of other tables, then other changes; a replica agrees', () => {
  const origin = create();
  const { port } = origin;
  port.query('INSERT INTO parent VALUES (1), (2); INSERT INTO child VALUES (1, 1), (2, 2)');
  port.query('INSERT INTO orphan VALUES (1, 1)');
  finishCommit(port, inputAt(1));
  port.transaction(() => {
    dropParent(origin);
    port.query('INSERT INTO seen VALUES (9)');
    finishCommit(port, { ...inputAt(2), kind: 'schema', payload: 'DROP TABLE parent' });
  });
  const commits = [1, 2].map((id) => {
    const commit = readCommit(port, id as CommitId);
    if (commit === null) throw new Error(`no commit ${id}`);
    return encodeCommit(commit);
  });
  const dropped = readCommit(port, 2 as CommitId);
  // Of the dropped table nothing: its rows go with it. Triggers of its children fire.
  expect(dropped?.changes.map(({ type, tableId, before, after }) => [type, tableId, before, after])).toEqual([
    ['update', 3, [1n, 1n], [1n, null]],
    ['delete', 2, [1n, 1n], null],
    ['create', 4, null, [1n]],
    ['delete', 2, [2n, 2n], null],
    ['create', 4, null, [2n]],
    ['create', 4, null, [9n]],
  ]);

  const replica = create();
  const [first, second] = commits.map((bytes) => decodeCommit(bytes));
  if (first === undefined || second === undefined) throw new Error('two commits');
  applyCommit(replica.port, first);
  replica.port.transaction(() => {
    dropParent(replica);
    applyCommit(replica.port, second);
  });
  const own = readCommit(replica.port, 2 as CommitId);
  expect(own && encodeCommit(own)).toEqual(commits[1]);
  for (const table of ['child', 'orphan', 'seen']) {
    const [copy, original] = [replica.port, port].map((each) => each.query(`SELECT * FROM ${table}`));
    expect([copy?.columns, copy?.rows]).toEqual([original?.columns, original?.rows]);
  }
  expect(() => undoTo(replica.port, 1 as CommitId)).toThrow('commit 2 is a barrier');
});

test('a replica on which DDL does something else is a defect', () => {
  const origin = create();
  const { port } = origin;
  port.transaction(() => {
    dropParent(origin);
    finishCommit(port, { ...inputAt(1), kind: 'schema', payload: 'DROP TABLE parent' });
  });
  const commit = readCommit(port, 1 as CommitId);
  const replica = create();
  replica.port.query('INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1, 1)');
  replica.port.query('DELETE FROM _atoll_log');
  dropParent(replica);
  expect(() => commit && applyCommit(replica.port, commit)).toThrow('did to rows what it did not');
});
