import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SqlSyntaxError } from '../../../src/core/sql/error.ts';
import { tokenize } from '../../../src/core/sql/lexer.ts';
import { parseScript } from '../../../src/core/sql/parse.ts';
import { walk } from '../../../src/core/sql/walk.ts';
import { testFiles } from '../../conformance/check.ts';
import { answer, verdict } from '../../conformance/oracle.ts';
import { parenthesize } from '../../conformance/parenthesize.ts';
import { readRecords } from '../../conformance/sqllogictest.ts';
import { grammarLines, openFixture } from './fixture.ts';

/** ATOLL_SEED replays a run, ATOLL_RUNS makes it longer; fast-check prints the seed of a failure. */
const seed = process.env.ATOLL_SEED === undefined ? 1 : Number(process.env.ATOLL_SEED);
const numRuns = Number(process.env.ATOLL_RUNS ?? 10_000);

/** Longest time that one short text may take. */
const SLOW_MS = 500;

/** The corpus to mutate: the grammar's statements, and every twentieth of sqllogictest's. */
const grammar = grammarLines().map(({ sql }) => sql);
const records = testFiles(join(import.meta.dirname, '../../conformance/corpus')).flatMap((path) =>
  readRecords(readFileSync(path, 'utf8'))
    .filter((_record, index) => index % 20 === 0)
    .map(({ sql }) => sql),
);
const corpus = [...grammar, ...records];

/** Null if it was read, the error if it was refused; anything else that is thrown goes through. */
function read(sql: string): SqlSyntaxError | null {
  const started = performance.now();
  try {
    for (const { statement } of parseScript(sql)) walk(statement, {});
    return null;
  } catch (error) {
    if (!(error instanceof SqlSyntaxError)) throw error;
    expect(error.offset).toBeGreaterThanOrEqual(0);
    expect(error.offset).toBeLessThanOrEqual(sql.length);
    return error;
  } finally {
    expect(performance.now() - started).toBeLessThan(SLOW_MS);
  }
}

test('fuzz: random bytes give a typed error or a statement', () => {
  const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array).toString('utf8'));
  const text = fc.string({ unit: 'binary', maxLength: 100 });
  fc.assert(
    fc.property(fc.oneof(bytes, text), (sql) => {
      read(sql);
    }),
    { seed, numRuns },
  );
});

/** Words and signs that SQL is made of, so that random texts get past the first token. */
const PIECES = [...new Set(grammar.flatMap((sql) => sql.split(/\b/).map((piece) => piece.trim())))].filter(
  Boolean,
);

test('fuzz: random words of SQL give a typed error or a statement', () => {
  const soup = fc.array(fc.constantFrom(...PIECES), { maxLength: 40 }).map((pieces) => pieces.join(' '));
  fc.assert(
    fc.property(soup, (sql) => {
      read(sql);
    }),
    { seed, numRuns },
  );
});

/** One change to a statement: tokens cut, doubled, swapped, replaced or brought in from another one. */
const mutation = fc
  .tuple(
    fc.constantFrom(...corpus),
    fc.constantFrom(...corpus),
    fc.nat(),
    fc.nat(),
    fc.nat(6),
    fc.constantFrom(...PIECES),
  )
  .map(([sql, other, a, b, how, piece]) => {
    const parts = pieces(sql);
    const donor = pieces(other);
    const from = a % parts.length;
    const to = from + 1 + (b % 3);
    switch (how) {
      case 0:
        return parts.toSpliced(from, to - from).join('');
      case 1:
        return parts.toSpliced(from, 0, ...parts.slice(from, to)).join('');
      case 2:
        return parts.toSpliced(from, 1, ` ${piece} `).join('');
      case 3:
        return parts.toSpliced(from, 0, ` ${piece} `).join('');
      case 4:
        return parts.slice(0, from).join('');
      case 5:
        return [...parts.slice(0, from), ...donor.slice(b % donor.length)].join('');
      default:
        return sql.slice(0, a % (sql.length + 1)) + sql.slice(b % (sql.length + 1));
    }
  });

/** The text in tokens, each with the space behind it. */
function pieces(sql: string): string[] {
  const { starts } = tokenize(sql);
  return starts.map((start, index) => sql.slice(start, starts[index + 1] ?? sql.length));
}

/**
 * SQLite's verdict is about its first statement; and what runs as the parser reads (CREATE TABLE on a known name) can
 * end its reading before the end, so that "semantic" does not mean that the rest was fine. Only "accepted" counts.
 */
test('fuzz: a changed statement that SQLite accepts is read', () => {
  const database = openFixture();
  let accepted = 0;
  fc.assert(
    fc.property(mutation, (sql) => {
      const error = read(sql);
      if (sql.includes('\0') || sql.includes('/*atoll') || verdict(database, sql).verdict !== 'accepted')
        return;
      accepted++;
      if (error === null || error.kind === 'too-deep') return;
      // The first statement is fine where only a later one is wrong.
      const beforeError = sql.slice(0, error.offset);
      expect(
        beforeError.includes(';') && read(beforeError.slice(0, beforeError.lastIndexOf(';'))) === null,
        sql,
      ).toBe(true);
    }),
    { seed, numRuns: numRuns * 2 },
  );
  expect(accepted).toBeGreaterThan(numRuns / 10);
});

test('fuzz: a changed query means the same with parentheses', () => {
  const database = openFixture();
  let compared = 0;
  fc.assert(
    fc.property(mutation, (sql) => {
      // A common table may refer to itself without end, and nothing here could stop it.
      if (!/^\s*(select|values)/i.test(sql) || /with|random|now|current_time/i.test(sql)) return;
      if (read(sql) !== null || parseScript(sql).length !== 1) return;
      const expected = answer(database, sql);
      if (expected.startsWith('error')) return;
      compared++;
      expect(answer(database, parenthesize(sql).sql), sql).toBe(expected);
    }),
    { seed, numRuns },
  );
  expect(compared).toBeGreaterThan(numRuns / 40);
});
