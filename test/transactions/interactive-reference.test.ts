import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { anotherRouter } from '../cluster/router.ts';
import { ADD, Bank, expectRefused, OWNERS } from './bank.ts';

/** Reference tables that interactive transactions write: docs/api.md. */

let bank: Bank;

beforeAll(async () => {
  bank = await Bank.open();
  for (const sql of [
    'CREATE TABLE kinds (id INTEGER PRIMARY KEY, name TEXT UNIQUE, weight INTEGER NOT NULL DEFAULT 1) REFERENCE',
    `CREATE TABLE things (name TEXT PRIMARY KEY, kind TEXT NOT NULL REFERENCES kinds (name), made TEXT DEFAULT (datetime('now')),
       tag TEXT UNIQUE)`,
    'CREATE TABLE fixed (code TEXT PRIMARY KEY, name TEXT) REFERENCE',
    'CREATE TABLE uses (name TEXT PRIMARY KEY, code TEXT REFERENCES fixed (code) ON DELETE CASCADE)',
  ])
    await bank.cluster.query(sql);
});
afterAll(() => bank.cluster.dispose());
beforeEach(async () => {
  await bank.reset();
  await bank.cluster.query('DELETE FROM things');
  await bank.cluster.query('DELETE FROM kinds');
});

const rows = (sql: string) => bank.cluster.rows(sql);
const JOINED = 'SELECT t.name, k.weight FROM things AS t JOIN kinds AS k ON k.name = t.kind ORDER BY t.name';
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];

