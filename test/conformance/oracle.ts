import { DatabaseSync } from 'node:sqlite';
import { parseScript } from '../../src/core/sql/parse.ts';

/** What SQLite says about a statement. `semantic`: it read it, and then missed a table, a column or the like. */
export type Verdict = 'accepted' | 'semantic' | 'syntax';

/** Messages that SQLite's parser gives, as opposed to the code generator behind it. */
const SYNTAX = new RegExp(
  [
    'syntax error',
    'incomplete input',
    'unrecognized token',
    'unknown table option',
    'unknown join type',
    'error in generated column',
    'clause should come after',
    'a JOIN clause is required',
    'variable number must be',
    'clause is not allowed on UPDATE or DELETE statements within triggers',
    'The SQL query contains no statements',
  ].join('|'),
);

/** Does SQLite accept the first statement of `sql`? */
export function verdict(database: DatabaseSync, sql: string): { verdict: Verdict; message: string } {
  try {
    database.prepare(sql);
    return { verdict: 'accepted', message: '' };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { verdict: SYNTAX.test(message) ? 'syntax' : 'semantic', message };
  }
}

/** Everything the statements of `sql` answer, or the first error, as text to compare. */
export function answer(database: DatabaseSync, sql: string): string {
  return parseScript(sql)
    .map(({ start, end }) => answerOne(database, sql.slice(start, end)))
    .join('\n');
}

function answerOne(database: DatabaseSync, sql: string): string {
  try {
    const statement = database.prepare(sql);
    statement.setReadBigInts(true);
    statement.setReturnArrays(true);
    return JSON.stringify(statement.all(), (_key, value: unknown) => {
      if (typeof value === 'bigint') return `${value}n`;
      return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
    });
  } catch (error) {
    return `error: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** A fresh database in memory. */
export function openDatabase(): DatabaseSync {
  return new DatabaseSync(':memory:');
}
