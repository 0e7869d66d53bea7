import { beforeEach, describe, expect, test } from 'vitest';
import type { CommitId, TableId, Timestamp } from '../../../src/base/brand.ts';
import { finishCommit } from '../../../src/core/log/append.ts';
import { createLog, dropLog, refreshLog } from '../../../src/core/log/capture.ts';
import { BARRIERS, COMMIT_KINDS, type CommitKind } from '../../../src/core/log/commit.ts';
import { purgeStep } from '../../../src/core/log/purge.ts';
import { createLogTables, readHead } from '../../../src/core/log/tables.ts';
import { touchedSince } from '../../../src/core/log/touched.ts';
import { undoTo } from '../../../src/core/log/undo.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { describeTable } from './describe-table.ts';
import { inputAt } from './replay-property.ts';

/** A bookkeeping table, and two of users'. */
const MARKS = 1;
const POST = 100;
const TAG = 101;

let port: NodeSqlitePort;
let time: number;

beforeEach(() => {
  port = new NodeSqlitePort(':memory:');
  createLogTables(port);
  time = 0;
  create('CREATE TABLE marks(k INTEGER PRIMARY KEY)', 'marks', MARKS);
  create('CREATE TABLE post(k INTEGER PRIMARY KEY)', 'post', POST);
  create('CREATE TABLE tag(k INTEGER PRIMARY KEY, post REFERENCES post ON DELETE CASCADE)', 'tag', TAG);
  for (const id of [POST, TAG]) refreshLog(port, id as TableId);
  commit('INSERT INTO post VALUES (1), (2); INSERT INTO tag VALUES (1, 1)');
});

function create(sql: string, name: string, id: number): void {
  port.query(sql);
  createLog(port, describeTable(port, name, id));
}

/** Its commit id. */
function commit(sql: string, kind: CommitKind = 'write'): CommitId {
  return port.transaction(() => {
    port.query(sql);
    finishCommit(port, { ...inputAt(++time), kind });
    return readHead(port).lastCommitId;
  });
}

const now = () => readHead(port).lastCommitId;
const touched = (since: number, ...tables: number[]) =>
  touchedSince(port, since as CommitId, new Set(tables as TableId[]));

/** Forgets all entries before `floor`, and their images. */
function forget(floor: number): void {
  const retention = { olderThan: 'z' as Timestamp, bytesMax: 1e9, floor: floor as CommitId };
  while (purgeStep(port, retention));
}

describe('a table', () => {
  test('is untouched as long as nothing comes', () => {
    expect(touched(now(), POST, TAG)).toBe(false);
  });

  test.each([
    ['INSERT INTO post VALUES (3)', true, false],
    ['UPDATE post SET k = 9 WHERE k = 2', true, false],
    ['DELETE FROM post WHERE k = 2', true, false],
    ['INSERT INTO tag VALUES (2, 2)', false, true],
    // By a foreign key's action.
    ['DELETE FROM post WHERE k = 1', true, true],
    ['INSERT INTO post VALUES (3); INSERT INTO tag VALUES (3, 3)', true, true],
    ['INSERT INTO marks VALUES (1)', false, false],
  ])('is touched by what changes its rows: %s', (sql, post, tag) => {
    const since = now();
    commit(sql);
    expect([touched(since, POST), touched(since, TAG), touched(since, POST, TAG)]).toEqual([
      post,
      tag,
      post || tag,
    ]);
    expect(touched(now(), POST, TAG)).toBe(false);
  });

  test('is not touched by what came before, nor by other tables after it', () => {
    commit('INSERT INTO post VALUES (3)');
    const since = now();
    for (let k = 10; k < 20; k++) commit(`INSERT INTO tag VALUES (${k}, 1)`);
    expect([touched(since, POST), touched(since - 1, POST)]).toEqual([false, true]);
  });

  test('is touched by a change in whichever entry after it, the ones without images between', () => {
    const since = now();
    commit('SELECT 1', 'noop');
    commit('INSERT INTO marks VALUES (1)', 'mark');
    commit('INSERT INTO post VALUES (3)');
    commit('SELECT 1', 'noop');
    expect([touched(since, POST), touched(since + 2, POST), touched(since + 3, POST)]).toEqual([
      true,
      true,
      false,
    ]);
  });
});

describe('an entry', () => {
  test.each(COMMIT_KINDS.map((kind) => [kind, BARRIERS.has(kind)]))(
    'of kind %s without rows of users: %s',
    (kind, expected) => {
      const since = now();
      commit('INSERT INTO marks VALUES (1)', kind);
      commit('SELECT 1', kind);
      expect([touched(since, POST), touched(since + 1, POST)]).toEqual([expected, expected]);
      expect(touched(now(), POST)).toBe(false);
    },
  );

  test.each(COMMIT_KINDS)('of kind %s with rows of users touches their table', (kind) => {
    const since = now();
    commit('INSERT INTO post VALUES (3)', kind);
    expect(touched(since, POST)).toBe(true);
  });
});

test('a table that has another layout since is the same table, and another one of its name is not', () => {
  const since = now();
  dropLog(port, TAG as TableId);
  port.query('DROP TABLE tag');
  create('CREATE TABLE tag(k INTEGER PRIMARY KEY, post, more)', 'tag', 102);
  dropLog(port, POST as TableId);
  port.query('ALTER TABLE post ADD COLUMN body');
  createLog(port, describeTable(port, 'post', POST));
  commit('INSERT INTO tag VALUES (7, 7, 7)');
  expect([touched(since, TAG), touched(since, 102), touched(since, POST)]).toEqual([false, true, false]);
  commit("INSERT INTO post VALUES (3, 'b')");
  expect(touched(since, POST)).toBe(true);
});

describe('a log that has been purged', () => {
  test('cannot tell what lies before its first entry, and counts it as touched', () => {
    const since = now();
    commit('INSERT INTO tag VALUES (2, 2)');
    commit('INSERT INTO tag VALUES (3, 2)');
    forget(since + 1);
    expect(touched(since, POST)).toBe(false);
    forget(since + 2);
    expect([touched(since, POST), touched(since + 1, POST)]).toEqual([true, false]);
  });

  test('of all its images numbers them from the beginning again, and misses none', () => {
    const since = now();
    commit('SELECT 1', 'noop');
    forget(since + 1);
    expect(readHead(port).lastSeq).toBe(0);
    commit('INSERT INTO post VALUES (3)');
    expect([touched(since, POST), touched(since, TAG), touched(since + 1, POST)]).toEqual([
      true,
      false,
      true,
    ]);
  });

  test('of all its entries has nothing after its end', () => {
    forget(now() + 1);
    expect(touched(now(), POST)).toBe(false);
    expect(touched(now() - 1, POST)).toBe(true);
  });
});

test('a log that ends before what was seen is not the one that it was seen in', () => {
  const since = now();
  commit('INSERT INTO tag VALUES (2, 2)');
  const seen = now();
  undoTo(port, since);
  expect([touched(seen, POST), touched(since, POST)]).toEqual([true, false]);
});
