import { describe, expect, it } from 'vitest';
import type { PartitionId } from '../../../src/base/brand.ts';
import type { SqlValue } from '../../../src/base/sql-value.ts';
import { bindPin, bindRows, bindTargets } from '../../../src/core/plan/bind.ts';
import { explainPlan } from '../../../src/core/plan/explain.ts';
import { bindParameters } from '../../../src/core/plan/parameters.ts';
import type { Plan } from '../../../src/core/plan/plan.ts';
import { planStatement } from '../../../src/core/plan/statement.ts';
import { TokenMap } from '../../../src/core/schema/token-map.ts';
import { parseStatement } from '../../../src/core/sql/parse.ts';
import { modelSchema } from './model-schema.ts';

const { schema } = modelSchema(`
  CREATE TABLE t (k TEXT COLLATE NOCASE, a INTEGER) PARTITION BY (k);
  CREATE TABLE g (id INTEGER PRIMARY KEY, v TEXT);
`);
const map = TokenMap.even(1, [1, 2, 3, 4, 5, 6, 7] as PartitionId[]);

function plan<K extends Plan['kind']>(kind: K, sql: string): Plan & { kind: K } {
  const made = planStatement(parseStatement(sql), sql, schema);
  expect(made.kind).toBe(kind);
  return made as Plan & { kind: K };
}

function pin(sql: string, args: SqlValue[]): string {
  const bound = bindPin(plan('route', sql).pin, args, map);
  return bound.kind === 'one' ? `${bound.partition}` : bound.kind;
}

describe('binding', () => {
  it('goes where equal keys are', () => {
    const sql = 'SELECT * FROM t WHERE k = ?';
    expect(pin(sql, ['Abc'])).toBe(pin(sql, ['aBC']));
    expect(pin(sql, [5n])).toBe(pin(sql, ['5']));
    expect(pin(sql, [5n])).toBe(pin("INSERT INTO t VALUES ('5', 1)", []));
    expect(pin(sql, [])).toBe(pin('SELECT * FROM t WHERE k IS NULL', []));
  });

  it('lets any partition generate a key', () => {
    expect(pin('INSERT INTO g VALUES (?, ?)', [null, 'x'])).toBe('any');
    expect(pin('INSERT INTO g VALUES (?, ?)', ['7', 'x'])).toBe(pin('SELECT * FROM g WHERE id = 7', []));
    expect(pin('INSERT INTO g (v) VALUES (?)', ['x'])).toBe('any');
  });

  it('asks only the partitions of an IN list', () => {
    const { targets } = plan('scatter', "SELECT * FROM t WHERE k IN (?, 'ABC')");
    expect(bindTargets(targets, ['abc'], map)).toHaveLength(1);
    expect(bindTargets(plan('scatter', 'SELECT * FROM t').targets, [], map)).toHaveLength(7);
  });

  it('cuts an INSERT by rows', () => {
    const sql = 'INSERT INTO t (k, a) VALUES (?, 1), (:k, ?), (?1, 3) RETURNING a';
    const { rows } = plan('scatter-write', sql);
    const parts = bindRows(rows ?? expect.fail(), ['p', 'q', 5n], map);
    expect(parts.map((part) => part.sql).sort()).toEqual([
      'INSERT INTO t (k, a) VALUES (?1, 1), (?1, 3) RETURNING a',
      'INSERT INTO t (k, a) VALUES (?2, ?3) RETURNING a',
    ]);
    expect(bindRows(rows ?? expect.fail(), ['p', 'P', 5n], map)).toHaveLength(1);
  });

  it('gives all partitions one instant', () => {
    const now = '2026-01-02 03:04:05.678';
    const scatter = plan(
      'scatter',
      "SELECT datetime('now'), date(?), ?1, CURRENT_TIME, unixepoch() FROM t LIMIT ? OFFSET ?",
    );
    expect(scatter.sql).toBe(
      `SELECT datetime(?1) AS "datetime('now')", date(?2) AS "date(?)", ?3 AS "?1", time(?1) AS "CURRENT_TIME", unixepoch(?1) AS "unixepoch()" FROM t LIMIT ?4`,
    );
    expect(bindParameters(scatter, ['now', 3n, 4n], now)).toEqual([now, now, 'now', 7n]);
  });
});

describe('EXPLAIN', () => {
  const steps = (sql: string): string[] => {
    const made = planStatement(parseStatement(sql), sql, schema);
    return explainPlan(made).map(({ step, detail }) => `${step}: ${detail}`);
  };

  it('tells kind, reason, statement and merge', () => {
    expect(steps('EXPLAIN SELECT a, count(*) FROM t GROUP BY a ORDER BY 2 LIMIT 3')).toEqual([
      'scatter: partial groups of each partition are grouped again',
      'partitions: all',
      'partitioned tables: t',
      'each runs: SELECT (a), count(*) FROM t GROUP BY 1',
      'merge: group: by 1 columns; fold count',
      'merge: sort: 2 BINARY',
      'merge: limit: LIMIT and OFFSET over all rows',
    ]);
    expect(steps('EXPLAIN QUERY PLAN SELECT * FROM t WHERE k = ?')[1]).toBe('partition: that of key (?1)');
    expect(steps('EXPLAIN UPDATE t SET a = 1').at(-1)).toBe(
      'atomicity:"partition": runs in each partition by itself',
    );
    expect(steps('EXPLAIN UPDATE t SET a = (SELECT random())').at(-1)).toMatch(/^refused: random\(\)/);
    expect(steps('EXPLAIN SELECT group_concat(a) FROM t')[0]).toBe('refused: unsupported');
  });
});
