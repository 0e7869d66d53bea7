import { beforeEach, describe, expect, test } from 'vitest';
import { LocalCluster } from '../../harness/local-cluster.ts';
import { ScriptClient, type Seen } from '../../harness/script-client.ts';

let cluster: LocalCluster;

beforeEach(() => {
  cluster = new LocalCluster(1);
  cluster.schema(
    'CREATE TABLE a (k TEXT PRIMARY KEY, n INTEGER)',
    'CREATE TABLE b (k TEXT PRIMARY KEY, n INTEGER)',
    'CREATE TABLE made (id INTEGER PRIMARY KEY, k TEXT, n INTEGER, at TEXT DEFAULT CURRENT_TIMESTAMP) PARTITION BY (k)',
    'CREATE TABLE child (k TEXT PRIMARY KEY REFERENCES a (k), n INTEGER)',
  );
  cluster.run("INSERT INTO a VALUES ('x', 1)");
  cluster.run("INSERT INTO b VALUES ('x', 1)");
});

const rows = (seen: Seen) => ('rows' in seen ? seen.rows : seen);
const conflict = expect.objectContaining({ code: 'conflict', outcome: 'none' });

describe('a transaction', () => {
  test('sees its own writes, nobody else does before the commit, and everybody afterwards', () => {
    const transaction = new ScriptClient(cluster);
    transaction.run("UPDATE a SET n = 7 WHERE k = 'x'");
    expect(rows(transaction.run("SELECT n FROM a WHERE k = 'x'"))).toEqual([[7]]);
    expect(cluster.run("SELECT n FROM a WHERE k = 'x'").rows).toEqual([[1]]);
    expect(transaction.commit()).toBeNull();
    expect(cluster.run("SELECT n FROM a WHERE k = 'x'").rows).toEqual([[7]]);
  });

  test('goes on after a statement that fails, which has done nothing', () => {
    const transaction = new ScriptClient(cluster);
    transaction.run("INSERT INTO b VALUES ('y', 1)");
    expect(transaction.run("INSERT INTO b VALUES ('z', 1), ('x', 1)")).toEqual({ error: 'constraint' });
    expect(rows(transaction.run('SELECT k FROM b ORDER BY k'))).toEqual([['x'], ['y']]);
    expect(transaction.commit()).toBeNull();
    expect(cluster.run('SELECT k FROM b ORDER BY k').rows).toEqual([['x'], ['y']]);
  });

  test('conflicts when what it has read was changed', () => {
    const transaction = new ScriptClient(cluster);
    transaction.run("SELECT n FROM a WHERE k = 'x'");
    transaction.run("UPDATE b SET n = 2 WHERE k = 'x'");
    cluster.run("UPDATE a SET n = 5 WHERE k = 'x'");
    expect(transaction.commit()).toEqual(conflict);
    expect(cluster.run("SELECT n FROM b WHERE k = 'x'").rows).toEqual([[1]]);
  });

  test('commits when what it has read was changed and changed back: its answers hold', () => {
    const transaction = new ScriptClient(cluster);
    transaction.run("SELECT n FROM a WHERE k = 'x'");
    transaction.run("UPDATE b SET n = n + 1 WHERE k = 'x'");
    cluster.run("UPDATE a SET n = 5 WHERE k = 'x'");
    cluster.run("UPDATE a SET n = 1 WHERE k = 'x'");
    cluster.run("UPDATE b SET n = 10 WHERE k = 'x'");
    expect(transaction.commit()).toBeNull();
    expect(cluster.run("SELECT n FROM b WHERE k = 'x'").rows).toEqual([[11]]);
  });

  test('conflicts when what it has read of its own effects would be another now', () => {
    const transaction = new ScriptClient(cluster);
    transaction.run("UPDATE b SET n = (SELECT n FROM a WHERE k = 'x') WHERE k = 'x'");
    expect(rows(transaction.run("SELECT n FROM b WHERE k = 'x'"))).toEqual([[1]]);
    cluster.run("UPDATE a SET n = 5 WHERE k = 'x'");
    expect(transaction.commit()).toEqual(conflict);
  });

  test('conflicts when its rows were changed before its next statement', () => {
    const transaction = new ScriptClient(cluster);
    transaction.run("UPDATE a SET n = n + 1 WHERE k = 'x'");
    cluster.run("DELETE FROM a WHERE k = 'x'");
    expect(() => transaction.run('SELECT 1')).toThrow('run the transaction again');
  });

  test('of two that read what the other writes, one commits', () => {
    const [left, right] = [new ScriptClient(cluster), new ScriptClient(cluster)];
    left.run("SELECT n FROM b WHERE k = 'x'");
    right.run("SELECT n FROM a WHERE k = 'x'");
    left.run("UPDATE a SET n = 0 WHERE k = 'x'");
    right.run("UPDATE b SET n = 0 WHERE k = 'x'");
    expect(left.commit()).toBeNull();
    expect(right.commit()).toEqual(conflict);
  });

  test('conflicts with a change that its foreign key forbids', () => {
    const transaction = new ScriptClient(cluster);
    expect(transaction.run("INSERT INTO child VALUES ('x', 1)")).toMatchObject({ rowsAffected: 1 });
    cluster.run("DELETE FROM a WHERE k = 'x'");
    expect(transaction.commit()).toEqual(conflict);
    expect(cluster.run('SELECT count(*) FROM child').rows).toEqual([[0]]);
  });
});

