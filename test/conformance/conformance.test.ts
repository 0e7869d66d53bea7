import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkFolder } from './check.ts';
import { readRecords } from './sqllogictest.ts';

test('conformance: every statement of the corpus that SQLite accepts is read, and means the same with parentheses', () => {
  const summary = checkFolder(join(import.meta.dirname, 'corpus'), { parentheses: true });
  expect(summary.failures).toEqual([]);
  expect(summary.accepted).toBeGreaterThan(7000);
  expect(summary.pairs).toBeGreaterThan(100_000);
});

test('conformance: records are found with their lines, engines and ends', () => {
  const text = [
    'hash-threshold 8',
    '',
    'onlyif mssql',
    'halt',
    '',
    'statement ok',
    'CREATE TABLE t(a)',
    '',
    'skipif sqlite',
    'query I rowsort label-1',
    'SELECT a',
    'FROM t',
    '----',
    '1',
    '2',
    '',
    'statement error',
    'SELECT',
    '',
    'halt',
    '',
    'statement ok',
    'never',
  ].join('\r\n');
  expect(readRecords(text)).toEqual([
    { sql: 'CREATE TABLE t(a)', query: false, line: 7, forSqlite: true },
    { sql: 'SELECT a\nFROM t', query: true, line: 11, forSqlite: false },
    { sql: 'SELECT', query: false, line: 18, forSqlite: true },
  ]);
});

function runMain(folder: string): { status: number | null; stdout: string } {
  const main = join(import.meta.dirname, 'main.ts');
  const { status, stdout } = spawnSync(process.execPath, [main, '--corpus', folder], { encoding: 'utf8' });
  return { status, stdout };
}

test('conformance: the script fails when it finds no statement', () => {
  const { status, stdout } = runMain(mkdtempSync(join(tmpdir(), 'atoll-')));
  expect(status).toBe(1);
  expect(stdout).toContain('0 statements');
});

test('conformance: the script counts and lists', () => {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-'));
  writeFileSync(join(folder, 'a.test'), 'statement ok\nSELECT 1; SELECT 2\n\nstatement error\nSELEC 1\n');
  const { status, stdout } = runMain(folder);
  expect(stdout).toContain('1 files, 2 statements, 2 distinct, 1 accepted by SQLite, 0 failures');
  expect(status).toBe(0);
});
