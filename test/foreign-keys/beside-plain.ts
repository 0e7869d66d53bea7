import type { DatabaseSync } from 'node:sqlite';
import { expect } from 'vitest';
import type { QuietCluster } from '../simulation/quiet-cluster.ts';
import type { Step } from './random-steps.ts';

/** `ok`, or what SQLite says. Its REPLACE in a tree (3.53.4) may leave a row without a parent, which only its own check finds. */
export function runPlain(plain: DatabaseSync, { sql, args }: Step): string {
  plain.exec('BEGIN');
  try {
    plain.prepare(sql).run(...args);
    const orphan = plain.prepare('PRAGMA foreign_key_check').get();
    if (orphan !== undefined) throw new Error('FOREIGN KEY constraint failed');
    plain.exec('COMMIT');
    return 'ok';
  } catch (error) {
    plain.exec('ROLLBACK');
    return (error as Error).message;
  }
}

/** Both have the same rows. */
export async function expectSameRows(
  cluster: QuietCluster,
  plain: DatabaseSync,
  text: string,
): Promise<void> {
  for (const table of ['p', 'c', 'g']) {
    const select = `SELECT * FROM ${table}`;
    const sorted = (rows: unknown[][]) => rows.map((row) => JSON.stringify(row)).sort();
    const there = plain
      .prepare(select)
      .all()
      .map((row) => Object.values(row));
    expect(sorted(await cluster.rows(select)), text).toEqual(sorted(there));
  }
}
