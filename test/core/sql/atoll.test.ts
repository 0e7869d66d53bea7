import { expect, test } from 'vitest';
import type { CreateTable, Select } from '../../../src/core/sql/ast.ts';
import { SqlSyntaxError } from '../../../src/core/sql/error.ts';
import { parseScript, parseStatement } from '../../../src/core/sql/parse.ts';
import { splice } from '../../../src/core/sql/splice.ts';
import { verdict } from '../../conformance/oracle.ts';
import { openFixture } from './fixture.ts';

function createTable(sql: string): CreateTable {
  const { statement } = parseStatement(sql);
  if (statement.kind !== 'create-table') throw new Error(statement.kind);
  return statement;
}

/** The clauses in short, and what is left for SQLite. */
function clauses(sql: string): { clauses: string[]; rest: string } {
  const table = createTable(sql);
  const short = table.clauses.map((clause) =>
    clause.kind === 'partition-by' ? `partition ${clause.columns.map(({ name }) => name)}` : clause.kind,
  );
  return {
    clauses: short,
    rest: splice(
      sql,
      table.clauses.map(({ start, end }) => ({ start, end, text: '' })),
    ),
  };
}

const CASES: [string, string[]][] = [
  ['CREATE TABLE n(a) PARTITION BY (a)', ['partition a']],
  ['CREATE TABLE n(a, b) partition by ("a", b)', ['partition a,b']],
  ['CREATE TABLE n(a) REFERENCE', ['reference']],
  ['CREATE TABLE n(a) APPEND ONLY', ['append-only']],
  ['CREATE TABLE n(a) PARTITION BY (a) APPEND ONLY', ['partition a', 'append-only']],
  ['CREATE TABLE n(a PRIMARY KEY) WITHOUT ROWID PARTITION BY (a)', ['partition a']],
  ['CREATE TABLE n(a INT PRIMARY KEY) PARTITION BY (a) WITHOUT ROWID, STRICT', ['partition a']],
  [
    'CREATE TABLE n(a INT PRIMARY KEY) APPEND ONLY STRICT, WITHOUT ROWID REFERENCE',
    ['append-only', 'reference'],
  ],
  ['CREATE TABLE n(a) /*atoll PARTITION BY (a) */', ['partition a']],
  ['CREATE TABLE n(a INT) /*atoll REFERENCE*/ STRICT', ['reference']],
  [
    'CREATE TABLE n(a INT) STRICT /*atoll\nPARTITION BY (a) -- why\n APPEND ONLY */;',
    ['partition a', 'append-only'],
  ],
  ['CREATE TABLE n PARTITION BY (a) AS SELECT 1 AS a', ['partition a']],
  ['CREATE TABLE n AS SELECT a FROM t1 /*atoll PARTITION BY (a) */', ['partition a']],
];

test('clauses: understood in every place, and SQLite takes what is left', () => {
  const database = openFixture();
  for (const [sql, expected] of CASES) {
    const { clauses: found, rest } = clauses(sql);
    expect(found, sql).toEqual(expected);
    expect(verdict(database, rest), rest).toEqual({ verdict: 'accepted', message: '' });
    if (sql.includes('/*')) expect(verdict(database, sql).verdict, sql).toBe('accepted');
  }
});

test('clauses: the words stay names everywhere else', () => {
  for (const sql of [
    'CREATE TABLE reference(reference, append, only, partition)',
    'SELECT reference, append, partition FROM reference append',
    'SELECT 1 /* atoll */ /*atolls PARTITION BY */ /* atoll PARTITION BY (a) */',
  ]) {
    expect(() => parseStatement(sql), sql).not.toThrow();
  }
});

test('clauses: mistakes are errors, never ignored', () => {
  for (const sql of [
    'CREATE TABLE n(a) PARTITION BY (a) REFERENCE',
    'CREATE TABLE n(a) PARTITION BY a',
    'CREATE TABLE n(a) PARTITION BY ()',
    'CREATE TABLE n(a) PARTITION BY (a + 1)',
    'CREATE TABLE n(a) APPEND',
    'CREATE TABLE n(a) STRICT, PARTITION BY (a)',
    'CREATE TABLE n(a) /*atoll PARTITON BY (a) */',
    'CREATE TABLE n(a) /*atoll */',
    'CREATE TABLE n(a) /*atoll PARTITION BY (a)',
    'CREATE TABLE n(a /*atoll PARTITION BY (a) */)',
    'SELECT 1 /*atoll REFERENCE */',
    'ALTER TABLE n PARTITION BY',
    'ALTER TABLE n APPEND ONLY',
  ]) {
    expect(() => parseStatement(sql), sql).toThrow(SqlSyntaxError);
  }
});

test('clauses: ALTER TABLE changes the placement', () => {
  const by = parseStatement('ALTER TABLE main.n PARTITION BY (c, d)').statement;
  expect(by).toMatchObject({
    kind: 'alter-table',
    action: { kind: 'partition-by', columns: [{ name: 'c' }, { name: 'd' }] },
  });
  expect(parseStatement('ALTER TABLE n REFERENCE').statement).toMatchObject({
    action: { kind: 'reference' },
  });
});

function asOf(sql: string): string | null {
  const { statement } = parseStatement(sql);
  const select = (statement.kind === 'explain' ? statement.statement : statement) as Select;
  return select.asOf === null ? null : sql.slice(select.asOf.start, select.asOf.end);
}

test('AS OF: ends a whole SELECT', () => {
  const endings = [
    "AS OF '2026-01-01'",
    'as of ?',
    'AS OF :t',
    'AS OF (1 + 1)',
    'AS OF -5',
    "AS OF datetime('now', '-1 hour')",
  ];
  for (const ending of endings) {
    for (const select of [
      'SELECT 1',
      'SELECT a FROM t',
      'SELECT a b FROM t u WHERE c = 1',
      'SELECT a FROM t AS u JOIN v USING (x)',
      'SELECT a FROM t ORDER BY a LIMIT 1',
      'SELECT 1 UNION SELECT 2',
      'WITH w AS (SELECT 1) SELECT * FROM w',
      'EXPLAIN SELECT 1',
      'VALUES (1)',
    ]) {
      expect(asOf(`${select} ${ending};`), select).toBe(ending);
    }
  }
});

test('AS OF: an alias named of stays one', () => {
  for (const sql of [
    'SELECT 1 AS of',
    'SELECT a AS of, b FROM t',
    'SELECT a FROM t AS of',
    'SELECT a FROM t AS of LEFT JOIN u',
  ]) {
    expect(asOf(sql), sql).toBeNull();
  }
});

test('AS OF: nowhere else', () => {
  for (const sql of [
    "SELECT * FROM (SELECT a FROM t AS OF '1')",
    "INSERT INTO t SELECT a FROM u AS OF '1'",
    "CREATE VIEW v AS SELECT 1 AS OF '1'",
    "SELECT 1 AS OF '1' UNION SELECT 2",
    "SELECT 1 AS OF '1' AS OF '2'",
    "DELETE FROM t AS OF '1'",
  ]) {
    expect(() => parseScript(sql), sql).toThrow(SqlSyntaxError);
  }
});
