import { describe, expect, test } from 'vitest';
import { undoAndRedo } from '../../../src/core/replica/undo-redo.ts';
import { FaultyPort } from '../../harness/faulty-port.ts';
import { LocalCluster } from '../../harness/local-cluster.ts';

const refused = (code: string) => expect.objectContaining({ code, outcome: 'none' });

describe('generated ids', () => {
  const cluster = new LocalCluster(2);
  cluster.schema(
    'CREATE TABLE note (id INTEGER PRIMARY KEY, owner TEXT, v) PARTITION BY (owner)',
    'CREATE TABLE bare (v, w) PARTITION BY (v)',
    'CREATE TABLE odd ("a b" TEXT, "id""x" INTEGER PRIMARY KEY, rowid) PARTITION BY ("a b")',
    'CREATE TABLE own (id INTEGER PRIMARY KEY, v)',
    'CREATE TABLE ref (id INTEGER PRIMARY KEY, code TEXT UNIQUE) REFERENCE',
  );
  const owner = 'o';
  const start = cluster.partitions[1]?.identity.identifiers.start ?? 0;

  for (const [sql, args] of [
    ['INSERT INTO note (owner, v) VALUES (?, 1) RETURNING id', [owner]],
    ['INSERT INTO note (owner, v) VALUES ((?), ((1 + 2))), (?1, 2) RETURNING id', [owner]],
    ['INSERT INTO note VALUES (NULL, ?, 1) RETURNING id', [owner]],
    ['INSERT INTO note VALUES (?2, ?1, 1) RETURNING id', [owner, null]],
    ['INSERT INTO note (owner, id) VALUES (?1, ?2), (?1, ?2) RETURNING id', [owner, null]],
    ['INSERT INTO note AS n (owner) VALUES (?) RETURNING id', [owner]],
    ['INSERT INTO note (owner) SELECT ?1 UNION ALL SELECT ?1 RETURNING id', [owner]],
    ['WITH c AS (SELECT ? AS o) INSERT INTO note (owner) SELECT o FROM c RETURNING id', [owner]],
    ['INSERT INTO note DEFAULT VALUES RETURNING id', []],
    ['INSERT INTO note /* DEFAULT VALUES */ DEFAULT VALUES RETURNING id', []],
    ['REPLACE INTO note (owner) VALUES (?) RETURNING id', [owner]],
    ['INSERT OR IGNORE INTO note (owner) VALUES (?) RETURNING id', [owner]],
    ['INSERT INTO note (owner) VALUES (?) ON CONFLICT DO UPDATE SET v = 1 RETURNING id', [owner]],
    ['INSERT INTO bare VALUES (1, 2) RETURNING rowid', []],
    ['INSERT INTO bare (v) VALUES (((1))) RETURNING rowid', []],
    ['INSERT INTO bare (rowid, v) VALUES (NULL, 1) RETURNING _rowid_', []],
    ['INSERT INTO odd VALUES (1, NULL, 3) RETURNING "id""x"', []],
    ['INSERT INTO odd ("a b", rowid) VALUES (1, 3) RETURNING "id""x"', []],
  ] as const) {
    test(sql, () => {
      const table = /INTO (\w+)/.exec(sql)?.[1] ?? '';
      const answer = cluster.run(sql, args, 2);
      const ids = answer.rows.map(([id]) => Number(id));
      expect(ids.length).toBeGreaterThan(0);
      for (const id of ids) expect(id).toBeGreaterThanOrEqual(start);
      expect(answer.lastInsertRowid).toBe(ids.at(-1));
      cluster.run(`DELETE FROM ${table} WHERE true`, [], 2);
      const again = cluster.run(sql, args, 2).rows.map(([id]) => Number(id));
      expect(again.every((id) => !ids.includes(id))).toBe(true);
    });
  }

  test('of a table partitioned by them are owned, and are no id that the statement brings along', () => {
    const [[first] = []] = cluster.run('INSERT INTO own (v) VALUES (1) RETURNING id').rows;
    cluster.run('DELETE FROM own WHERE true');
    for (const given of Array.from({ length: 40 }, (_, index) => Number(first) + 1 + index)) {
      const outcome = cluster.outcome([
        { sql: `INSERT INTO own VALUES (${given}, 0), (NULL, 1) RETURNING id` },
      ]);
      if (outcome.kind === 'error') expect(outcome.error.code).toBe('multi-partition-write');
      cluster.run('DELETE FROM own WHERE true');
    }
  });

  test('of a reference table pass those that are given, also by an expression or a SELECT', () => {
    cluster.run('INSERT INTO ref VALUES (7, ?), (NULL, ?), (8, ?)', ['a', 'b', 'c'], 0);
    expect(cluster.run('SELECT id FROM ref WHERE code = ?', ['b'], 0).rows).toEqual([[9]]);
    cluster.run(`INSERT INTO ref SELECT NULL, 'd' UNION ALL SELECT 20, 'e'`, undefined, 0);
    cluster.run(`INSERT INTO ref VALUES (abs(NULL), 'f'), (30 + 1, 'g')`, undefined, 0);
    cluster.run('DELETE FROM ref WHERE id > 9', undefined, 0);
    const { rows } = cluster.run(`INSERT INTO ref (code) VALUES ('h') RETURNING id`, undefined, 0);
    expect(Number(rows[0]?.[0])).toBeGreaterThan(20);
    for (const replica of cluster.partitions) {
      expect(replica.port.query('SELECT count(*) FROM ref').rows).toEqual([[4]]);
    }
  });

  test('an upsert that only updates reports nobody else’s id', () => {
    cluster.run(`INSERT INTO ref VALUES (50, 'u')`, undefined, 0);
    const sql = `INSERT INTO ref (code) VALUES ('u') ON CONFLICT (code) DO UPDATE SET code = 'u'`;
    expect(cluster.run(sql, undefined, 0)).toMatchObject({ rowsAffected: 1, lastInsertRowid: null });
  });

  test('100 parameters and more ids than fit beside them', () => {
    const rows = Array.from({ length: 50 }, () => '(?, ?)').join(', ');
    const args = Array.from({ length: 50 }, (_, index) => [index, null]).flat();
    expect(cluster.run(`INSERT INTO bare (v, rowid) VALUES ${rows}`, args).rowsAffected).toBe(50);
  });
});

