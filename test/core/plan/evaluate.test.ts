import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import type { SqlValue } from '../../../src/base/sql-value.ts';
import { compareValues } from '../../../src/core/plan/evaluate/compare.ts';
import { MergeError } from '../../../src/core/plan/evaluate/error.ts';
import { evaluate } from '../../../src/core/plan/evaluate/evaluate.ts';
import { callFunction } from '../../../src/core/plan/evaluate/functions.ts';
import { compile } from '../../../src/core/plan/scatter/compile.ts';
import { EMPTY_CATALOGUE, Schema } from '../../../src/core/schema/catalogue.ts';
import { Analyzer } from '../../../src/core/sql/analysis/analyzer.ts';
import { Refusal } from '../../../src/core/sql/analysis/refusal.ts';
import { scopeOf } from '../../../src/core/sql/analysis/write.ts';
import { parseStatement } from '../../../src/core/sql/parse.ts';
import { type Dice, diceOf } from './arbitrary-database.ts';

const CASES = Number(process.env.ATOLL_CASES ?? 8000);

const VALUES: readonly SqlValue[] = [
  null,
  0n,
  1n,
  -1n,
  2n,
  7n,
  63n,
  64n,
  -64n,
  9223372036854775807n,
  -9223372036854775808n,
  9007199254740993n,
  0,
  -0,
  1,
  1.5,
  -2.5,
  0.1,
  1e20,
  1e-7,
  9007199254740992,
  Number.POSITIVE_INFINITY,
  2.675,
  -(2 ** 63),
  '',
  'a',
  'A',
  'b ',
  'b',
  '5',
  ' 7 ',
  '1.5',
  '1e2',
  '0x10',
  '12abc',
  '\u{1F600}',
  '\uFF5E',
  'a\0b',
  new Uint8Array([1, 2]),
];

function expressionText(dice: Dice, depth: number, args: SqlValue[]): string {
  if (depth === 0 || dice.chance(15)) {
    return dice.chance(70)
      ? `?${args.push(dice.pick(VALUES))}`
      : dice.pick([
          'NULL',
          '1',
          '2.5',
          "'a'",
          "'5'",
          '-3',
          '0x7f',
          '9223372036854775808',
          '-9223372036854775808',
        ]);
  }
  const sub = (): string => `(${expressionText(dice, depth - 1, args)})`;
  const binary = dice.pick([
    '+',
    '-',
    '*',
    '/',
    '%',
    '&',
    '|',
    '<<',
    '>>',
    '||',
    'AND',
    'OR',
    '=',
    '!=',
    '<',
    '<=',
    '>',
    '>=',
    'IS',
    'IS NOT',
  ]);
  return dice.pick([
    () => `${sub()} ${binary} ${sub()}`,
    () => `${sub()} ${binary} ${sub()}`,
    () => `${sub()} ${binary} ${sub()}`,
    () => `${dice.pick(['-', '+', '~', 'NOT '])}${sub()}`,
    () => `CASE WHEN ${sub()} THEN ${sub()} ELSE ${sub()} END`,
    () => `CASE ${sub()} WHEN ${sub()} THEN ${sub()} END`,
    () => `coalesce(${sub()}, ${sub()})`,
    () => `nullif(${sub()}, ${sub()})`,
    () => `iif(${sub()}, ${sub()}, ${sub()})`,
    () => `CAST(${sub()} AS ${dice.pick(['INTEGER', 'REAL', 'TEXT', 'NUMERIC'])})`,
    () =>
      `CAST(${sub()} AS ${dice.pick(['INTEGER', 'REAL', 'TEXT', 'NUMERIC'])}) ${dice.pick(['=', '<', '>=', 'IS'])} ${sub()}`,
    () => `${sub()} BETWEEN ${sub()} AND ${sub()}`,
    () => `${sub()} ${dice.pick(['IN', 'NOT IN'])} (${sub()}, ${sub()})`,
    () =>
      `${sub()} COLLATE ${dice.pick(['NOCASE', 'RTRIM', 'BINARY'])} ${dice.pick(['=', '<', '>'])} ${sub()}`,
    () => `${sub()} ${dice.pick(['ISNULL', 'NOTNULL'])}`,
    () => `${dice.pick(['abs', 'typeof', 'length', 'round'])}(${sub()})`,
    () => `round(${sub()}, ${dice.pick(['1', '2', '-1', '0'])})`,
    () => `${dice.pick(['min', 'max'])}(${sub()}, ${sub()})`,
  ])();
}

