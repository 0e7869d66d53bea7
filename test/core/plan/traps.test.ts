import { afterAll, describe, expect, it } from 'vitest';
import type { SqlValue } from '../../../src/base/sql-value.ts';
import { mergeAnswers } from '../../../src/core/plan/merge/merge.ts';
import { ModelCluster, query, type Row } from './model-cluster.ts';
import { modelSchema } from './model-schema.ts';

const model = modelSchema(`
  CREATE TABLE t (id INTEGER, k TEXT, a INTEGER, b TEXT COLLATE NOCASE, c) PARTITION BY (k);
  CREATE TABLE u (id INTEGER, k TEXT, x INTEGER, b TEXT) PARTITION BY (k);
  CREATE TABLE n (id INTEGER, k TEXT COLLATE NOCASE, x INTEGER) PARTITION BY (k);
  CREATE TABLE m (id INTEGER, k INTEGER, x INTEGER) PARTITION BY (k);
  CREATE TABLE e (id INTEGER, k TEXT) PARTITION BY (k);
  CREATE TABLE g (id INTEGER PRIMARY KEY, v TEXT);
  CREATE TABLE two (k1 INTEGER, k2 TEXT, v INTEGER, PRIMARY KEY (k1, k2)) WITHOUT ROWID;
  CREATE TABLE r (code TEXT, v INTEGER) REFERENCE;
  CREATE VIEW latest AS SELECT * FROM t ORDER BY id DESC LIMIT 2;
  CREATE VIEW clock AS SELECT id, datetime('now') AS at FROM t;
  CREATE VIEW joined AS SELECT t.k AS tk, u.k AS uk, x FROM t LEFT JOIN u ON u.k = t.k;
`);
const KEYS = ['a', 'A', 'b', 'c', null, 'd', '5'];
const list = (count: number, make: (i: number) => Row): Row[] =>
  Array.from({ length: count }, (_, i) => make(i));
const TEXTS: SqlValue[] = ['x', 'X', 'y', null, '\uFF5E', '\u{1F600}'];
const ANY: SqlValue[] = [1n, 1, 1.5, '1', null, new Uint8Array([1]), 'z'];
const cluster = new ModelCluster(
  model,
  [
    {
      table: 't',
      rows: list(40, (i) => [
        BigInt(i),
        KEYS[i % 7] ?? null,
        BigInt(i % 5),
        TEXTS[i % 6] ?? null,
        ANY[(i * 3) % 7] ?? null,
      ]),
    },
    {
      table: 'u',
      rows: list(15, (i) => [BigInt(i), KEYS[(i * 3) % 7] ?? null, BigInt(i % 4), TEXTS[i % 6] ?? null]),
    },
    { table: 'n', rows: list(9, (i) => [BigInt(i), KEYS[i % 7] ?? null, BigInt(i)]) },
    { table: 'm', rows: list(9, (i) => [BigInt(i), BigInt(i % 4), BigInt(i)]) },
    { table: 'g', rows: list(12, (i) => [BigInt(i + 1), `v${i % 3}`]) },
    { table: 'two', rows: list(12, (i) => [BigInt(i % 4), `k${i % 3}`, BigInt(i)]) },
    {
      table: 'r',
      rows: [
        ['x', 1n],
        ['y', 2n],
        [null, 3n],
      ],
    },
  ],
  4,
);
afterAll(() => cluster.close());

