import { describe, expect, test } from 'vitest';
import { LocalCluster } from '../../harness/local-cluster.ts';

describe('an id that is a parameter', () => {
  const cluster = new LocalCluster();
  cluster.schema(
    'CREATE TABLE po (id INTEGER PRIMARY KEY, tenant TEXT, b) PARTITION BY (tenant)',
    'CREATE TABLE own (id INTEGER PRIMARY KEY, b)',
    'CREATE TABLE ref (id INTEGER PRIMARY KEY, b) REFERENCE',
  );

  test('is generated where it is NULL', () => {
    const sql = 'INSERT INTO po (id, tenant, b) VALUES (?, ?, 1), (?, ?, 2) RETURNING id';
    const [[first], [second]] = cluster.run(sql, [null, 'x', null, 'x']).rows as [[number], [number]];
    expect(first).toBeGreaterThan(0);
    expect(second).toBeGreaterThan(first);
  });

  test.each([
    ['INSERT INTO po (id, tenant) VALUES (?, ?)', [5, 'x']],
    ['INSERT INTO po (tenant, rowid) VALUES (?2, NULL), (?2, ?1)', ['5', 'x']],
    ['INSERT OR REPLACE INTO po VALUES (?, ?, 1)', [0, 'x']],
  ])('is refused where it is not the partition key: %s', (sql, args) => {
    expect(() => cluster.run(sql, args)).toThrow(expect.objectContaining({ code: 'needs-global-index' }));
    expect(cluster.run('SELECT count(*) FROM po WHERE id IN (0, 5)').rows).toEqual([[0]]);
  });

  test('may be given where equal ids meet', () => {
    cluster.run('INSERT INTO own VALUES (?, 1)', [5]);
    cluster.run('INSERT INTO ref VALUES (?, 1)', [5], 0);
    expect(cluster.run('SELECT (SELECT id FROM own), (SELECT id FROM ref)').rows).toEqual([[5, 5]]);
  });

  test('TRUE is given, and no other row gets it', () => {
    cluster.run('INSERT INTO ref VALUES (FALSE, 0)', undefined, 0);
    cluster.run('DELETE FROM own');
    cluster.run('INSERT INTO own VALUES (NULL, 1), (TRUE, 2)');
    expect(cluster.run('SELECT count(DISTINCT id), sum(id = 1 AND b = 2) FROM own').rows).toEqual([[2, 1]]);
  });
});
