import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Answer } from '../simulation/cluster.ts';
import { QuietCluster } from '../simulation/quiet-cluster.ts';

/** Interactive transactions whose answers could not have been given in any order do not commit: corners of what is compared. */

type Value = string | number | null;

const GIVE = 'INSERT INTO posts (id, tenant) VALUES (?, ?)';
const GIVE_TWO = `${GIVE}, (?, ?)`;
const TENANTS = ['ash', 'bell', 'corn', 'dune', 'elm', 'fir', 'gum', 'holly', 'ivy', 'jasmine'];

let cluster: QuietCluster;
/** Of two partitions, tenants of each. */
let here: string[];
let there: string[];

beforeAll(async () => {
  cluster = await QuietCluster.open(11, 3, [
    'CREATE TABLE posts (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL) PARTITION BY (tenant)',
    'CREATE TABLE rates (id INTEGER PRIMARY KEY, n) REFERENCE',
    'CREATE TABLE sources (id INTEGER PRIMARY KEY, v) REFERENCE',
    'CREATE TABLE codes (code TEXT PRIMARY KEY) REFERENCE',
    'CREATE TABLE tags (id INTEGER PRIMARY KEY) REFERENCE',
    'CREATE TABLE subs (id INTEGER PRIMARY KEY, tag INTEGER REFERENCES tags ON DELETE CASCADE) REFERENCE',
    'CREATE TABLE notes (name TEXT PRIMARY KEY, v)',
    'CREATE TABLE uses (name TEXT PRIMARY KEY, code TEXT REFERENCES codes (code))',
  ]);
  const byPartition = new Map<number, string[]>();
  for (const tenant of TENANTS) {
    const { plan } = await cluster.query('SELECT 1 FROM posts WHERE tenant = ?', [tenant]);
    byPartition.set(plan.partition, [...(byPartition.get(plan.partition) ?? []), tenant]);
  }
  [here, there] = [...byPartition.values()].filter(({ length }) => length >= 2) as [string[], string[]];
});
beforeEach(async () => {
  for (const table of ['posts', 'rates', 'sources', 'uses', 'codes', 'subs', 'tags', 'notes'])
    await cluster.query(`DELETE FROM ${table}`);
});

async function ok(answer: Promise<Answer>): Promise<Answer['json']> {
  const { status, json } = await answer;
  expect([status, json.error]).toEqual([200, undefined]);
  return json;
}

async function begin() {
  const transaction = await cluster.begin();
  const run = async (sql: string, args: Value[] = []) => (await ok(transaction.send(sql, args))).rows;
  return { ...transaction, run };
}

async function expectConflict(commit: Promise<Answer>): Promise<void> {
  const { status, json } = await commit;
  expect([status, json.error?.code, json.error?.outcome]).toEqual([409, 'conflict', 'none']);
}