/** Statements with their kind; those that are answered must answer as plain SQLite. `=`: in this very order. */
const TRAPS: readonly (readonly [kind: string, sql: string, args?: Row])[] = [
  // LIMIT and OFFSET
  ['scatter=', 'SELECT id FROM t ORDER BY id LIMIT 3 OFFSET 4'],
  ['scatter=', 'SELECT id FROM t ORDER BY id LIMIT -1 OFFSET 4'],
  ['scatter=', 'SELECT id FROM t ORDER BY id LIMIT ? OFFSET ?', ['3', 2]],
  ['scatter=', 'SELECT id FROM t ORDER BY id DESC LIMIT 9223372036854775807 OFFSET 5'],
  ['refused', 'SELECT id FROM t LIMIT (SELECT 2)'],
  ['refused', 'SELECT count(*) FROM (SELECT id FROM t LIMIT 3)'],
  ['refused', 'SELECT * FROM latest'],
  // ORDER BY
  ['scatter=', 'SELECT b, id FROM t ORDER BY b COLLATE BINARY, id'],
  ['scatter=', 'SELECT b, id FROM t ORDER BY b, id'],
  ['scatter=', 'SELECT c, id FROM t ORDER BY c NULLS LAST, id DESC'],
  ['scatter=', 'SELECT -a AS a, id FROM t ORDER BY a, id'],
  ['scatter=', 'SELECT -a AS a, id FROM t ORDER BY a + 1, id'],
  ['scatter=', 'SELECT a + 1, id FROM t ORDER BY a + 1, 2'],
  ['scatter=', 'SELECT id, x FROM t JOIN u USING (id) WHERE t.k = u.k ORDER BY t.id'],
  ['scatter=', 'SELECT t.id FROM t ORDER BY (SELECT v FROM r WHERE code = t.b), t.id'],
  // One group over no rows
  ['scatter', 'SELECT count(*), sum(id), total(id), avg(id), min(id), max(k) FROM e'],
  ['scatter', 'SELECT count(*) FROM e GROUP BY k'],
  ['scatter', 'SELECT count(*) FROM e GROUP BY id'],
  ['scatter', "SELECT count(*), upper('a') FROM e"],
  ['scatter', 'SELECT count(DISTINCT id), 7 FROM e'],
  ['refused', "SELECT count(DISTINCT id), upper('a') FROM e"],
  ['scatter', 'SELECT max(id), k FROM e'],
  // Aggregates
  ['scatter', 'SELECT avg(a), sum(a) * 1.0 / count(*), sum(a) / count(*) FROM t'],
  ['scatter', 'SELECT sum(DISTINCT a), count(*) FROM t WHERE a > 1'],
  ['scatter', 'SELECT count(DISTINCT k) FROM t'],
  ['refused', 'SELECT count(DISTINCT k), count(DISTINCT a) FROM t'],
  ['refused', 'SELECT count(DISTINCT a), count(DISTINCT b) FROM t'],
  ['scatter', 'SELECT k, count(DISTINCT a), count(DISTINCT b), group_concat(a) FROM t GROUP BY k'],
  ['refused', 'SELECT group_concat(a) FROM t'],
  ['refused', 'SELECT json_group_array(a) FROM t GROUP BY a'],
  ['scatter', 'SELECT max(id), b, c FROM t'],
  ['scatter', 'SELECT a, min(id), k FROM t GROUP BY a'],
  ['refused', 'SELECT a, min(id), max(id), k FROM t GROUP BY a'],
  ['refused', 'SELECT a, b FROM t GROUP BY a'],
  ['scatter', 'SELECT a AS q, count(*) FROM t GROUP BY a'],
  ['scatter', 'SELECT a % 2 AS q, count(*) AS n FROM t GROUP BY q HAVING n > 2 ORDER BY n'],
  ['scatter', 'SELECT a, sum(id) AS s FROM t GROUP BY 1 HAVING s > 60 AND max(b) > min(b)'],
  ['scatter', "SELECT CASE max(b) WHEN 'Y' THEN 'nocase' ELSE 'binary' END FROM t"],
  ['scatter', "SELECT max(b) = 'Y', max(b) IN ('Y'), max(b) COLLATE NOCASE = 'Y' FROM t"],
  ['scatter', "SELECT b, b = 'X', count(*) FROM t GROUP BY b"],
  ['scatter', 'SELECT a, a = ?, count(*) FROM t GROUP BY a', ['1']],
  ['scatter', "SELECT a, substr(a || 'abc', 1, 3), count(*) FROM t GROUP BY a"],
  ['scatter', 'SELECT sum(c), typeof(sum(c)), max(c), min(c), count(c) FROM t'],
  ['refused', 'SELECT a, (SELECT count(*) FROM u) FROM t GROUP BY a'],
  ['refused', 'SELECT upper(max(b)) FROM t'],
  ['refused', 'SELECT (SELECT sum(t.a) FROM r) FROM t'],
  ['refused', 'SELECT max(b) FROM t HAVING max(b) LIKE ?', ['x']],
  ['scatter', 'SELECT max(a) FROM t WHERE b LIKE ? HAVING count(*) > ?', ['x', 1n]],
  // GROUP BY and DISTINCT with other collations
  ['scatter', 'SELECT count(*) FROM t GROUP BY b COLLATE BINARY'],
  ['scatter', 'SELECT count(*) FROM t GROUP BY k COLLATE NOCASE'],
  ['scatter', 'SELECT DISTINCT k COLLATE NOCASE FROM t'],
  ['scatter', 'SELECT DISTINCT c FROM t'],
  // Joins
  ['scatter', 'SELECT t.id, u.id FROM t LEFT JOIN u ON u.k = t.k AND u.x = t.a'],
  ['refused', 'SELECT t.id FROM t JOIN n ON n.k = t.k'],
  ['refused', 'SELECT t.id FROM t JOIN m ON m.k = t.k'],
  ['refused', 'SELECT t.id FROM t JOIN u ON u.k = t.k COLLATE NOCASE'],
  ['refused', 'SELECT t.id FROM t JOIN u ON u.k || 1 = t.k || 1'],
  ['refused', 'SELECT t.id FROM t FULL JOIN u ON u.k = t.k'],
  ['refused', 'SELECT r.v, t.id FROM r LEFT JOIN t ON t.b = r.code'],
  ['scatter', 'SELECT r.v, t.id FROM t LEFT JOIN r ON t.b = r.code'],
  ['scatter', 'SELECT r.v, t.id FROM r RIGHT JOIN t ON t.b = r.code'],
  ['scatter', 'SELECT * FROM t JOIN json_each(?) j ON j.value = t.a', ['[1,2]']],
  ['refused', 'SELECT * FROM json_each(?) j LEFT JOIN t ON j.value = t.a', ['[1,2]']],
  ['scatter', 'SELECT x.id, y.id FROM t AS x JOIN t AS y ON x.k = y.k AND x.id < y.id'],
  ['scatter', 'SELECT u.id FROM t AS u JOIN u AS t ON t.k = u.k'],
  ['scatter', 'SELECT v1.v FROM two v1 JOIN two v2 ON v1.k1 = v2.k1 AND v1.k2 = v2.k2'],
  ['refused', 'SELECT v1.v FROM two v1 JOIN two v2 ON v1.k1 = v2.k1'],
  ['scatter', 'SELECT k1, k2, count(*) FROM two GROUP BY k2, k1'],
  ['scatter', 'SELECT k1, count(*) FROM two GROUP BY k1'],
  ['scatter', 'SELECT u.k, count(*) FROM t LEFT JOIN u ON u.k = t.k GROUP BY u.k'],
  ['scatter', 'SELECT DISTINCT u.k FROM t LEFT JOIN u ON u.k = t.k'],
  ['refused', 'SELECT u.k, group_concat(t.id) FROM t LEFT JOIN u ON u.k = t.k AND u.x = t.a GROUP BY u.k'],
  // Outer joins and pins
  ['route', "SELECT * FROM joined WHERE tk = 'a'"],
  ['scatter', "SELECT * FROM joined WHERE uk = 'a'"],
  ['scatter', 'SELECT * FROM joined WHERE uk IS NULL'],
  ['route', "SELECT t.id FROM t LEFT JOIN u ON u.k = t.k WHERE t.k = 'a' AND u.k IS NULL"],
  ['scatter', "SELECT t.id, u.id FROM t LEFT JOIN u ON u.k = t.k AND t.k = 'a'"],
  ['route', "SELECT t.id, u.id FROM t FULL JOIN u ON u.k = t.k WHERE t.k = 'a' AND u.k = 'a'"],
  ['route', "SELECT t.id FROM t RIGHT JOIN u ON u.k = t.k WHERE u.k = 'a'"],
  ['route', "SELECT * FROM t LEFT JOIN u ON u.k = t.k LEFT JOIN e ON e.k = u.k WHERE t.k = 'a'"],
  // Pins
  ['route', "SELECT id FROM t WHERE k = 'a' LIMIT 2"],
  ['route', 'SELECT group_concat(id) FROM t WHERE k = ?', [5n]],
  ['route', 'SELECT id FROM n WHERE k = ?', ['A']],
  ['route', 'SELECT id FROM m WHERE k = ?', ['2']],
  ['route', 'SELECT id FROM m WHERE k = 2.0'],
  ['route', 'SELECT id FROM m WHERE k = NULL'],
  ['route', 'SELECT id FROM t WHERE k IS NULL'],
  ['scatter', "SELECT id FROM t WHERE k IN ('a', 'zz', NULL)"],
  ['scatter', "SELECT id FROM t WHERE k IN ('a', 'b') AND k IN (SELECT code FROM r UNION SELECT 'a')"],
  ['scatter', "SELECT id FROM t WHERE k = 'a' COLLATE NOCASE"],
  ['route', "SELECT id, k AS z FROM t WHERE z = 'a'"],
  ['route', 'SELECT a, count(*) OVER () FROM t WHERE k = ?', ['a']],
  ['route', "WITH w AS (SELECT * FROM t) SELECT x.id FROM w x JOIN w y ON x.k = y.k WHERE x.k = 'a'"],
  ['refused', "WITH w AS (SELECT * FROM t) SELECT x.id FROM w x, w y WHERE x.k = 'a'"],
  // Subqueries
  ['scatter', 'SELECT id FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.k = t.k)'],
  ['scatter', 'SELECT id FROM t WHERE a NOT IN (SELECT v FROM r)'],
  ['refused', 'SELECT id FROM t WHERE a NOT IN (SELECT x FROM u)'],
  ['refused', 'SELECT id, (SELECT max(x) FROM u) FROM t'],
  ['refused', 'SELECT (SELECT count(*) FROM t)'],
  // Compounds
  ['scatter', 'SELECT a, k FROM t UNION ALL SELECT x, k FROM u ORDER BY 1, k LIMIT 5'],
  ['scatter', 'SELECT a FROM t UNION SELECT x FROM u'],
  ['scatter', 'SELECT b FROM t UNION SELECT b FROM u'],
  ['refused', 'SELECT a FROM t UNION ALL SELECT v FROM r'],
  ['refused', 'SELECT a FROM t EXCEPT SELECT x FROM u'],
  ['refused', 'SELECT count(*) FROM t UNION ALL SELECT count(*) FROM u'],
  ['scatter', 'SELECT k, n FROM (SELECT k, count(*) AS n FROM t GROUP BY k UNION ALL SELECT k, x FROM u)'],
  // Windows
  ['scatter', 'SELECT id, rank() OVER w FROM t WINDOW w AS (PARTITION BY k ORDER BY a)'],
  ['scatter', 'SELECT id, rank() OVER (w ORDER BY a) FROM t WINDOW w AS (PARTITION BY k)'],
  ['refused', 'SELECT id, rank() OVER (ORDER BY id) FROM t'],
  ['refused', 'SELECT id, sum(a) OVER (PARTITION BY a) FROM t'],
  // Volatile functions
  ['scatter', "SELECT count(DISTINCT datetime('now', '+' || (id % 1) || ' days')) FROM t"],
  ['scatter', 'SELECT count(*) FROM t WHERE CURRENT_TIMESTAMP > ?', ['2000']],
  ['scatter', "SELECT strftime('%Y') > '2000', unixepoch() > 5, date() > '2', time(?) > '0' FROM t", ['NOW']],
  ['refused', 'SELECT * FROM clock'],
  ['refused', 'SELECT id, (SELECT random()) FROM t'],
  ['refused', 'SELECT last_insert_rowid(), id FROM t'],
  // Names
  ['scatter', 'SELECT *, t.*, rowid > 0, k AS "odd ""name", a+ 1, ( b ) FROM t'],
  ['scatter', 'SELECT max( a ) , a  AS q, count (*) FROM t GROUP BY a'],
  ['scatter', 'SELECT id = ?, ?2 FROM t', [3n, 'p']],
  ['scatter', 'SELECT rowid, v, oid FROM g'],
  ['scatter', 'SELECT g.v, count(*) FROM g GROUP BY g.v'],
];