describe('an interactive transaction that writes reference tables', () => {
  test('has rows refer to them, in every partition, and sees them; others see all when it is committed', async () => {
    const transaction = await bank.begin();
    const made = await transaction.run("INSERT INTO kinds (name) VALUES ('k'), ('l') RETURNING id, name");
    expect(made.rows).toEqual([
      [expect.any(Number), 'k'],
      [expect.any(Number), 'l'],
    ]);
    for (const [at, name] of NAMES.entries())
      await transaction.run('INSERT INTO things (name, kind, tag) VALUES (?, ?, ?)', [
        name,
        at % 2 ? 'l' : 'k',
        `t${name}`,
      ]);
    expect((await transaction.run('SELECT name, weight FROM kinds ORDER BY name')).rows).toEqual([
      ['k', 1],
      ['l', 1],
    ]);
    expect((await transaction.run(JOINED)).rows).toEqual(NAMES.map((name) => [name, 1]));
    expect((await transaction.run(`${JOINED.replace(' ORDER', " WHERE t.name = 'c' ORDER")}`)).rows).toEqual([
      ['c', 1],
    ]);
    expect(await rows('SELECT count(*) FROM kinds')).toEqual([[0]]);
    expect(await rows('SELECT count(*) FROM things')).toEqual([[0]]);
    const { status, json } = await transaction.commit();
    expect([status, json.outcome]).toEqual([200, 'committed']);
    expect(json.plan.partitions).toContain(0);
    expect(await rows(JOINED)).toEqual(NAMES.map((name) => [name, 1]));
    expect((await rows("SELECT id FROM kinds WHERE name = 'k'"))[0]).toEqual([made.rows[0][0]]);
    expect((await bank.cluster.query("UPDATE things SET kind = 'l' WHERE name = 'a'")).status).toBe(200);
  });

  test('alone', async () => {
    const transaction = await bank.begin();
    await transaction.run("INSERT INTO kinds (name) VALUES ('k')");
    await transaction.run("UPDATE kinds SET weight = weight + 1 WHERE name = 'k'");
    const first = await transaction.commit();
    expect([first.status, (await transaction.commit()).json]).toEqual([200, first.json]);
    expect(await rows('SELECT name, weight FROM kinds')).toEqual([['k', 2]]);
    const read = await bank.cluster.query(
      'SELECT o.owner, k.weight FROM accounts AS o, kinds AS k WHERE o.owner = ?',
      ['ann'],
    );
    expect(read.json.rows).toEqual([['ann', 2]]);
  });

  test('leaves nothing when it is rolled back, as a whole or to a savepoint', async () => {
    const gone = await bank.begin();
    await gone.run("INSERT INTO kinds (name) VALUES ('k')");
    await gone.run("INSERT INTO things (name, kind) VALUES ('a', 'k')");
    await gone.rollback();
    const part = await bank.begin();
    await part.run("INSERT INTO kinds (name) VALUES ('k')");
    await part.run('SAVEPOINT s');
    await part.run("INSERT INTO kinds (name) VALUES ('l')");
    await part.run('ROLLBACK TO s');
    expectRefused(
      await part.send("INSERT INTO things (name, kind) VALUES ('a', 'l')"),
      409,
      'constraint',
      /FOREIGN KEY/,
    );
    await part.run("INSERT INTO things (name, kind) VALUES ('b', 'k')");
    expect((await part.commit()).status).toBe(200);
    expect(await rows('SELECT name FROM kinds')).toEqual([['k']]);
    expect(await rows('SELECT name FROM things')).toEqual([['b']]);
  });

  test('a statement that fails does nothing, and the transaction goes on', async () => {
    const transaction = await bank.begin();
    await transaction.run("INSERT INTO kinds (name) VALUES ('k')");
    expectRefused(
      await transaction.send("INSERT INTO kinds (name) VALUES ('l'), ('k')"),
      409,
      'constraint',
      /UNIQUE/,
    );
    await transaction.run("INSERT INTO things (name, kind) VALUES ('a', 'k'), ('b', 'k'), ('c', 'k')");
    expectRefused(
      await transaction.send("INSERT INTO things (name, kind) VALUES ('d', 'k'), ('e', 'l'), ('f', 'k')"),
      409,
      'constraint',
      /FOREIGN KEY/,
    );
    expect((await transaction.commit()).status).toBe(200);
    expect(await rows('SELECT name FROM kinds')).toEqual([['k']]);
    expect(await rows('SELECT name FROM things ORDER BY name')).toEqual([['a'], ['b'], ['c']]);
  });

  test('what was used in a copy is not written afterwards', async () => {
    await bank.cluster.query("INSERT INTO kinds (name) VALUES ('k')");
    for (const use of [
      'SELECT o.owner, k.name FROM accounts AS o, kinds AS k',
      "INSERT INTO things (name, kind) VALUES ('a', 'k')",
    ]) {
      const transaction = await bank.begin();
      await transaction.run('SELECT name FROM kinds');
      await transaction.run(use);
      const write = "UPDATE kinds SET weight = 2 WHERE name = 'k'";
      expectRefused(
        await transaction.send(write),
        400,
        'unsupported',
        /"kinds", which a statement of this transaction has used/,
      );
      await transaction.run("INSERT INTO currencies VALUES ('y', 1) ON CONFLICT DO UPDATE SET rate = 2");
      expect((await transaction.commit()).status).toBe(200);
    }
    expect(await rows('SELECT weight FROM kinds')).toEqual([[1]]);
  });

  test('rows that others may refer to are not taken away in it', async () => {
    const transaction = await bank.begin();
    expectRefused(
      await transaction.send("DELETE FROM fixed WHERE code = 'x'"),
      400,
      'unsupported',
      /uses may refer to/,
    );
    await transaction.run(
      "INSERT INTO fixed VALUES ('x', 'y') ON CONFLICT (code) DO UPDATE SET name = excluded.name",
    );
    expect((await transaction.commit()).status).toBe(200);
    expect(await rows('SELECT * FROM fixed')).toEqual([['x', 'y']]);
  });

  test('conflicts with others who write what it has read or written', async () => {
    const [one, two] = [await bank.begin(), await bank.begin()];
    for (const each of [one, two]) {
      await each.run("INSERT INTO kinds (name) VALUES ('k')");
      await each.run("INSERT INTO things (name, kind) VALUES ('a', 'k')");
    }
    expect((await one.commit()).status).toBe(200);
    expectRefused(await two.commit(), 409, 'conflict', /run the transaction again/);
    const reader = await bank.begin();
    await reader.run(ADD, [1, 'ann']);
    expect((await reader.run('SELECT sum(weight) FROM accounts AS o, kinds AS k')).rows).toEqual([
      [OWNERS.length],
    ]);
    await bank.cluster.query('UPDATE kinds SET weight = 5');
    expectRefused(await reader.commit(), 409, 'conflict', /run the transaction again/);
    expect(await rows('SELECT count(*) FROM things')).toEqual([[1]]);
    expect((await bank.amounts()).ann).toBe(100);
  });

  test('routers share it, and a commit whose keeper has forgotten it is found at the system partition', async () => {
    const other = anotherRouter(bank.cluster);
    const transaction = await bank.begin();
    await transaction.run("INSERT INTO kinds (name) VALUES ('k')");
    const sent = await other.post(`/v1/transactions/${transaction.id}/query`, {
      sql: "INSERT INTO things (name, kind) VALUES ('a', 'k'), ('b', 'k'), ('c', 'k')",
    });
    expect([sent.status, sent.json.error]).toEqual([200, undefined]);
    expect((await transaction.commit()).status).toBe(200);
    for (const partition of [1, 2, 3, 4]) await bank.cluster.reset(partition);
    const again = await transaction.commit();
    expect([again.status, again.json.outcome], again.text).toEqual([200, 'committed']);
    expect(await rows('SELECT count(*) FROM things')).toEqual([[3]]);
  });

  test('too many rows', async () => {
    const transaction = await bank.begin();
    const big = 'x'.repeat(150_000);
    await transaction.run('INSERT INTO fixed VALUES (?, ?)', ['b1', big]);
    expectRefused(
      await transaction.send('INSERT INTO fixed VALUES (?, ?)', ['b2', big]),
      413,
      'too-large',
      /\/v1\/batch/,
    );
    await transaction.run("INSERT INTO uses VALUES ('u', 'b1')");
    expect((await transaction.commit()).status).toBe(200);
    expect(await rows("SELECT count(*) FROM fixed WHERE code LIKE 'b%'")).toEqual([[1]]);
  });
});