describe('reference tables that it has written otherwise than statements elsewhere have seen', () => {
  test('by what it has read of another one', async () => {
    await cluster.query('INSERT INTO rates VALUES (1, 0)');
    await cluster.query('INSERT INTO sources VALUES (1, 1)');
    await cluster.query("INSERT INTO notes VALUES ('x', 0)");
    const transaction = await begin();
    await transaction.run('UPDATE rates SET n = (SELECT v FROM sources WHERE id = 1) WHERE id = 1');
    expect(await transaction.run("SELECT r.n FROM notes, rates AS r WHERE notes.name = 'x'")).toEqual([[1]]);
    await transaction.run("UPDATE notes SET v = (SELECT n FROM rates WHERE id = 1) WHERE name = 'x'");
    await cluster.query('UPDATE sources SET v = 2');
    await expectConflict(transaction.commit());
    expect(await cluster.rows('SELECT n FROM rates')).toEqual([[0]]);
  });

  test('so that a row would refer to what is not there', async () => {
    await cluster.query("INSERT INTO sources VALUES (2, 'old')");
    const transaction = await begin();
    await transaction.run('INSERT INTO codes SELECT v FROM sources WHERE id = 2');
    await transaction.run("INSERT INTO uses VALUES ('u', 'old')");
    await cluster.query("UPDATE sources SET v = 'new' WHERE id = 2");
    await expectConflict(transaction.commit());
    expect(await cluster.rows('SELECT * FROM uses')).toEqual([]);
  });

  test('by what others have written of the same one before the others looked', async () => {
    await cluster.query('INSERT INTO rates VALUES (1, 5), (2, 5)');
    await cluster.query("INSERT INTO notes VALUES ('x', 0)");
    const transaction = await begin();
    await transaction.run('UPDATE rates SET n = (SELECT max(n) FROM rates) + 1 WHERE id = 1');
    await cluster.query('UPDATE rates SET n = 50 WHERE id = 2');
    await transaction.run('SELECT n FROM notes, rates AS r WHERE r.id = 1');
    await expectConflict(transaction.commit());
  });

  test('by a foreign key that acts on more than before', async () => {
    await cluster.query('INSERT INTO tags VALUES (1), (2)');
    await cluster.query('INSERT INTO subs VALUES (1, 1), (2, 2)');
    await cluster.query("INSERT INTO notes VALUES ('x', 0)");
    const transaction = await begin();
    await transaction.run('DELETE FROM tags WHERE id = 1');
    await cluster.query('INSERT INTO subs VALUES (3, 1)');
    await transaction.run('SELECT s.id FROM notes, subs AS s');
    await expectConflict(transaction.commit());
  });

  test('but not where it writes the same again', async () => {
    await cluster.query('INSERT INTO rates VALUES (1, 5), (2, 5)');
    await cluster.query("INSERT INTO notes VALUES ('x', 0)");
    const transaction = await begin();
    await transaction.run('INSERT INTO rates VALUES (3, 3)');
    await transaction.run('DELETE FROM rates WHERE id = 3');
    await transaction.run('UPDATE rates SET n = n + 1 WHERE id = 1');
    await transaction.run('UPDATE rates SET n = n + 1 WHERE id = 1 RETURNING n');
    await transaction.run("UPDATE notes SET v = (SELECT n FROM rates WHERE id = 1) WHERE name = 'x'");
    await cluster.query('INSERT INTO rates VALUES (4, 4)');
    await ok(transaction.commit());
    expect(await cluster.rows('SELECT * FROM rates ORDER BY id')).toEqual([
      [1, 7],
      [2, 5],
      [4, 4],
    ]);
    expect(await cluster.rows('SELECT v FROM notes')).toEqual([[7]]);
  });
});

describe('ids that it has given, or tried to, in the partition of somebody else’s row', () => {
  test('beside a row that goes to another one', async () => {
    const transaction = await begin();
    await transaction.run(GIVE_TWO, [8, here[0] as string, 9, there[0] as string]);
    await ok(cluster.ask(GIVE, [9, here[1] as string]));
    await expectConflict(transaction.commit());
    expect(await cluster.rows('SELECT id FROM posts')).toEqual([[9]]);
  });

  test('by two that give the same two', async () => {
    const [one, two] = [await begin(), await begin()];
    await one.run(GIVE_TWO, [1, here[0] as string, 2, there[0] as string]);
    await two.run(GIVE_TWO, [2, here[1] as string, 1, there[1] as string]);
    await ok(two.commit());
    await expectConflict(one.commit());
    expect(await cluster.rows('SELECT id FROM posts ORDER BY id')).toEqual([[1], [2]]);
  });

  test('although it has been taken back since', async () => {
    const transaction = await begin();
    await transaction.run('SAVEPOINT s');
    await transaction.run(GIVE, [50, here[0] as string]);
    await transaction.run('ROLLBACK TO s');
    await ok(cluster.ask(GIVE, [50, here[1] as string]));
    await cluster.query("INSERT INTO notes VALUES ('z', 1)");
    expect(await transaction.run("SELECT v FROM notes WHERE name = 'z'")).toEqual([[1]]);
    await expectConflict(transaction.commit());
  });

  test('although it was refused, and would not be now', async () => {
    await ok(cluster.ask(GIVE, [60, here[1] as string]));
    const transaction = await begin();
    expect((await transaction.send(GIVE, [60, here[0] as string])).json.error?.code).toBe('constraint');
    await cluster.query('DELETE FROM posts WHERE id = 60');
    await cluster.query("INSERT INTO notes VALUES ('y', 1)");
    expect(await transaction.run("SELECT v FROM notes WHERE name = 'y'")).toEqual([[1]]);
    await transaction.run("INSERT INTO notes VALUES ('yy', 1)");
    await expectConflict(transaction.commit());
  });
});