function text(rows: readonly Row[]): string[] {
  return rows.map((row) =>
    JSON.stringify(row, (_, v: unknown) =>
      typeof v === 'bigint' ? `${v}n` : typeof v === 'string' ? v.toLowerCase() : v,
    ),
  );
}

describe('traps', () => {
  for (const [kind, sql, args = []] of TRAPS) {
    it(`${kind}: ${sql}`, () => {
      const plan = cluster.plan(sql);
      const why = plan.kind === 'refused' ? `${plan.code}: ${plan.message}` : '';
      expect(plan.kind, why).toBe(kind.replace('=', ''));
      if (plan.kind === 'refused') return;
      const plain = query(cluster.plain, sql, args);
      const ours = cluster.run(plan, sql, args);
      expect(ours.columns).toEqual(plain.columns);
      const [got, want] = [text(ours.rows), text(plain.rows)];
      if (kind.endsWith('=')) expect(got).toEqual(want);
      else expect(got.sort()).toEqual(want.sort());
    });
  }

  it('random() in ORDER BY takes a sample', () => {
    const sql = 'SELECT id FROM t ORDER BY random() LIMIT 5';
    const rows = cluster.run(cluster.plan(sql), sql, []).rows.map(([id]) => id);
    expect(new Set(rows).size).toBe(5);
  });

  it("an integer sum beyond 64 bits is SQLite's error", () => {
    const sql = 'SELECT sum(a + 9223372036854775800) FROM t WHERE a = 1 AND id < 20';
    expect(() => cluster.run(cluster.plan(sql), sql, [])).toThrow('integer overflow');
    expect(() => query(cluster.plain, sql, [])).toThrow('integer overflow');
  });

  it('a sum that only all partitions together overflow is one too', () => {
    const sql = 'SELECT sum(a) FROM t';
    const plan = cluster.plan(sql);
    if (plan.kind !== 'scatter') throw new Error(plan.kind);
    const answers = (...sums: SqlValue[]) => sums.map((sum) => ({ columns: ['s'], rows: [[sum]] }));
    const merged = (...sums: SqlValue[]) => mergeAnswers(plan.merge, answers(...sums), []).rows[0]?.[0];
    const max = 9223372036854775807n;
    expect(() => merged(max, 1n)).toThrow('integer overflow');
    expect(merged(max, 1n, -1n)).toBe(max);
    expect(merged(max, null)).toBe(max);
    expect(merged(1n, 0.5)).toBe(1.5);
    expect(merged(null, null)).toBe(null);
    expect(merged(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY)).toBe(null);
    expect(merged('nan', 1n)).toBe(null);
  });

  it('LIMIT of a text is a mismatch', () => {
    const sql = 'SELECT id FROM t LIMIT ?';
    expect(() => cluster.run(cluster.plan(sql), sql, ['x'])).toThrow('datatype mismatch');
  });
});
