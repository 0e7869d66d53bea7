import type { History } from './arbitrary-history.ts';
import { AUDIT } from './arbitrary-trigger.ts';

/** Histories that once failed, each with what found it. They stay for ever. */
export const CORPUS: Readonly<Record<string, History>> = {
  // By hand: rows that hold each other did not come free ("replayed rows do not settle").
  'SET NULL on a key column of a table that is its own parent': history(
    [
      'CREATE TABLE t(k UNIQUE, v, p REFERENCES t(k) ON DELETE SET NULL ON UPDATE SET NULL, PRIMARY KEY (p, v, k)) WITHOUT ROWID',
    ],
    [],
    [['INSERT INTO t VALUES (1, 1, 2), (2, 2, 1)'], ['INSERT INTO t VALUES (3, 0, 3), (4, 1, 3), (5, 1, 4)']],
  ),
  // By hand: neither row can be deleted or changed by any statement once both are there.
  'SET NULL on keys that refer to each other': history(
    [
      'CREATE TABLE t(k PRIMARY KEY REFERENCES u(k) ON DELETE SET NULL ON UPDATE SET NULL) WITHOUT ROWID',
      'CREATE TABLE u(k PRIMARY KEY REFERENCES t(k) ON DELETE SET NULL ON UPDATE SET NULL) WITHOUT ROWID',
    ],
    ['CREATE TRIGGER x AFTER INSERT ON t BEGIN INSERT INTO u VALUES (NEW.k); END'],
    [['INSERT INTO t VALUES (1)'], ['INSERT INTO t VALUES (2), (3)']],
  ),
  // By hand: the action is logged first, and takes the UNIQUE value that its cause gives up.
  'an action takes what its cause gives up': history(
    ['CREATE TABLE t(k PRIMARY KEY, p DEFAULT 5 UNIQUE REFERENCES t(k) ON DELETE SET DEFAULT)'],
    [],
    [['INSERT INTO t VALUES (5, NULL), (1, 5), (2, 1)'], ['DELETE FROM t WHERE k = 1']],
  ),
  // Seed 3, without witnesses: an action on a row is logged before the update that moves the row there.
  'a row is mentioned first where it came to be': history(
    [
      'CREATE TABLE t(k PRIMARY KEY, v, p REFERENCES t(k) ON DELETE SET DEFAULT ON UPDATE SET NULL) WITHOUT ROWID',
    ],
    [],
    [
      ["INSERT INTO t VALUES ('a', 1.0, NULL), (0, 0, NULL)"],
      ["UPDATE t SET p = 0 WHERE k < x''", 'UPDATE OR REPLACE t SET k = 1 WHERE k IS NOT 1'],
    ],
  ),
  // By hand: what a row was before is in no before-image that comes first.
  'a row whose own cascade changes it': history(
    ['CREATE TABLE t(id INTEGER PRIMARY KEY, k UNIQUE, p REFERENCES t(k) ON UPDATE CASCADE)'],
    [],
    [['INSERT INTO t VALUES (1, 1, 1), (2, 5, 1)'], ['UPDATE t SET k = 2 WHERE id = 1']],
  ),
  // By hand: a delete that a trigger prevents, which REPLACE asked for; SQLite then refuses the statement.
  'REPLACE where a trigger keeps the row': history(
    ['CREATE TABLE t(k INTEGER PRIMARY KEY, v UNIQUE, w)'],
    ['CREATE TRIGGER x BEFORE DELETE ON t WHEN OLD.k = 1 BEGIN SELECT raise(IGNORE); END'],
    [
      ['INSERT INTO t VALUES (1, 1, 1), (2, 2, 2)'],
      [
        'REPLACE INTO t VALUES (3, 1, 0)',
        'REPLACE INTO t VALUES (1, 2, 0)',
        'REPLACE INTO t VALUES (4, 2, 0)',
      ],
      ['DELETE FROM t', 'UPDATE OR REPLACE t SET v = 1'],
    ],
  ),
  // Seed 108 in workerd: with a stale before-image the balance of images named a wrong first one.
  'a stale before-image of a row that was there before': history(
    [
      'CREATE TABLE t(k INTEGER PRIMARY KEY, m DEFAULT 1, v NUMERIC, FOREIGN KEY (k) REFERENCES t(k) ON DELETE RESTRICT ON UPDATE CASCADE)',
    ],
    ['CREATE TRIGGER x BEFORE UPDATE ON t BEGIN INSERT OR REPLACE INTO t(k) VALUES (5); END'],
    [
      ['INSERT INTO t(k, v) VALUES (0, 0)'],
      ['INSERT INTO t(k, v) VALUES (3, NULL)'],
      ['UPDATE t SET v = 0 WHERE k = 3'],
      ['UPDATE OR REPLACE t SET k = 5 WHERE k IS NOT NULL'],
    ],
  ),
  // Seed 328 in workerd: NULL in a key column becomes its default, after BEFORE triggers saw it.
  'a key that OR REPLACE completes': history(
    [
      'CREATE TABLE t(k UNIQUE, v, p DEFAULT 1 UNIQUE REFERENCES t(k) ON DELETE RESTRICT ON UPDATE CASCADE, PRIMARY KEY (p, v, k)) WITHOUT ROWID',
    ],
    [],
    [['INSERT INTO t VALUES (1, 0, 1)'], ['UPDATE OR REPLACE t SET k = 0, p = NULL WHERE k = 1']],
  ),
  // By hand: a trigger is BEFORE if it says nothing, and its stale OLD was not expected.
  'a trigger without BEFORE or AFTER': history(
    ['CREATE TABLE t(k INTEGER PRIMARY KEY, v)'],
    ['CREATE TRIGGER after UPDATE ON t BEGIN UPDATE t SET v = v + 1 WHERE k = NEW.k AND v < 5; END'],
    [['INSERT INTO t VALUES (1, 0)'], ['UPDATE t SET k = k WHERE k = 1'], ['UPDATE t SET v = 9']],
  ),
  // By hand: a row was found by its column's collation, and its neighbour with it.
  "a key's index with another collation than its column's": history(
    ['CREATE TABLE t(k TEXT COLLATE NOCASE, v, PRIMARY KEY (k COLLATE BINARY)) WITHOUT ROWID'],
    [],
    [
      ["INSERT INTO t VALUES ('a', 1), ('A', 2), ('B', 3)"],
      ["UPDATE t SET v = 5 WHERE k COLLATE BINARY = 'A'"],
      ["UPDATE t SET k = 'b' WHERE v = 1", "DELETE FROM t WHERE k COLLATE BINARY = 'B'"],
    ],
  ),
  // By hand: rows that are inserted together refer to rows of the next statement.
  'many rows at once that refer to later ones': history(
    ['CREATE TABLE t(k INTEGER PRIMARY KEY, p REFERENCES t(k))'],
    [],
    [
      [
        'INSERT INTO t WITH RECURSIVE s(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM s WHERE x < 199) SELECT x, nullif(x + 1, 200) FROM s',
      ],
      ['DELETE FROM t WHERE k < 50'],
    ],
  ),
  // By hand: a plain INSERT of a replay followed the definition's own REPLACE.
  'a conflict clause in a definition': history(
    ['CREATE TABLE t(k INTEGER PRIMARY KEY, v UNIQUE ON CONFLICT REPLACE, w UNIQUE ON CONFLICT IGNORE)'],
    [],
    [
      ['INSERT INTO t VALUES (1, 1, 1), (2, 2, 2)'],
      ['INSERT INTO t VALUES (3, 1, 3)'],
      ['UPDATE t SET v = 2'],
    ],
  ),
};

function history(tables: string[], triggers: string[], commits: string[][]): History {
  return {
    tables: [
      ...tables.map((sql) => ({ name: /TABLE (\w+)/.exec(sql)?.[1] ?? '', sql })),
      { name: AUDIT, sql: `CREATE TABLE ${AUDIT}(what, v)` },
    ],
    views: [],
    triggers: triggers.map((sql) => ({ table: 0, sql })),
    commits,
    undo: commits.map((_, i) => i + 1),
  };
}