describe('ROLLBACK TO', () => {
  test('takes effects back, and what was seen must hold nevertheless', () => {
    const kept = new ScriptClient(cluster);
    kept.savepoint('s');
    kept.run("UPDATE a SET n = 9 WHERE k = 'x'");
    kept.rollbackTo('s');
    expect(rows(kept.run("SELECT n FROM a WHERE k = 'x'"))).toEqual([[1]]);
    const overtaken = new ScriptClient(cluster);
    overtaken.savepoint('s');
    overtaken.run("SELECT n FROM b WHERE k = 'x'");
    overtaken.rollbackTo('s');
    overtaken.run("UPDATE a SET n = n + 1 WHERE k = 'x'");
    cluster.run("UPDATE b SET n = 2 WHERE k = 'x'");
    expect(kept.commit()).toBeNull();
    expect(overtaken.commit()).toEqual(conflict);
  });
});

describe('generated ids', () => {
  const ADD = "INSERT INTO made (k, n, at) VALUES ('x', ?, 'now and then')";
  const idOf = (seen: Seen) => ('rows' in seen ? seen.lastInsertRowid : null);

  test('are those that were shown, also when the statement is executed again', () => {
    const transaction = new ScriptClient(cluster);
    const first = idOf(transaction.run(ADD, [1]));
    expect(first).toBeGreaterThan(0);
    const { lastInsertRowid: other } = cluster.run(ADD, [2]);
    expect(other).not.toBe(first);
    const second = idOf(transaction.run(ADD, [3]));
    expect(transaction.commit()).toBeNull();
    const expected = [
      [first, 1],
      [other, 2],
      [second, 3],
    ];
    expect(cluster.run('SELECT id, n FROM made ORDER BY n').rows).toEqual(expected);
  });

  test('of a transaction that was never committed are issued to nobody, whatever was lost', () => {
    const id = idOf(new ScriptClient(cluster).run(ADD, [1]));
    cluster.replica(1).reload();
    expect(cluster.run(ADD, [2]).lastInsertRowid).toBeGreaterThan(id as number);
  });

  test('of an upsert are told again when it is executed again', () => {
    const transaction = new ScriptClient(cluster);
    const id = idOf(
      transaction.run("INSERT INTO made (k, n, at) VALUES ('x', 1, '') ON CONFLICT DO UPDATE SET n = 2"),
    );
    expect(id).toBeGreaterThan(0);
    cluster.run(ADD, [2]);
    expect(transaction.commit()).toBeNull();
  });
});

describe('what reads the clock or chance', () => {
  for (const sql of [
    "INSERT INTO made (k, n) VALUES ('x', 1)",
    "INSERT INTO made (k, n, at) VALUES ('x', random(), '')",
    "INSERT INTO made (k, n, at) VALUES ('x', 1, datetime('now'))",
    "UPDATE made SET at = CURRENT_DATE WHERE k = 'x'",
  ]) {
    test(`is not executed a second time: ${sql}`, () => {
      const [alone, overtaken] = [new ScriptClient(cluster), new ScriptClient(cluster)];
      alone.run(sql);
      expect(alone.commit()).toBeNull();
      overtaken.run(sql);
      cluster.run("INSERT INTO made (k, n, at) VALUES ('x', 5, '')");
      expect(overtaken.commit()).toEqual(conflict);
    });
  }

  test('is disturbed by rows of its own key alone', () => {
    const [left, right] = [new ScriptClient(cluster), new ScriptClient(cluster)];
    left.run("INSERT INTO made (k, n) VALUES ('x', 1)");
    right.run("INSERT INTO made (k, n) VALUES ('y', 1)");
    left.run("SELECT n FROM made WHERE k = 'x'");
    expect(right.commit()).toBeNull();
    expect(left.commit()).toBeNull();
    expect(cluster.run('SELECT k FROM made ORDER BY k').rows).toEqual([['x'], ['y']]);
  });
});

test('a partition that has lost a script says so', () => {
  const transaction = new ScriptClient(cluster);
  transaction.run("UPDATE a SET n = 2 WHERE k = 'x'");
  cluster.replica(1).scripts.remove(transaction.name);
  expect(() => transaction.run('SELECT 1')).toThrow('was restarted');
  expect(transaction.commit()).toEqual(conflict);
  expect(cluster.run("SELECT n FROM a WHERE k = 'x'").rows).toEqual([[1]]);
});
