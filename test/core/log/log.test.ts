import { beforeEach, describe, expect, test } from 'vitest';
import type { CommitId, SchemaVersion, Timestamp } from '../../../src/base/brand.ts';
import { finishCommit } from '../../../src/core/log/append.ts';
import { applyCommit } from '../../../src/core/log/apply.ts';
import { alterLog, createLog, dropLog, refreshLog } from '../../../src/core/log/capture.ts';
import type { Commit, CommitInput } from '../../../src/core/log/commit.ts';
import { dump } from '../../../src/core/log/dump.ts';
import { guardTrigger } from '../../../src/core/log/guard.ts';
import { readLayouts } from '../../../src/core/log/layout.ts';
import { purgeStep } from '../../../src/core/log/purge.ts';
import { readCaptured, readCommit } from '../../../src/core/log/read.ts';
import { createLogTables, readHead } from '../../../src/core/log/tables.ts';
import { undoTo } from '../../../src/core/log/undo.ts';
import type { Table } from '../../../src/core/schema/table.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { describeTable } from './describe-table.ts';
import { inputAt } from './replay-property.ts';

let port: NodeSqlitePort;
let time: number;

beforeEach(() => {
  port = new NodeSqlitePort(':memory:');
  createLogTables(port);
  time = 0;
});

function create(sql: string, name: string, id: number): Table {
  port.query(sql);
  const table = describeTable(port, name, id);
  createLog(port, table);
  return table;
}

/** A user's trigger, as schema changes create it. */
function trigger(sql: string): void {
  port.query(guardTrigger(sql));
}

/** Runs `sql` as one commit; null if it left nothing to log. */
function commit(sql: string, input: Partial<CommitInput> = {}): Commit | null {
  return port.transaction(() => {
    port.query(sql);
    const { lastCommitId } = readHead(port);
    finishCommit(port, { ...inputAt(++time), ...input });
    return readCommit(port, (lastCommitId + 1) as CommitId);
  });
}

function images(entry: Commit | null): unknown[] {
  return (entry?.changes ?? []).map(({ type, before, after }) => [type, before, after]);
}

describe('finishing a commit', () => {
  test('a read leaves no entry, a mark leaves one', () => {
    create('CREATE TABLE t(id INTEGER PRIMARY KEY)', 't', 1);
    expect(commit('SELECT 1')).toBeNull();
    expect(commit('UPDATE t SET id = 1')).toBeNull();
    expect(commit('SELECT 1', { kind: 'mark', payload: 'ids' })?.header).toMatchObject({
      commitId: 1,
      kind: 'mark',
      payload: 'ids',
    });
    expect(readHead(port)).toMatchObject({ lastCommitId: 1, lastTimestamp: inputAt(3).timestamp });
  });

  test('several share a SQLite transaction; one that fails leaves no gap', () => {
    create('CREATE TABLE t(id INTEGER PRIMARY KEY)', 't', 1);
    port.transaction(() => {
      expect(commit('INSERT INTO t VALUES (1)')?.header.commitId).toBe(1);
      expect(() => commit('INSERT INTO t VALUES (2), (1)')).toThrow('UNIQUE constraint failed: t.id');
      expect(() =>
        port.transaction(() => {
          commit('INSERT INTO t VALUES (3)');
          throw new Error('its client is gone');
        }),
      ).toThrow('its client is gone');
      expect(commit('INSERT INTO t VALUES (4)')?.header.commitId).toBe(2);
    });
    expect(images(readCommit(port, 2 as CommitId))).toEqual([['create', null, [4n]]]);
    expect(readCommit(port, 3 as CommitId)).toBeNull();
  });

  test('log time must rise', () => {
    commit('SELECT 1', { kind: 'noop', timestamp: 'b' as Timestamp });
    expect(() => commit('SELECT 1', { kind: 'noop', timestamp: 'b' as Timestamp })).toThrow(
      'log time does not rise',
    );
  });

  test('what was captured can be read before it is rolled back', () => {
    create('CREATE TABLE t(a)', 't', 1);
    expect(() =>
      port.transaction(() => {
        port.query('INSERT INTO t VALUES (1.0)');
        expect(readCaptured(port)).toMatchObject([{ type: 'create', tableId: 1, after: [1n, 1] }]);
        throw new Error('rolled back');
      }),
    ).toThrow('rolled back');
    expect(readCaptured(port)).toEqual([]);
  });
});

