import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { assert } from '../../../src/base/assert.ts';
import type { CommitId, Timestamp } from '../../../src/base/brand.ts';
import { RawText } from '../../../src/base/sql-value.ts';
import { dump } from '../../../src/core/log/dump.ts';
import { purgeStep } from '../../../src/core/log/purge.ts';
import { Replica } from '../../../src/core/replica/replica.ts';
import { Follower } from '../../../src/core/replication/follower.ts';
import { openSnapshot, readSnapshotPage } from '../../../src/core/replication/snapshot-source.ts';
import { SnapshotTarget } from '../../../src/core/replication/snapshot-target.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { catchUp, copy, sent } from './copy.ts';
import { Leader, stateOf } from './leader.ts';

function memory(): NodeSqlitePort {
  return new NodeSqlitePort(':memory:', { synchronous: 'OFF' });
}

function pageOf(leader: Leader, target: SnapshotTarget, bytesMax = 300) {
  assert(target.cursor !== null, 'a snapshot that goes on');
  const page = readSnapshotPage(
    leader.replica,
    target.head.base.commitId as CommitId,
    target.cursor,
    bytesMax,
  );
  assert(page !== 'gone', 'a page');
  return page;
}

function some(): Leader {
  const leader = new Leader(memory());
  const made = leader.change([
    'CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, a, b TEXT UNIQUE)',
    'CREATE TABLE u(a, b REAL)',
    'CREATE INDEX ua ON u(a)',
    'CREATE VIEW v AS SELECT a FROM u',
    'CREATE TRIGGER x AFTER INSERT ON t BEGIN INSERT INTO u VALUES (NEW.a, 1); END',
  ]);
  assert(made, 'a schema');
  for (let i = 0; i < 50; i++) leader.commit([`INSERT INTO t(a, b) VALUES (${i}, 'b${i}')`]);
  leader.commit(['DELETE FROM t WHERE id = 50', 'UPDATE u SET b = a / 3.0']);
  return leader;
}

test('a copy of a leader at rest is equal to it, and follows it', () => {
  const leader = some();
  const base = leader.replica.last.commit;
  const follower = copy(leader.replica, memory(), 300);
  assert(follower !== 'gone', 'a copy');
  expect(follower.position()).toMatchObject({ commitId: base, offset: 0 });
  expect(stateOf(follower.replica, base + 1)).toEqual(stateOf(leader.replica, base + 1));
  leader.commit(['INSERT INTO t(a) VALUES (7), (8)']);
  leader.change(['ALTER TABLE u ADD COLUMN c DEFAULT 5']);
  leader.commit(['UPDATE u SET c = 6 WHERE a > 20']);
  catchUp(leader.replica, follower);
  expect(stateOf(follower.replica, base + 1)).toEqual(stateOf(leader.replica, base + 1));
});

test('has every value as it is, and ids that were ever issued', () => {
  const leader = some();
  leader.change(['CREATE TABLE "odd ""names"""(a, "b c" AS (a || 1), d REAL, e INTEGER)']);
  leader.commit([
    `INSERT INTO "odd ""names""" VALUES (9223372036854775807, -0.0, 1), (-9223372036854775808, 1e308, 2),
     (9007199254740993.0, 5e-324, 3), (1.0, 9e999, 4), (x'00ff', NULL, 5), (CAST(x'61ff00' AS TEXT), 0.1, 6)`,
    `INSERT INTO "odd ""names""" VALUES (char(97, 0, 98), 1, 7), ('', 2, 9007199254740993), ('𝄞', -1.5, 9)`,
    'UPDATE "odd ""names""" SET rowid = 9223372036854775807 WHERE e = 9',
  ]);
  const follower = copy(leader.replica, memory(), 100);
  assert(follower !== 'gone', 'a copy');
  const table = leader.replica.schema.catalogue.tables.filter(({ name }) => name.startsWith('odd'));
  const rows = dump(leader.port, table)[0]?.rows;
  expect(dump(follower.replica.port, table)[0]?.rows).toEqual(rows);
  expect(rows?.map((row) => row[1])).toContainEqual(new RawText(new Uint8Array([0x61, 0xff, 0])));
  expect(rows?.map((row) => row[1])).toContain(9223372036854775807n);
  const sequences = 'SELECT * FROM sqlite_sequence';
  expect(leader.port.query(sequences).rows).toEqual([['t', 50]]);
  expect(follower.replica.port.query(sequences).rows).toEqual([['t', 50]]);
});

test('is as of one commit, though rows change, move and swap their values meanwhile', () => {
  const leader = some();
  const tables = leader.replica.schema.catalogue.tables;
  const before = dump(leader.port, tables);
  let step = 0;
  const follower = copy(leader.replica, memory(), 200, (target) => {
    step++;
    leader.commit([
      `UPDATE t SET b = 'b' || (${step} - 1) WHERE b = 'x'`,
      `UPDATE t SET b = 'x' WHERE b = 'b${step}'`,
      `UPDATE t SET id = id + 1000 WHERE id % 10 = ${step % 10}`,
      `DELETE FROM u WHERE a % 7 = ${step % 7}`,
      `INSERT INTO t(b) VALUES ('new ${step}'), ('b' || (${step} + 40))`,
    ]);
    return target;
  });
  assert(follower !== 'gone', 'a copy');
  expect(step).toBeGreaterThan(20);
  expect(dump(follower.replica.port, tables)).toEqual(before);
  catchUp(leader.replica, follower);
  expect(dump(follower.replica.port, tables)).toEqual(dump(leader.port, tables));
});