describe('errors are of the right code, and nothing is applied', () => {
  const cluster = new LocalCluster();
  cluster.schema(
    'CREATE TABLE t (k INTEGER PRIMARY KEY, n INTEGER NOT NULL CHECK (n < 9), s TEXT)',
    "CREATE TRIGGER r BEFORE DELETE ON t WHEN OLD.n = 5 BEGIN SELECT RAISE(ABORT, 'not this one'); END",
  );
  cluster.run('INSERT INTO t VALUES (1, 5, NULL)');

  for (const [sql, code, args] of [
    ['INSERT INTO t VALUES (1, 1, 1)', 'constraint'],
    ['INSERT INTO t VALUES (2, NULL, 1)', 'constraint'],
    ['INSERT INTO t VALUES (2, 10, 1)', 'constraint'],
    ['INSERT OR FAIL INTO t VALUES (2, 1, 1), (1, 1, 1)', 'constraint'],
    [`INSERT INTO t VALUES ('x', 1, 1)`, 'constraint'],
    ['DELETE FROM t WHERE k = 1', 'constraint'],
    ['SELEC 1', 'syntax'],
    ['SELECT nope FROM t', 'sql'],
    ['INSERT INTO nowhere VALUES (1)', 'no-such-table'],
    ['DELETE FROM sqlite_schema RETURNING *', 'no-such-table'],
    ['DELETE FROM atoll_partitions', 'no-such-table'],
    ['SELECT abs(-9223372036854775807 - 1)', 'sql'],
    ['SELECT * FROM _atoll_log', 'internal-name'],
    ['WITH _atoll_rows AS (SELECT 1) SELECT * FROM _atoll_rows', 'internal-name'],
    ['PRAGMA table_info(_atoll_log)', 'internal-name'],
    ['PRAGMA foreign_keys = OFF', 'forbidden-statement'],
    ['PRAGMA case_sensitive_like = 1', 'forbidden-statement'],
    [`ATTACH 'x' AS y`, 'forbidden-statement'],
    ['INSERT OR ROLLBACK INTO t VALUES (1, 1, 1)', 'forbidden-statement'],
    ['BEGIN', 'forbidden-statement'],
    ['SELECT zeroblob(2000000000)', 'too-large'],
    ['SELECT ?', 'parameter'],
    ['SELECT ?', 'parameter', [1, 2]],
    ['SELECT :a', 'parameter', { b: 1 }],
    ['SELECT ?101', 'too-many-parameters', Array.from({ length: 101 }, () => 1)],
  ] as const) {
    test(`${code}: ${sql}`, () => {
      expect(() => cluster.run(sql, args)).toThrow(refused(code));
      expect(cluster.run('SELECT * FROM t').rows).toEqual([[1, 5, null]]);
    });
  }

  test('a statement that has failed may succeed when it is sent again', () => {
    const sql = 'INSERT INTO t VALUES (3, 1, 1) RETURNING k';
    cluster.run(sql);
    expect(() => cluster.run(sql)).toThrow(refused('constraint'));
    cluster.run('DELETE FROM t WHERE k = 3');
    expect(cluster.run(sql).rows).toEqual([[3]]);
    cluster.run('DELETE FROM t WHERE k = 3');
  });

  test('PRAGMAs that read the schema answer', () => {
    expect(cluster.run('PRAGMA table_info(t)').rows.map(([, name]) => name)).toEqual(['k', 'n', 's']);
    expect(
      cluster
        .run('PRAGMA table_list')
        .rows.map(([, name]) => String(name))
        .filter((name) => /atoll/.test(name)),
    ).toEqual([]);
  });
});

