import { expect, test } from 'vitest';
import { guardTrigger, unguardTrigger } from '../../../src/core/log/guard.ts';
import { createLogTables } from '../../../src/core/log/tables.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';

const BODY = "BEGIN INSERT INTO seen VALUES (NEW.a); SELECT 'END; WHEN BEGIN'; END";

const TRIGGERS = [
  `CREATE TRIGGER x AFTER INSERT ON t ${BODY}`,
  `create trigger if not exists main.x before insert on "t" for each row ${BODY}`,
  `CREATE TRIGGER "on" AFTER INSERT ON t WHEN NEW.a > 1 OR NEW.a IS NULL OR NEW."begin" = 1 ${BODY}`,
  `CREATE TRIGGER [when] INSERT ON t WHEN (NEW.a>1)OR NEW.begin -- BEGIN INSERT\n${BODY}`,
  `CREATE TRIGGER x /* ON t BEGIN */ AFTER INSERT ON t WHEN CASE NEW.a WHEN 1 THEN 0 ELSE 1 END ${BODY}`,
  `CREATE TRIGGER x AFTER INSERT ON t WHEN EXISTS (SELECT 1 FROM seen) OR 1 BEGIN INSERT INTO seen VALUES (NEW.a); END`,
];

test.each(TRIGGERS)(
  'a guarded trigger is silent while the log is applied, and the same otherwise: %s',
  (sql) => {
    const run = (trigger: string, applying: number) => {
      const port = new NodeSqlitePort(':memory:');
      createLogTables(port);
      port.query('CREATE TABLE t(a, "begin"); CREATE TABLE seen(a)');
      port.query(trigger);
      port.query('UPDATE _atoll_head SET applying = ?', applying);
      port.query('INSERT INTO t VALUES (1, 0), (2, 0), (NULL, 1), (1, 1)');
      return port.query('SELECT a FROM seen').rows;
    };
    expect(run(guardTrigger(sql), 1)).toEqual([]);
    expect(run(guardTrigger(sql), 0)).toEqual(run(sql, 0));
    expect(run(sql, 0)).not.toEqual([]);
  },
);

test.each(TRIGGERS)('the guard comes out again: %s', (sql) => {
  expect(unguardTrigger(guardTrigger(sql))).toBe(sql);
  expect(guardTrigger(guardTrigger(sql))).toBe(guardTrigger(sql));
  expect(unguardTrigger(sql)).toBe(sql);
});

test('a renamed column is renamed in what comes out', () => {
  const port = new NodeSqlitePort(':memory:');
  createLogTables(port);
  port.query('CREATE TABLE t(a, b); CREATE TABLE seen(a)');
  port.query(guardTrigger('CREATE TRIGGER x AFTER INSERT ON t WHEN NEW.a > 1 BEGIN SELECT NEW.b; END'));
  port.query('ALTER TABLE t RENAME COLUMN a TO c; ALTER TABLE t RENAME TO u');
  const { rows } = port.query("SELECT sql FROM sqlite_schema WHERE name = 'x'");
  expect(unguardTrigger(String(rows[0]?.[0]))).toBe(
    'CREATE TRIGGER x AFTER INSERT ON "u" WHEN NEW.c > 1 BEGIN SELECT NEW.b; END',
  );
});

test('INSTEAD OF triggers need no guard', () => {
  const sql = 'CREATE TRIGGER x INSTEAD OF INSERT ON v BEGIN SELECT 1; END';
  expect(guardTrigger(sql)).toBe(sql);
});