describe('capture', () => {
  test('REPLACE logs the rows that it deletes, before the one that it creates', () => {
    create('CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE)', 't', 1);
    commit('INSERT INTO t VALUES (1, 10), (2, 20)');
    expect(images(commit('REPLACE INTO t VALUES (1, 20)'))).toEqual([
      ['delete', [1n, 10n], null],
      ['delete', [2n, 20n], null],
      ['create', null, [1n, 20n]],
    ]);
  });

  test('a user AFTER trigger on the same row is logged after what fired it', () => {
    const table = create('CREATE TABLE t(id INTEGER PRIMARY KEY, n)', 't', 1);
    trigger('CREATE TRIGGER x AFTER INSERT ON t BEGIN UPDATE t SET n = n + 1 WHERE id = NEW.id; END');
    refreshLog(port, table.id);
    expect(images(commit('INSERT INTO t VALUES (1, 10)'))).toEqual([
      ['create', null, [1n, 10n]],
      ['update', [1n, 10n], [1n, 11n]],
    ]);
  });

  test('a user BEFORE trigger on the same row does not make the before-image stale', () => {
    const table = create('CREATE TABLE t(id INTEGER PRIMARY KEY, n, m)', 't', 1);
    trigger('CREATE TRIGGER x BEFORE UPDATE OF m ON t BEGIN UPDATE t SET n = n + 1 WHERE id = NEW.id; END');
    refreshLog(port, table.id);
    commit('INSERT INTO t VALUES (1, 10, 0)');
    expect(images(commit('UPDATE t SET m = 5'))).toEqual([['update', [1n, 10n, 0n], [1n, 11n, 5n]]]);
  });

  test('nor does one in a REPLACE that puts back what was there', () => {
    const table = create('CREATE TABLE t(id INTEGER PRIMARY KEY, n)', 't', 1);
    for (const event of ['INSERT', 'DELETE'])
      trigger(
        `CREATE TRIGGER x${event} BEFORE ${event} ON t BEGIN UPDATE t SET n = n + 10 WHERE id = 1; END`,
      );
    refreshLog(port, table.id);
    commit('INSERT INTO t VALUES (1, 0)');
    expect(images(commit('REPLACE INTO t VALUES (1, 0)'))).toEqual([]);
    expect(images(commit('REPLACE INTO t VALUES (1, 5)'))).toEqual([['update', [1n, 0n], [1n, 5n]]]);
  });

  test('a row that is its own parent: the net change, as the cascade is captured before its cause', () => {
    create('CREATE TABLE t(id INTEGER PRIMARY KEY, p REFERENCES t ON UPDATE CASCADE)', 't', 1);
    commit('INSERT INTO t VALUES (1, 1)');
    expect(images(commit('UPDATE t SET id = 2'))).toEqual([
      ['delete', [1n, 1n], null],
      ['create', null, [2n, 2n]],
    ]);
  });

  test('96 columns and a hidden rowid fit, 97 do not', () => {
    const names = Array.from({ length: 97 }, (_, i) => `c${i}`);
    create(`CREATE TABLE wide(${names.slice(0, 96).join(', ')})`, 'wide', 1);
    const values = names.slice(0, 96).map((_, i) => (i % 2 === 0 ? `${i}.0` : `${i}`));
    const entry = commit(`INSERT INTO wide VALUES (${values.join(', ')})`);
    expect(entry?.changes[0]?.after).toEqual([1n, ...values.map((_, i) => (i % 2 === 0 ? i : BigInt(i)))]);
    expect(
      images(
        commit(
          `UPDATE wide SET ${names
            .slice(0, 96)
            .map((name) => `${name} = 0`)
            .join(', ')}`,
        ),
      ),
    ).toHaveLength(1);
    undoTo(port, 1 as CommitId);
    undoTo(port, 0 as CommitId);
    expect(() => create(`CREATE TABLE wider(${names.join(', ')})`, 'wider', 2)).toThrow(
      'more than 96 columns',
    );
  });
});

describe('ALTER TABLE', () => {
  test('images of before stay readable, and slots may be used again', () => {
    const before = create('CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)', 't', 1);
    commit("INSERT INTO t VALUES (1, 'a', 'b')");
    port.query('ALTER TABLE t RENAME TO u');
    port.query('ALTER TABLE u RENAME TO t');
    let after = before;
    const alter = (sql: string, name = 't') =>
      port.transaction(() => {
        const shape = { ...after };
        port.transaction(() => {
          alterLogLater(shape, sql, name);
        });
        after = describeTable(port, name, 1);
        finishCommit(port, {
          ...inputAt(++time),
          kind: 'schema',
          schemaVersion: 2 as SchemaVersion,
          payload: sql,
        });
      });
    alter('ALTER TABLE t DROP COLUMN a');
    commit("INSERT INTO t VALUES (2, 'c')");
    alter("ALTER TABLE t ADD COLUMN d DEFAULT 'd'");
    alter('ALTER TABLE t RENAME COLUMN b TO e');
    alter('ALTER TABLE t RENAME TO v', 'v');
    const last = commit("UPDATE v SET e = 'f'");
    const read = (id: number) => images(readCommit(port, id as CommitId));
    expect(read(1)).toEqual([['create', null, [1n, 'a', 'b']]]);
    expect(read(3)).toEqual([['create', null, [2n, 'c']]]);
    expect(images(last)).toEqual([
      ['update', [1n, 'b', 'd'], [1n, 'f', 'd']],
      ['update', [2n, 'c', 'd'], [2n, 'f', 'd']],
    ]);
    const layout = readLayouts(port).get(last?.changes[0]?.layout ?? 0);
    expect(layout).toMatchObject({ table: 'v', columns: ['id', 'e', 'd'], tableId: 1, current: true });
    undoTo(port, 6 as CommitId);
    expect(dump(port, [after])[0]?.rows).toEqual([
      [1n, 'b', 'd'],
      [2n, 'c', 'd'],
    ]);
    expect(() => undoTo(port, 5 as CommitId)).toThrow('commit 6 is a barrier');
  });

  function alterLogLater(before: Table, sql: string, name: string): void {
    // The shape after is known to a catalogue beforehand; here it is tried out and rolled back.
    const tried = new Error('tried');
    let after = before;
    try {
      port.transaction(() => {
        dropLog(port, before.id);
        port.query(sql);
        after = describeTable(port, name, before.id);
        throw tried;
      });
    } catch (error) {
      if (error !== tried) throw error;
    }
    alterLog(port, before, after, () => port.query(sql));
  }

  test('a dropped table leaves its images', () => {
    const table = create('CREATE TABLE t(a)', 't', 1);
    commit('INSERT INTO t VALUES (1)');
    dropLog(port, table.id);
    port.query('DROP TABLE t');
    expect(images(readCommit(port, 1 as CommitId))).toEqual([['create', null, [1n, 1n]]]);
  });
});

