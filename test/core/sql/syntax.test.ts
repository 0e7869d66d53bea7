import { expect, test } from 'vitest';
import type { Kind, NodeOf, ParsedStatement } from '../../../src/core/sql/ast.ts';
import { SqlSyntaxError } from '../../../src/core/sql/error.ts';
import { truthValue } from '../../../src/core/sql/name.ts';
import { parseScript, parseStatement } from '../../../src/core/sql/parse.ts';
import { findAll } from '../../../src/core/sql/walk.ts';

/** Source of every node of one kind. */
function spans(sql: string, kind: Kind): string[] {
  return findAll(parseStatement(sql).statement, kind).map(({ start, end }) => sql.slice(start, end));
}

function first<K extends Kind>(sql: string, kind: K): NodeOf<K> {
  const [node] = findAll(parseStatement(sql).statement, kind);
  if (node === undefined) throw new Error(`no ${kind} in ${sql}`);
  return node;
}

function failure(run: () => unknown): SqlSyntaxError {
  try {
    run();
  } catch (error) {
    if (error instanceof SqlSyntaxError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

const indexes = (parsed: ParsedStatement): (number | string | null)[] =>
  parsed.parameters.flatMap(({ name, index }) => [name, index]);

test('spans: an operand keeps its parentheses in the operator above it, never in itself', () => {
  expect(spans('SELECT (a + b) * ((c))', 'binary')).toEqual(['(a + b) * ((c))', 'a + b']);
  expect(spans('SELECT (a + b) * ((c))', 'column')).toEqual(['a', 'b', 'c']);
  expect(spans('SELECT  ( a )  AS x', 'result-expression')).toEqual(['( a )  AS x']);
  expect(spans('SELECT -(a) NOT NULL', 'null-test')).toEqual(['-(a) NOT NULL']);
  expect(spans('SELECT (a) BETWEEN (b) AND (c) OR d', 'between')).toEqual(['(a) BETWEEN (b) AND (c)']);
});

test('spans: trailing space and comments belong to nothing', () => {
  expect(spans('SELECT a /* x */ , b -- y\n FROM t /* z */', 'result-expression')).toEqual(['a', 'b']);
  const [one, two] = parseScript(' /* a */ SELECT 1 /* b */ ; ;; -- c\n SELECT 2 ; ');
  expect([one?.start, one?.end, two?.start, two?.end]).toEqual([9, 17, 37, 45]);
});

test('spans: offsets are UTF-16', () => {
  expect(spans("SELECT '😀', é", 'column')).toEqual(['é']);
});

test('spans: clauses start at their keyword', () => {
  const sql = 'SELECT a FROM t WHERE b LIMIT 1 OFFSET 2';
  expect(spans(sql, 'limit')).toEqual(['LIMIT 1 OFFSET 2']);
  expect(spans('INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING RETURNING a', 'upsert')).toEqual([
    'ON CONFLICT DO NOTHING',
  ]);
  expect(spans('CREATE TABLE t(a INT CONSTRAINT n NOT NULL)', 'not-null')).toEqual(['CONSTRAINT n NOT NULL']);
  expect(spans('CREATE TABLE t(a INT GENERATED ALWAYS AS (1) STORED)', 'generated')).toEqual([
    'GENERATED ALWAYS AS (1) STORED',
  ]);
});

test('tree: names lose their quotes, and keep which', () => {
  const names = findAll(parseStatement(`SELECT "a""b", [c d], \`e\`, f, 'g'.h`).statement, 'identifier');
  expect(names.map(({ name, quote }) => [name, quote])).toEqual([
    ['a"b', '"'],
    ['c d', '['],
    ['e', '`'],
    ['f', ''],
    ['g', "'"],
    ['h', ''],
  ]);
});

test('tree: literals have their value', () => {
  const sql = "SELECT 1_000, 0x1_F, 1_0.5e1, 'it''s', x'0Aff', NULL";
  expect(findAll(parseStatement(sql).statement, 'literal').map(({ type, value }) => [type, value])).toEqual([
    ['integer', '1000'],
    ['integer', '0x1F'],
    ['real', '10.5e1'],
    ['text', "it's"],
    ['blob', '0Aff'],
    ['null', ''],
  ]);
});

test('tree: operators that mean the same are the same', () => {
  const sql = 'SELECT a == b, a <> b, a IS DISTINCT FROM b, a IS NOT DISTINCT FROM b, a IS NOT b';
  const operators = findAll(parseStatement(sql).statement, 'binary').map(({ operator }) => operator);
  expect(operators).toEqual(['=', '!=', 'IS NOT', 'IS', 'IS NOT']);
});

test('tree: a function call has its lower-cased name and everything that hangs on it', () => {
  const call = first(
    'SELECT SUM(DISTINCT a ORDER BY b) FILTER (WHERE c) OVER w FROM t WINDOW w AS ()',
    'function',
  );
  expect(call).toMatchObject({
    function: 'sum',
    distinct: true,
    star: false,
    filter: { kind: 'column' },
    over: { kind: 'identifier', name: 'w' },
  });
  expect(first('SELECT count(*)', 'function')).toMatchObject({ star: true, arguments: [] });
});

test('tree: joins are a flat chain with their kinds', () => {
  const { from } = first(
    'SELECT 1 FROM a, b NATURAL FULL JOIN c CROSS JOIN (d RIGHT JOIN e USING (x, y))',
    'select-core',
  );
  expect(from?.joins.map(({ type, natural }) => [type, natural])).toEqual([
    ['comma', false],
    ['full', true],
    ['cross', false],
  ]);
  expect(from?.joins[2]?.table).toMatchObject({ kind: 'nested-join', from: { joins: [{ type: 'right' }] } });
});

test('tree: TRUE and FALSE are columns that can be told', () => {
  const { columns } = first('SELECT true, FALSE, "true", t.true, x', 'select-core');
  const values = columns.map((column) =>
    column.kind === 'result-expression' ? truthValue(column.expression) : 0,
  );
  expect(values).toEqual([true, false, null, null, null]);
});

test('parameters: numbered as SQLite numbers them', () => {
  expect(indexes(parseStatement('SELECT ?, ?5, ?, :a, @a, :a, ?2, $b::c(d)'))).toEqual([
    ...[null, 1, '?5', 5, null, 6, ':a', 7, '@a', 8, ':a', 7, '?2', 2, '$b::c(d)', 9],
  ]);
  expect(parseStatement('SELECT ?7').parameterCount).toBe(7);
  const [one, two] = parseScript('SELECT ?, :a; SELECT :a');
  expect([one?.parameterCount, two?.parameterCount]).toEqual([2, 1]);
});

test('parameters: each has its place', () => {
  const sql = 'SELECT a FROM t WHERE b = ? LIMIT :n';
  expect(parseStatement(sql).parameters.map(({ start, end }) => sql.slice(start, end))).toEqual(['?', ':n']);
});

test('scripts: a trigger is one statement', () => {
  const sql = "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT ';'; DELETE FROM u; END; SELECT 2";
  expect(parseScript(sql).map(({ statement }) => statement.kind)).toEqual(['create-trigger', 'select']);
});

test('scripts: exactly one where one is wanted', () => {
  expect(failure(() => parseStatement('')).kind).toBe('no-statement');
  expect(failure(() => parseStatement(' ; -- x')).kind).toBe('no-statement');
  const several = failure(() => parseStatement('SELECT 1; SELECT 2'));
  expect([several.kind, several.offset]).toEqual(['several-statements', 10]);
});

test('errors: place, token and what was expected', () => {
  const error = failure(() => parseStatement('SELECT *\n  FORM t'));
  expect(error).toMatchObject({ kind: 'syntax', offset: 11, line: 2, column: 3, near: 'FORM' });
  expect(error.message).toMatch(/^near "FORM": syntax error/);
  expect(failure(() => parseStatement('SELECT (1')).kind).toBe('incomplete');
  expect(failure(() => parseStatement('DROP 1')).expected).toEqual(['TABLE', 'INDEX', 'VIEW', 'TRIGGER']);
  expect(failure(() => parseStatement("SELECT 'a")).message).toMatch(/^unrecognized token: "'a"/);
});

test('errors: a NUL is refused, not taken for the end', () => {
  for (const sql of [
    'SELECT 1\0; DROP TABLE t',
    "SELECT 'a\0b'",
    'SELECT 1 -- \0',
    'SELECT /* \0 */ 1',
    'SELECT "\0"',
  ]) {
    expect(failure(() => parseStatement(sql)).kind).toBe('unrecognized-token');
  }
});

const nested = (depth: number, open: string, inner: string, close: string): string =>
  `SELECT ${open.repeat(depth)}${inner}${close.repeat(depth)}`;

test('limits: nesting is capped with a clear error, in every construct', () => {
  const shapes: [string, string, string][] = [
    ['(', '1', ')'],
    ['- ', '1', ''],
    ['NOT ', '1', ''],
    ['f(', '1', ')'],
    ['(SELECT ', '1', ')'],
    ['CASE WHEN 1 THEN ', '1', ' END'],
    ['1 IN (', '1', ')'],
    ['1 BETWEEN ', '1', ' AND 1'],
    ['CAST(', '1', ' AS x)'],
    ['EXISTS (SELECT ', '1', ')'],
    ['* FROM (SELECT ', '1', ')'],
    ['sum(1) OVER (ORDER BY ', '1', ')'],
  ];
  for (const [open, inner, close] of shapes) {
    expect(() => parseStatement(nested(40, open, inner, close)), open).not.toThrow();
    for (const depth of [300, 10_000, 100_000]) {
      expect(failure(() => parseStatement(nested(depth, open, inner, close))).kind, open).toBe('too-deep');
    }
  }
  const tables = failure(() => parseStatement(`SELECT 1 FROM ${'('.repeat(10_000)}t${')'.repeat(10_000)}`));
  expect(tables.kind).toBe('too-deep');
  const common = failure(() => parseStatement(`${'WITH a AS ('.repeat(10_000)}SELECT 1`));
  expect(common.kind).toBe('too-deep');
});

test('limits: long chains are read up to the height of SQLite, long lists without end', () => {
  const chain = (length: number): string => `SELECT ${'a OR '.repeat(length)}a`;
  expect(findAll(parseStatement(chain(900)).statement, 'binary')).toHaveLength(900);
  expect(failure(() => parseStatement(chain(1001))).kind).toBe('too-deep');
  expect(
    failure(() => parseStatement(`SELECT ${'('.repeat(90)}1${`${'+1'.repeat(50)})`.repeat(90)}`)).kind,
  ).toBe('too-deep');
  const list = parseStatement(`SELECT 1 IN (${'1,'.repeat(20_000)}1) FROM t${', t'.repeat(5000)}`);
  expect(findAll(list.statement, 'literal')).toHaveLength(20_002);
  const compound = parseStatement(`SELECT 1${' UNION ALL SELECT 1'.repeat(5000)}`);
  expect(findAll(compound.statement, 'compound')).toHaveLength(5000);
});
