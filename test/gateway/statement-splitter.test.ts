import { expect, test } from 'vitest';
import { StatementSplitter } from '../../src/gateway/restore/statement-splitter.ts';

const SCRIPT = `-- a comment; with a semicolon
PRAGMA foreign_keys=OFF;
INSERT INTO "a;b" VALUES('it''s; -- no',x'00',[odd;name], \`c;d\`); ;
/* ; */ CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN
  SELECT CASE WHEN 1 THEN 'END;' END;
  SELECT 1 - 2 / 3;
END;
create table end (begin, trigger);
CREATE TABLE t (a) /*atoll PARTITION BY ("a") */;
5;
COMMIT`;

function split(pieces: readonly string[]): { sql: string; line: number; number: number }[] {
  const splitter = new StatementSplitter();
  const found: { sql: string; line: number; number: number }[] = [];
  const take = () => {
    for (let next = splitter.next(); next !== null; next = splitter.next()) found.push(next);
  };
  for (const piece of pieces) {
    splitter.push(piece);
    take();
  }
  splitter.end();
  take();
  return found;
}

test('statements with their lines, however the text is cut', () => {
  const whole = split([SCRIPT]);
  expect(whole.map(({ line }) => line)).toEqual([2, 3, 4, 8, 9, 10, 11]);
  expect(whole.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(whole[1]?.sql.trim()).toBe(`INSERT INTO "a;b" VALUES('it''s; -- no',x'00',[odd;name], \`c;d\`)`);
  expect(whole[2]?.sql.trim()).toMatch(/^\/\* ; \*\/ CREATE TEMP TRIGGER[\s\S]*END$/);
  expect(whole[6]?.sql.trim()).toBe('COMMIT');
  for (let size = 1; size < 40; size++) {
    const pieces = SCRIPT.match(new RegExp(`[\\s\\S]{1,${size}}`, 'g')) ?? [];
    expect(split(pieces)).toEqual(whole);
  }
});

test('what is not closed is the last statement, for the parser to refuse', () => {
  expect(split(["SELECT 1; SELECT 'open"]).map(({ sql }) => sql)).toEqual(['SELECT 1', " SELECT 'open"]);
  expect(split(['SELECT 1; /* open'])).toHaveLength(1);
  expect(split(['-- only a comment'])).toEqual([]);
  expect(split(['CREATE TRIGGER t BEGIN SELECT 1; SELECT 2;'])).toHaveLength(1);
});

test('a statement without an end is refused before it fills the memory', () => {
  const splitter = new StatementSplitter();
  expect(() => {
    for (let n = 0; n < 100; n++) {
      splitter.push(`'${'x'.repeat(200_000)}'`);
      splitter.next();
    }
  }).toThrow(/statement 1 in line 1 is longer/);
});
