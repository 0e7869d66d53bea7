import { expect, test } from 'vitest';
import { NodeSqlitePort } from '../../src/node-agent/sqlite-port.ts';
import { checkLogs } from './logs.ts';

type Entry = readonly [
  kind: string,
  transaction: string | null,
  commit: string | null,
  payload: string | null,
];

/** As much of a log as is looked at. */
function logOf(...entries: readonly Entry[]): NodeSqlitePort {
  const port = new NodeSqlitePort(':memory:');
  port.query(
    'CREATE TABLE _atoll_commits (commit_id INTEGER PRIMARY KEY, kind, timestamp, transaction_id, commit_timestamp, payload)',
  );
  for (const [index, [kind, transaction, commit, payload]] of entries.entries())
    port.query(
      'INSERT INTO _atoll_commits VALUES (?, ?, ?, ?, ?, ?)',
      index + 1,
      kind,
      `t${index + 1}`,
      transaction,
      commit,
      payload,
    );
  return port;
}

const DECIDE: Entry = ['decide', 'a', 't2', '{"feed":"write"}'];
const PREPARE: Entry = ['prepare', 'a', null, null];
const APPLY: Entry = ['apply', 'a', 't2', null];
const FOLLOW: Entry = ['write', null, 't2', '{"system":2}'];
const OTHER: Entry = ['write', null, null, null];

test('rows that refer to rows of a reference table come after those', () => {
  const system = logOf(OTHER, DECIDE);
  expect(() => checkLogs([system, logOf(PREPARE, FOLLOW, APPLY), logOf(OTHER, FOLLOW)])).not.toThrow();
  expect(() => checkLogs([system, logOf(OTHER, FOLLOW), logOf(PREPARE, APPLY, FOLLOW)])).toThrow(
    'partition 2 has applied a in 2, before what it follows with it',
  );
});

test('what is prepared is ended once, after its decision', () => {
  const system = logOf(OTHER, DECIDE);
  expect(() => checkLogs([system, logOf(PREPARE, FOLLOW)])).toThrow('has not ended it');
  expect(() => checkLogs([logOf(OTHER), logOf(PREPARE, APPLY)])).toThrow('without a decision');
  expect(() => checkLogs([system, logOf(PREPARE, FOLLOW, APPLY, PREPARE)])).toThrow('before a prepare');
  expect(() => checkLogs([system, logOf(PREPARE, FOLLOW, APPLY, APPLY)])).toThrow('once too often');
});

test('a prepare that comes late is aborted once more', () => {
  const abort: Entry = ['abort', 'a', null, null];
  expect(() => checkLogs([logOf(OTHER), logOf(PREPARE, PREPARE, abort, PREPARE, abort)])).not.toThrow();
  expect(() => checkLogs([logOf(OTHER), logOf(PREPARE, abort, PREPARE)])).toThrow('has not ended it');
  expect(() => checkLogs([logOf(OTHER), logOf(PREPARE, abort, abort)])).toThrow('once too often');
});
