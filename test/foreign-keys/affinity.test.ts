import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestCluster } from '../cluster/cluster.ts';
import { BesideSqlite } from '../transactions/beside-sqlite.ts';

// Foreign keys over partitions whose columns have different affinities.

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start();
});

afterAll(() => cluster.dispose());

test.each([
  ['INTEGER', 'TEXT', '1', ["'1'", "'1.0'"]],
  ['REAL', 'TEXT', '2.5', ["'2.5'", "'2.50'"]],
  ['NUMERIC', 'BLOB', '1', ['1', '1.0']],
  ['INTEGER', 'TEXT', '1', ["'1'"]],
] as const)(
  'a key of %s that rows of %s refer to: only those that are equal to it are changed',
  async (parent, child, key, values) => {
    for (const action of ['CASCADE', 'SET NULL']) {
      const name = `${parent}_${child}_${action.length}_${values.length}`;
      const beside = await BesideSqlite.create(
        cluster,
        `CREATE TABLE p_${name} (k TEXT PRIMARY KEY, e ${parent} UNIQUE)`,
        `CREATE TABLE c_${name} (k TEXT PRIMARY KEY, f ${child} REFERENCES p_${name}(e) ON DELETE ${action} ON UPDATE ${action})`,
      );
      await beside.both(`INSERT INTO p_${name} VALUES ('a', ${key})`);
      for (const value of values)
        await beside.both(`INSERT INTO c_${name} VALUES (${`'row ${value.replaceAll("'", '')}'`}, ${value})`);
      await beside.both(`UPDATE p_${name} SET e = 77`);
      await beside.both(`DELETE FROM p_${name}`);
    }
  },
);

test('a row that refers to a key and is not equal to it keeps its parent', async () => {
  await cluster.query('CREATE TABLE p (k TEXT PRIMARY KEY, e INTEGER UNIQUE)');
  await cluster.query('CREATE TABLE c (k TEXT PRIMARY KEY, f TEXT REFERENCES p(e) ON DELETE CASCADE)');
  await cluster.query("INSERT INTO p VALUES ('a', 1)");
  await cluster.query("INSERT INTO c VALUES ('x', '1.0'), ('y', '1')");
  const { status, json } = await cluster.post('/v1/query', { sql: 'DELETE FROM p' });
  expect([status, json.error.code, json.error.outcome]).toEqual([409, 'constraint', 'none']);
  expect(await cluster.rows('SELECT k FROM c ORDER BY k')).toEqual([['x'], ['y']]);
  await cluster.query("DELETE FROM c WHERE k = 'x'");
  await cluster.query('DELETE FROM p');
  expect(await cluster.rows('SELECT k FROM c')).toEqual([]);
});
