import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { LocalCluster } from '../../harness/local-cluster.ts';

/** An INSERT is refused in SQLite's words for what was written, not for what it became with ids put in. */
describe('an INSERT of more or fewer values than columns', () => {
  const tables = [
    'CREATE TABLE own (id INTEGER PRIMARY KEY, a, b)',
    'CREATE TABLE hid (a, b, c, d AS (a + b))',
    'CREATE TABLE src (x, y)',
  ];
  const cluster = new LocalCluster();
  cluster.schema(...tables);
  const sqlite = new DatabaseSync(':memory:');
  sqlite.exec(tables.join(';'));

  test.each([
    'INSERT INTO own (a, b) VALUES (1)',
    'INSERT INTO own (a, b) VALUES (1, 2, 3)',
    'INSERT INTO own (id, a, b) VALUES (NULL, 2), (3, 4)',
    'INSERT INTO own VALUES (1)',
    'INSERT INTO own VALUES (1, 2, 3), (4, 5)',
    'INSERT INTO own (a, b) SELECT x FROM src',
    'INSERT INTO own (a, b) SELECT x FROM src RETURNING id',
    'INSERT INTO own (id, a, b) SELECT x FROM src',
    'INSERT INTO own (a) SELECT x, y FROM src',
    'INSERT INTO own SELECT x FROM src',
    'WITH s AS (SELECT 1 AS u) INSERT INTO own (a, b) SELECT u FROM s',
    'INSERT INTO hid VALUES (1)',
    'INSERT INTO hid VALUES (1, 2, 3, 4)',
    'INSERT INTO hid SELECT x FROM src',
    'INSERT INTO hid SELECT x, y, 3, 4 FROM src',
  ])('%s', (sql) => {
    expect(() => cluster.run(sql)).toThrow(
      expect.objectContaining({ message: messageOf(() => sqlite.exec(sql)) }),
    );
    expect(cluster.run('SELECT (SELECT count(*) FROM own) + (SELECT count(*) FROM hid)').rows).toEqual([[0]]);
  });
});

function messageOf(body: () => void): string {
  try {
    body();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('SQLite refuses it');
}
