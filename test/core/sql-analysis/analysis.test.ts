import { describe, expect, it } from 'vitest';
import { Analyzer } from '../../../src/core/sql/analysis/analyzer.ts';
import type { SelectModel } from '../../../src/core/sql/analysis/model.ts';
import { reachOf } from '../../../src/core/sql/analysis/reach.ts';
import { Refusal } from '../../../src/core/sql/analysis/refusal.ts';
import { parseStatement } from '../../../src/core/sql/parse.ts';
import { modelSchema } from '../plan/model-schema.ts';

const { schema } = modelSchema(`
  CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT COLLATE NOCASE, a INTEGER, b) PARTITION BY (k);
  CREATE TABLE u (k TEXT COLLATE NOCASE, x REAL) PARTITION BY (k);
  CREATE TABLE o (k TEXT, x REAL) PARTITION BY (k);
  CREATE TABLE r (code TEXT, v INTEGER) REFERENCE;
  CREATE VIEW v (one, two) AS SELECT k, a + 1 FROM t;
  CREATE TABLE p (k INTEGER PRIMARY KEY);
  CREATE TABLE c (k INTEGER REFERENCES p ON DELETE CASCADE, id INTEGER PRIMARY KEY) PARTITION BY (k);
  CREATE TABLE gc (k INTEGER, n INTEGER) PARTITION BY (k);
  CREATE TRIGGER cd AFTER DELETE ON c BEGIN DELETE FROM gc WHERE k = OLD.k; END;
  CREATE TABLE stray (k INTEGER PRIMARY KEY);
  CREATE TRIGGER sd AFTER INSERT ON stray BEGIN DELETE FROM gc WHERE n = NEW.k; END;
`);

function analyse(sql: string): { analyzer: Analyzer; model: SelectModel } {
  const { statement } = parseStatement(sql);
  if (statement.kind !== 'select') throw new Error(sql);
  const analyzer = new Analyzer(schema, sql);
  return { analyzer, model: analyzer.select(statement, null, null) };
}

function codeOf(run: () => unknown): string {
  try {
    run();
    return 'fine';
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
}

describe('names', () => {
  const columns = (sql: string): string[] => analyse(sql).model.outputs.map((output) => output.name);

  it('gives result columns as SQLite names them', () => {
    expect(columns('SELECT *, ROWID, a+ 1, (a), t.B AS "q q" FROM t')).toEqual([
      'id',
      'k',
      'a',
      'b',
      'id',
      'a+ 1',
      'a',
      'q q',
    ]);
    expect(columns('SELECT * FROM t JOIN u USING (k)')).toEqual(['id', 'k', 'a', 'b', 'x']);
    expect(columns('SELECT u.* FROM t NATURAL JOIN u')).toEqual(['k', 'x']);
    expect(columns('SELECT * FROM (SELECT a, a, a AS z FROM t)')).toEqual(['a', 'a:1', 'z']);
    expect(columns('SELECT * FROM v')).toEqual(['one', 'two']);
    expect(columns('VALUES (1, 2)')).toEqual(['column1', 'column2']);
    expect(columns('WITH w(p) AS (SELECT k FROM t) SELECT * FROM w')).toEqual(['p']);
  });

  it('carries affinity and collation to them', () => {
    const { model } = analyse('SELECT k, a, b, a + 1, CAST(b AS REAL), b COLLATE RTRIM, +k, v.one FROM t, v');
    const classes = model.outputs.map(({ affinity, collation }) => `${affinity} ${collation}`);
    expect(classes).toEqual([
      'TEXT NOCASE',
      'INTEGER BINARY',
      'BLOB BINARY',
      'null null',
      'REAL BINARY',
      'BLOB RTRIM',
      'null NOCASE',
      'TEXT NOCASE',
    ]);
  });

  it('refuses what does not exist or is ambiguous', () => {
    expect(codeOf(() => analyse('SELECT zz FROM t'))).toBe('no-such-column');
    expect(codeOf(() => analyse('SELECT t.x FROM t, u'))).toBe('no-such-column');
    expect(codeOf(() => analyse('SELECT k FROM t, u'))).toBe('syntax');
    expect(codeOf(() => analyse('SELECT 1 FROM temp.t'))).toBe('no-such-table');
    expect(codeOf(() => analyse('SELECT zz.* FROM t'))).toBe('no-such-table');
    expect(codeOf(() => analyse('SELECT "zz", TRUE FROM t'))).toBe('fine');
    expect(codeOf(() => analyse('SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM r WHERE v = t.a)'))).toBe(
      'fine',
    );
    expect(codeOf(() => analyse('WITH a AS (SELECT * FROM b), b AS (SELECT * FROM a) SELECT * FROM a'))).toBe(
      'syntax',
    );
  });

  it('knows a common table expression before a table', () => {
    expect(analyse('WITH t AS (SELECT 1) SELECT * FROM t').analyzer.uses).toEqual([]);
    expect(analyse('WITH t AS (SELECT 1) SELECT * FROM main.t').analyzer.uses.length).toBe(1);
    expect(analyse('WITH w AS (SELECT * FROM t) SELECT * FROM w, w AS x').analyzer.uses.length).toBe(2);
    expect(analyse('WITH w AS (SELECT * FROM t) SELECT 1').analyzer.uses.length).toBe(0);
  });
});

describe('anchors', () => {
  const anchor = (sql: string): string => analyse(sql).model.anchor.kind;

  it('says which selects fall apart by key', () => {
    expect(anchor('SELECT a FROM t')).toBe('nodes');
    expect(anchor('SELECT k, count(*) FROM t GROUP BY k')).toBe('nodes');
    expect(anchor('SELECT * FROM t JOIN u ON u.k = t.k')).toBe('nodes');
    expect(anchor('SELECT k FROM t UNION SELECT k FROM u')).toBe('outputs');
    expect(anchor('SELECT DISTINCT k, a FROM t')).toBe('nodes');
  });

  it('and which do not', () => {
    for (const sql of [
      'SELECT count(*) FROM t',
      'SELECT DISTINCT a FROM t',
      'SELECT a FROM t LIMIT 1',
      'SELECT * FROM t JOIN o ON o.k = t.k',
      'SELECT * FROM r LEFT JOIN t ON t.k = r.code',
      'SELECT * FROM t FULL JOIN u ON u.k = t.k',
      'SELECT u.k, count(*) FROM t LEFT JOIN u ON u.k = t.k GROUP BY u.k',
      'SELECT a FROM t UNION SELECT x FROM u',
      'SELECT sum(a) OVER () FROM t',
      'SELECT 1 FROM r',
    ]) {
      expect(anchor(sql), sql).toBe('none');
    }
  });
});

describe('what writes reach', () => {
  const table = (name: string) => schema.table(name) ?? expect.fail(name);

  it('follows foreign keys and triggers', () => {
    expect(reachOf(schema, table('p'), ['DELETE'], null)).toEqual(['c', 'gc']);
    expect(reachOf(schema, table('p'), ['INSERT'], null)).toEqual([]);
    expect(reachOf(schema, table('c'), ['DELETE'], null)).toEqual(['gc']);
  });

  it('refuses triggers that touch other keys', () => {
    expect(codeOf(() => reachOf(schema, table('stray'), ['INSERT'], null))).toBe('unsupported');
    expect(codeOf(() => reachOf(schema, table('stray'), ['DELETE'], null))).toBe('fine');
  });
});
