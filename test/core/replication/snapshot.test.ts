import { expect, test } from 'vitest';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { catchUp, copy } from './copy.ts';
import { Leader, stateOf } from './leader.ts';

function memory(): NodeSqlitePort {
  return new NodeSqlitePort(':memory:', { synchronous: 'OFF' });
}

test('a copy of a leader at rest is equal to it, and follows it', () => {
  const leader = new Leader(memory());
  expect(
    leader.change([
      'CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, a, b TEXT UNIQUE)',
      'CREATE TABLE u(a, b REAL)',
      'CREATE INDEX ua ON u(a)',
      'CREATE VIEW v AS SELECT a FROM u',
      'CREATE TRIGGER x AFTER INSERT ON t BEGIN INSERT INTO u VALUES (NEW.a, 1); END',
    ]),
  ).toBe(true);
  for (let i = 0; i < 50; i++) leader.commit([`INSERT INTO t(a, b) VALUES (${i}, 'b${i}')`]);
  leader.commit(['DELETE FROM t WHERE id = 50', 'UPDATE u SET b = a / 3.0']);
  const base = leader.replica.last.commit;
  const follower = copy(leader.replica, memory(), 300);
  if (follower === 'gone') throw new Error('gone');
  expect(stateOf(follower.replica, base + 1)).toEqual(stateOf(leader.replica, base + 1));
  leader.commit(['INSERT INTO t(a) VALUES (7), (8)']);
  leader.change(['ALTER TABLE u ADD COLUMN c DEFAULT 5']);
  leader.commit(['UPDATE u SET c = 6 WHERE a > 20']);
  catchUp(leader.replica, follower);
  expect(stateOf(follower.replica, base + 1)).toEqual(stateOf(leader.replica, base + 1));
});
