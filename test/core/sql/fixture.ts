import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { openDatabase } from '../../conformance/oracle.ts';

export interface Line {
  readonly sql: string;
  /** Must it be read, or refused as syntax? */
  readonly good: boolean;
  readonly line: number;
}

/** The statements of grammar.sql. */
export function grammarLines(): Line[] {
  const lines = readFileSync(join(import.meta.dirname, 'grammar.sql'), 'utf8').split('\n');
  return lines.flatMap((text, index) => {
    const mark = text.slice(0, 2);
    if (mark !== '+ ' && mark !== '- ') return [];
    return [{ sql: text.slice(2), good: mark === '+ ', line: index + 1 }];
  });
}

/** The tables that grammar.sql speaks of. */
export function openFixture(): DatabaseSync {
  const database = openDatabase();
  database.exec(`
    CREATE TABLE t1(a INTEGER PRIMARY KEY, b TEXT, c REAL, d BLOB);
    CREATE TABLE t2(a, b, x, y);
    CREATE TABLE t3(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
    CREATE TABLE one(z);
    CREATE INDEX i1 ON t1(b);
    CREATE VIEW v1 AS SELECT a, b FROM t1;
    INSERT INTO t1 VALUES (1, 'x', 1.5, NULL), (2, 'y', -2.0, x'00ff'), (3, NULL, NULL, 'z');
    INSERT INTO t2 VALUES (1, 'x', 10, 20), (2, 'q', '1', NULL);
    INSERT INTO t3 VALUES ('k', 1), ('l', 2);
    INSERT INTO one VALUES ('k');
  `);
  return database;
}