test('rows that refer to each other, at the end of transactions too, come in any order', () => {
  const leader = new Leader(memory());
  leader.change([
    'CREATE TABLE a(k INTEGER PRIMARY KEY, b REFERENCES b DEFERRABLE INITIALLY DEFERRED)',
    'CREATE TABLE b(k INTEGER PRIMARY KEY, a REFERENCES a ON DELETE CASCADE)',
  ]);
  leader.port.transaction(() => {
    leader.port.query('INSERT INTO a VALUES (1, 1), (2, 2)');
    leader.port.query('INSERT INTO b VALUES (1, 2), (2, 1)');
    leader.replica.append('write', null, 1_800_000_000_000);
  });
  const follower = copy(leader.replica, memory(), 1);
  assert(follower !== 'gone', 'a copy');
  expect(follower.replica.port.query('SELECT * FROM a JOIN b ON b.k = a.b').rows).toHaveLength(2);
  expect(() => follower.replica.port.query('INSERT INTO b VALUES (3, 3)')).toThrow('FOREIGN KEY');
});

describe('an unfinished snapshot', () => {
  test('goes on in a process that starts anew, at every page and before the end; until then it is no replica', () => {
    const folder = mkdtempSync(join(tmpdir(), 'atoll-snapshot-'));
    const file = join(folder, 'copy.sqlite');
    let port = new NodeSqlitePort(file);
    try {
      const leader = some();
      let target: SnapshotTarget | null = SnapshotTarget.begin(port, sent(openSnapshot(leader.replica)));
      let pages = 0;
      for (; target !== null && target.cursor !== null; pages++) {
        target.accept(pageOf(leader, target));
        leader.commit([`UPDATE t SET a = a + 1 WHERE id = ${pages}`]);
        port.close();
        port = new NodeSqlitePort(file);
        expect(Replica.open(port)).toBeNull();
        target = SnapshotTarget.resume(port);
      }
      expect(pages).toBeGreaterThan(15);
      assert(target !== null, 'a snapshot to finish');
      const follower = target.finish();
      expect(SnapshotTarget.resume(port)).toBeNull();
      catchUp(leader.replica, follower);
      port.close();
      port = new NodeSqlitePort(file);
      const again = Follower.open(port);
      assert(again !== null, 'a replica');
      const first = again.position().commitId;
      expect(stateOf(again.replica, first)).toEqual(stateOf(leader.replica, first));
    } finally {
      port.close();
      rmSync(folder, { recursive: true });
    }
  });

  test('takes each page once, in order, whole', () => {
    const leader = some();
    const target = SnapshotTarget.begin(memory(), sent(openSnapshot(leader.replica)));
    const first = pageOf(leader, target);
    const damaged = first.data.slice();
    damaged[5] = (damaged[5] ?? 0) ^ 1;
    expect(() => target.accept({ ...first, data: damaged })).toThrow('damaged');
    expect(target.accept(first)).toBe(true);
    expect(target.accept(first)).toBe(false);
    const second = pageOf(leader, target);
    expect(target.accept({ ...second, head: { ...second.head, base: 1 as CommitId } })).toBe(false);
    expect(target.accept(sentPage(second))).toBe(true);
  });

  test('is of no use once the schema has changed', () => {
    const leader = some();
    const head = openSnapshot(leader.replica);
    leader.change(['CREATE INDEX another ON t(a)']);
    expect(readSnapshotPage(leader.replica, head.base.commitId, head.start)).toBe('gone');
  });

  test('is of no use once the log was purged beyond it', () => {
    const leader = some();
    const head = openSnapshot(leader.replica);
    const purge = () =>
      purgeStep(leader.port, {
        olderThan: 'z' as Timestamp,
        bytesMax: 1e9,
        floor: (leader.replica.last.commit + 1) as CommitId,
      });
    purge();
    expect(readSnapshotPage(leader.replica, head.base.commitId, head.start)).not.toBe('gone');
    leader.commit(['DELETE FROM u']);
    purge();
    expect(readSnapshotPage(leader.replica, head.base.commitId, head.start)).toBe('gone');
  });

  test('is asked for with a cursor, and begun with a head, or not at all', () => {
    const leader = some();
    const head = openSnapshot(leader.replica);
    const cursor = { ...head.start, phase: 'else' } as never;
    expect(() => readSnapshotPage(leader.replica, head.base.commitId, cursor)).toThrow('cursor');
    expect(() => SnapshotTarget.begin(memory(), { ...head, version: 2 } as never)).toThrow('version 2');
    expect(() => SnapshotTarget.begin(memory(), { ...head, format: 99 })).toThrow('run the newer Atoll');
  });
});

function sentPage(page: ReturnType<typeof pageOf>) {
  return { head: sent(page.head), data: page.data };
}
