import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { SqlSyntaxError } from '../../src/core/sql/error.ts';
import { parseScript } from '../../src/core/sql/parse.ts';
import { answer, openDatabase, verdict } from './oracle.ts';
import { parenthesize } from './parenthesize.ts';
import { type Record, readRecords } from './sqllogictest.ts';

export interface Failure {
  readonly file: string;
  readonly line: number;
  readonly sql: string;
  readonly problem: string;
}

export interface Summary {
  files: number;
  /** Records read. */
  statements: number;
  /** Different texts among them. */
  distinct: number;
  /** Different texts that SQLite accepts. */
  accepted: number;
  /** Texts run with explicit parentheses too, and the pairs that were put in. */
  parenthesized: number;
  pairs: number;
  readonly failures: Failure[];
}

export interface CheckOptions {
  /** Also run every statement with explicit parentheses and compare the answers. */
  readonly parentheses: boolean;
}

/** Every `.test` file below `folder`, in order. */
export function testFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Checks every file below `folder`: each distinct statement that SQLite accepts must be read. */
export function checkFolder(folder: string, options: CheckOptions): Summary {
  const summary: Summary = {
    files: 0,
    statements: 0,
    distinct: 0,
    accepted: 0,
    parenthesized: 0,
    pairs: 0,
    failures: [],
  };
  const seen = new Set<string>();
  for (const path of testFiles(folder)) {
    summary.files++;
    new FileCheck(relative(folder, path), options, summary, seen).run(
      readRecords(readFileSync(path, 'utf8')),
    );
  }
  summary.distinct = seen.size;
  return summary;
}

/** One file, on two databases that get the same statements: as written, and with parentheses. */
class FileCheck {
  readonly #file: string;
  readonly #options: CheckOptions;
  readonly #summary: Summary;
  readonly #seen: Set<string>;
  readonly #plain: DatabaseSync = openDatabase();
  readonly #wrapped: DatabaseSync = openDatabase();

  constructor(file: string, options: CheckOptions, summary: Summary, seen: Set<string>) {
    this.#file = file;
    this.#options = options;
    this.#summary = summary;
    this.#seen = seen;
  }

  run(records: readonly Record[]): void {
    for (const record of records) {
      this.#summary.statements++;
      const isNew = !this.#seen.has(record.sql);
      this.#seen.add(record.sql);
      const parses = isNew ? this.#checkAcceptance(record) : true;
      // Statements change the databases and must run each time; a query's answer is compared once.
      if (record.forSqlite && (!record.query || isNew) && parses) this.#execute(record);
    }
    this.#plain.close();
    this.#wrapped.close();
  }

  #fail(record: Record, problem: string): false {
    this.#summary.failures.push({ file: this.#file, line: record.line, sql: record.sql, problem });
    return false;
  }

  #checkAcceptance(record: Record): boolean {
    const { verdict: said, message } = verdict(this.#plain, record.sql);
    if (said === 'syntax') return false;
    this.#summary.accepted++;
    try {
      parseScript(record.sql);
      return true;
    } catch (error) {
      if (!(error instanceof SqlSyntaxError)) throw error;
      const sqlite = said === 'accepted' ? 'SQLite accepts it' : `SQLite reads it, and says: ${message}`;
      return this.#fail(record, `${error.message}; ${sqlite}`);
    }
  }

  #execute(record: Record): void {
    if (!this.#options.parentheses) {
      if (!record.query) answer(this.#plain, record.sql);
      return;
    }
    const { sql, pairs } = parenthesize(record.sql);
    const expected = answer(this.#plain, record.sql);
    const actual = answer(this.#wrapped, sql);
    this.#summary.parenthesized++;
    this.#summary.pairs += pairs;
    if (expected !== actual)
      this.#fail(record, `with parentheses: ${actual.slice(0, 200)}, not ${expected.slice(0, 200)}: ${sql}`);
  }
}
