import { expect, test } from 'vitest';
import { SqlSyntaxError } from '../../../src/core/sql/error.ts';
import { parseScript, parseStatement } from '../../../src/core/sql/parse.ts';
import { answer, verdict } from '../../conformance/oracle.ts';
import { parenthesize } from '../../conformance/parenthesize.ts';
import { grammarLines, openFixture } from './fixture.ts';

/** Null, or the message of the error. Anything but a SqlSyntaxError goes through. */
function refusal(sql: string): string | null {
  try {
    parseScript(sql);
    return null;
  } catch (error) {
    if (error instanceof SqlSyntaxError) return error.message;
    throw error;
  }
}

const lines = grammarLines();

test('grammar: the corpus has statements of both sorts', () => {
  expect(lines.filter((line) => line.good).length).toBeGreaterThan(300);
  expect(lines.filter((line) => !line.good).length).toBeGreaterThan(250);
});

test('grammar: every statement is read or refused as SQLite does', () => {
  const database = openFixture();
  const wrong = lines.flatMap(({ sql, good, line }) => {
    const sqlite = verdict(database, sql);
    const ours = refusal(sql);
    const right = (ours === null) === good && (sqlite.verdict !== 'syntax') === good;
    return right ? [] : [{ line, sql, sqlite, ours }];
  });
  expect(wrong).toEqual([]);
});

test('grammar: refusals start with the message of SQLite', () => {
  const database = openFixture();
  const different = lines.flatMap(({ sql, good, line }) => {
    const message = refusal(sql);
    if (good || message === null) return [];
    const theirs = verdict(database, sql).message;
    return message.startsWith(theirs) ? [] : [{ line, sql, message, theirs }];
  });
  // A few differ because SQLite reads on where the rest can no longer be right, or names another clause.
  expect(different.length).toBeLessThan(lines.length / 20);
});

/** Whose answer differs each time, or depends on what runs in the same connection. */
const UNREPEATABLE = /random|now|current_time|VACUUM|explain/i;

test('grammar: explicit parentheses around every expression change no answer', () => {
  let pairs = 0;
  const wrong = lines.flatMap(({ sql, good, line }) => {
    if (!good || UNREPEATABLE.test(sql)) return [];
    const wrapped = parenthesize(sql);
    pairs += wrapped.pairs;
    const expected = everything(sql);
    const actual = everything(wrapped.sql);
    return expected === actual ? [] : [{ line, sql: wrapped.sql, expected, actual }];
  });
  expect(wrong).toEqual([]);
  expect(pairs).toBeGreaterThan(1200);
});

/** What the statement answers, and what all tables hold afterwards. */
function everything(sql: string): string {
  const database = openFixture();
  const result = answer(database, sql);
  const tables = ['t1', 't2', 't3', 'one', 'v1', 'n1'].map((table) =>
    answer(database, `SELECT * FROM ${table}`),
  );
  database.close();
  return [result.startsWith('error: near') ? result : result.replace(/\(+(\w+)\)+/g, '$1'), ...tables].join(
    '\n',
  );
}

test('grammar: what this build of SQLite leaves out is read nevertheless', () => {
  // workerd has SQLITE_ENABLE_UPDATE_DELETE_LIMIT; node:sqlite does not.
  const update = parseStatement(
    'UPDATE t1 SET a = 1 WHERE b RETURNING a ORDER BY a DESC LIMIT 1 OFFSET 2',
  ).statement;
  expect(update).toMatchObject({
    kind: 'update',
    orderBy: [{ direction: 'DESC' }],
    limit: { kind: 'limit' },
  });
  const del = parseStatement('DELETE FROM t1 ORDER BY a LIMIT 5').statement;
  expect(del).toMatchObject({ kind: 'delete', limit: { count: { value: '5' }, offset: null } });
});