describe('apply', () => {
  test('a gap, a wrong before-image and an old layout are defects and change nothing', () => {
    const table = create('CREATE TABLE t(id INTEGER PRIMARY KEY, a)', 't', 1);
    commit('INSERT INTO t VALUES (1, 1)');
    const second = commit('UPDATE t SET a = 2');
    if (second === null) throw new Error('no commit');
    const replica = new NodeSqlitePort(':memory:');
    createLogTables(replica);
    replica.query('CREATE TABLE t(id INTEGER PRIMARY KEY, a)');
    createLog(replica, table);
    expect(() => applyCommit(replica, second)).toThrow('commit 2 after 0');
    const first = readCommit(port, 1 as CommitId);
    if (first !== null) applyCommit(replica, first);
    replica.query('UPDATE t SET a = 1.0');
    replica.query('DELETE FROM _atoll_log WHERE commit_id = 2');
    expect(() => applyCommit(replica, second)).toThrow('t: a row is not equal to its before-image');
    replica.query('DELETE FROM t');
    replica.query('DELETE FROM _atoll_log WHERE commit_id = 2');
    expect(() => applyCommit(replica, second)).toThrow('t: a row is not equal to its before-image');
    expect(readHead(replica).lastCommitId).toBe(1);
    dropLog(replica, table.id);
    expect(() => applyCommit(replica, second)).toThrow('layout 1 is not current');
  });
});

describe('purge', () => {
  test('forgets by age, in bounded steps, never past the floor', () => {
    create('CREATE TABLE t(id INTEGER PRIMARY KEY)', 't', 1);
    for (let i = 1; i <= 600; i++)
      commit(`INSERT INTO t SELECT value FROM json_each('[${i * 10},${i * 10 + 1}]')`);
    const step = (olderThan: number, floor: number) =>
      purgeStep(port, { olderThan: inputAt(olderThan).timestamp, bytesMax: 1e9, floor: floor as CommitId });
    expect(step(500, 601)).toBe(true);
    while (step(500, 601));
    expect(readHead(port)).toMatchObject({
      firstCommitId: 500,
      baseTerm: 1,
      baseTimestamp: inputAt(499).timestamp,
    });
    expect(port.query('SELECT count(*) FROM _atoll_log').rows).toEqual([[202]]);
    expect(readCommit(port, 499 as CommitId)).toBeNull();
    while (step(10_000, 550));
    expect(readHead(port).firstCommitId).toBe(550);
    expect(() => undoTo(port, 540 as CommitId)).toThrow('purged');
    undoTo(port, 549 as CommitId);
    expect(port.query('SELECT count(*) FROM t').rows).toEqual([[549 * 2]]);
    expect(readHead(port)).toMatchObject({ lastCommitId: 549, lastTimestamp: inputAt(549).timestamp });
    expect(commit('DELETE FROM t WHERE id > 5490')?.header.commitId).toBe(550);
    while (step(10_000, 551));
    expect(port.query('SELECT count(*) FROM _atoll_log').rows).toEqual([[0]]);
    expect(images(commit('INSERT INTO t VALUES (1)'))).toEqual([['create', null, [1n]]]);
  });

  test('forgets by bytes', () => {
    create('CREATE TABLE t(id INTEGER PRIMARY KEY, b)', 't', 1);
    for (let i = 1; i <= 100; i++) commit(`INSERT INTO t VALUES (${i}, zeroblob(10000))`);
    const retention = { olderThan: '' as Timestamp, bytesMax: 300_000, floor: 101 as CommitId };
    while (purgeStep(port, retention));
    expect(readHead(port).firstCommitId).toBeGreaterThan(65);
    expect(readHead(port).firstCommitId).toBeLessThan(76);
  });
});