describe("the router's evaluator", () => {
  const database = new DatabaseSync(':memory:');
  const analyzer = new Analyzer(new Schema(EMPTY_CATALOGUE), '');
  const scope = scopeOf([], null);
  const leaves = {
    leaf: () => null,
    classOf: (e: Parameters<Analyzer['classOf']>[0]) => analyzer.classOf(e, scope),
  };

  function inSqlite(text: string, args: readonly SqlValue[]): SqlValue | Error {
    try {
      const statement = database.prepare(`SELECT ${text}`);
      statement.setReadBigInts(true);
      statement.setReturnArrays(true);
      const row = statement.get(...(args as SQLInputValue[])) as unknown as SqlValue[];
      return row[0] ?? null;
    } catch (error) {
      return error as Error;
    }
  }

  it(`agrees with SQLite on ${CASES} expressions, or says that it does not know`, () => {
    let known = 0;
    for (let i = 0; i < CASES; i++) {
      const dice = diceOf(i + 17);
      const args: SqlValue[] = [];
      const text = expressionText(dice, 1 + dice.below(3), args);
      const { statement } = parseStatement(`SELECT ${text}`);
      const column =
        statement.kind === 'select' && statement.body.kind === 'select-core'
          ? statement.body.columns[0]
          : undefined;
      if (column?.kind !== 'result-expression') throw new Error(text);
      let ours: SqlValue | Error;
      try {
        ours = evaluate(compile(column.expression, leaves), { args, slots: [] });
      } catch (error) {
        if (error instanceof Refusal) continue;
        if (!(error instanceof MergeError)) throw error;
        if (error.kind === 'unsupported') continue;
        ours = error;
      }
      known++;
      const plain = inSqlite(text, args);
      const what = `${text} with ${args.map(String)}`;
      if (plain instanceof Error) expect(ours, `${what}: ${plain.message}`).toBeInstanceOf(MergeError);
      else expect(ours, what).toStrictEqual(plain);
    }
    expect(known).toBeGreaterThan(CASES / 3);
  });

  it('orders values as SQLite does', () => {
    const compare = (collation: string): ReturnType<DatabaseSync['prepare']> =>
      database.prepare(`SELECT ? COLLATE ${collation} < ?2, ?1 COLLATE ${collation} = ?2`);
    for (const collation of ['BINARY', 'NOCASE', 'RTRIM'] as const) {
      const statement = compare(collation);
      statement.setReturnArrays(true);
      for (const a of VALUES) {
        for (const b of VALUES) {
          if (a === null || b === null) continue;
          const [less, equal] = statement.get(a as SQLInputValue, b as SQLInputValue) as unknown as number[];
          const order = compareValues(a, b, collation);
          expect([order < 0 ? 1 : 0, order === 0 ? 1 : 0], `${String(a)} ${String(b)} ${collation}`).toEqual([
            less,
            equal,
          ]);
        }
      }
    }
  });

  it('rounds as SQLite does, beside ties too', () => {
    const statement = database.prepare('SELECT round(?, ?) AS r');
    const dice = diceOf(3);
    for (let i = 0; i < 20_000; i++) {
      const places = dice.below(8);
      const wide = (dice.below(2 ** 32) / 2 ** 31 - 1) * 10 ** (dice.below(16) - 3);
      const tie = Math.round(wide * 10 ** places) / 10 ** places + 5 / 10 ** (places + 1);
      const real = i % 2 === 0 ? wide : tie;
      const { r } = statement.get(real, places) as { r: number };
      expect(callFunction('round', [real, BigInt(places)], 'BINARY'), `${real} ${places}`).toBe(r);
    }
  });
});