describe('a group', () => {
  const ports: FaultyPort[] = [];
  const cluster = new LocalCluster(1, () => {
    const port = new FaultyPort();
    ports.push(port);
    return port;
  });
  cluster.schema(
    'CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT, n INTEGER UNIQUE) REFERENCE',
    'CREATE TABLE g (k TEXT, n INTEGER, PRIMARY KEY (k, n)) PARTITION BY (k)',
  );
  const insert = (n: number) => ({ statements: [{ sql: `INSERT INTO g VALUES ('k', ${n})` }] });

  test.each(['full', 'io', 'busy'] as const)(
    'whose transaction SQLite ends (%s) is run one by one',
    (fault) => {
      for (let calls = 0; calls < 30; calls++) {
        const base = calls * 10 + 1000 * ['full', 'io', 'busy'].indexOf(fault);
        ports[1]?.arm(fault, calls);
        let done: number[] = [];
        try {
          const outcomes = cluster.group([
            insert(base),
            insert(base + 1),
            insert(base + 1),
            insert(base + 2),
          ]);
          done = outcomes.flatMap(({ kind }, index) => (kind === 'done' ? [[0, 1, 1, 2][index] ?? 0] : []));
          expect(outcomes[2]?.kind).toBe('error');
        } catch {
          // The commit itself has failed.
          expect(fault).toBe('io');
        }
        ports[1]?.disarm();
        const rows = cluster.run(`SELECT n - ${base} FROM g WHERE n BETWEEN ${base} AND ${base + 9}`).rows;
        expect(rows.map(([n]) => n)).toEqual(done);
      }
    },
  );

  test('undone and applied again is what it was', () => {
    const replica = cluster.replica(1);
    const before = cluster.run('SELECT * FROM g ORDER BY n').rowsText;
    expect(undoAndRedo(replica, 20)).toBe(20);
    expect(cluster.run('SELECT * FROM g ORDER BY n').rowsText).toBe(before);
  });
});
