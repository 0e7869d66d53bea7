import { describe, expect, test } from 'vitest';
import { RECURSION_ROWS_MAX } from '../../../src/core/sql/recursion.ts';
import { LocalCluster } from '../../harness/local-cluster.ts';

const cluster = new LocalCluster();
cluster.schema(
  'CREATE TABLE node (id INTEGER, parent INTEGER, PRIMARY KEY (id)) PARTITION BY (id)',
  'CREATE TABLE copy (k INTEGER, x INTEGER, PRIMARY KEY (k, x)) PARTITION BY (k)',
  'CREATE VIEW endless AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c',
  'CREATE VIEW few AS WITH RECURSIVE c AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM c WHERE x < 3) SELECT * FROM c',
);
for (const [id, parent] of [
  [1, null],
  [2, 1],
  [3, 1],
  [4, 2],
])
  cluster.partitions[0]?.port.query('INSERT INTO node VALUES (?, ?)', id ?? null, parent ?? null);

const ENDLESS = 'SELECT 1 AS x UNION ALL SELECT x + 1 FROM c';

describe('an endless recursion ends in an error, never in a cut answer', () => {
  for (const sql of [
    `WITH c AS (${ENDLESS}) SELECT count(*) FROM c`,
    `WITH RECURSIVE c AS (${ENDLESS}) SELECT x FROM c WHERE x < 5`,
    `WITH RECURSIVE c AS (${ENDLESS} LIMIT 1000000000000) SELECT sum(x) FROM c`,
    `WITH RECURSIVE c AS (${ENDLESS} LIMIT 5 OFFSET 100000000000) SELECT sum(x) FROM c`,
    `WITH RECURSIVE c(x) AS (SELECT 1 UNION SELECT x + 1 FROM c ORDER BY 1 DESC) SELECT sum(x) FROM c`,
    `WITH RECURSIVE c AS (SELECT *, 1 AS x FROM node UNION ALL SELECT id, parent, x + 1 FROM c) SELECT count(*) FROM c`,
    `SELECT (WITH c AS (${ENDLESS}) SELECT max(x) FROM c)`,
    'SELECT count(*) FROM endless',
  ]) {
    test(sql, () => {
      expect(() => cluster.run(sql)).toThrow(
        expect.objectContaining({ code: 'result-too-large', outcome: 'none' }),
      );
    });
  }

  test('in a write too, and nothing is written', () => {
    const sql = `WITH c AS (${ENDLESS}) INSERT INTO copy SELECT 1, x FROM c`;
    expect(() => cluster.run(sql)).toThrow(expect.objectContaining({ code: 'result-too-large' }));
    expect(cluster.run('SELECT count(*) FROM copy').rows).toEqual([[0]]);
  });
});

describe('a recursion that ends is as SQLite has it', () => {
  for (const [sql, rows] of [
    [`WITH RECURSIVE c AS (${ENDLESS}) SELECT x FROM c LIMIT 3`, [[1], [2], [3]]],
    [`WITH RECURSIVE c AS (${ENDLESS} LIMIT 2 OFFSET 1) SELECT * FROM c`, [[2], [3]]],
    ['SELECT * FROM endless LIMIT 2', [[1], [2]]],
    ['SELECT x FROM few', [[1], [2], [3]]],
    [`WITH RECURSIVE c AS (${ENDLESS} LIMIT 0) SELECT count(*) FROM c`, [[0]]],
    [
      `WITH RECURSIVE c AS (${ENDLESS} LIMIT ${RECURSION_ROWS_MAX}) SELECT count(*) FROM c`,
      [[RECURSION_ROWS_MAX]],
    ],
    [
      'WITH RECURSIVE tree AS (SELECT * FROM node WHERE id = 1 UNION ALL SELECT n.* FROM node n JOIN tree ON n.parent = tree.id) SELECT id FROM tree ORDER BY 1',
      [[1], [2], [3], [4]],
    ],
    [
      'WITH RECURSIVE tree(a, b) AS (SELECT * FROM node WHERE id = 1 UNION ALL SELECT n.* FROM node n JOIN tree ON n.parent = a) SELECT b, a FROM tree ORDER BY 2',
      [
        [null, 1],
        [1, 2],
        [1, 3],
        [2, 4],
      ],
    ],
    [
      // Correlated: one recursion for each outer row.
      'SELECT id, (WITH RECURSIVE up AS (SELECT parent AS p FROM node WHERE id = o.id UNION ALL SELECT parent FROM node JOIN up ON id = p) SELECT count(p) FROM up) FROM node o ORDER BY id',
      [
        [1, 0],
        [2, 1],
        [3, 1],
        [4, 2],
      ],
    ],
    [
      'WITH RECURSIVE c AS (SELECT 1 AS x, 2 AS x UNION ALL SELECT 3, 4 FROM c LIMIT 2) SELECT * FROM c',
      [
        [1, 2],
        [3, 4],
      ],
    ],
    [
      'WITH RECURSIVE a AS (SELECT 1 x UNION ALL SELECT x + 1 FROM a LIMIT 3), b AS (SELECT x FROM a UNION ALL SELECT x * 10 FROM b LIMIT 5) SELECT x FROM b',
      [[1], [2], [3], [10], [20]],
    ],
    [
      'WITH RECURSIVE c AS (SELECT *, 1 AS x FROM node WHERE id = 1 UNION ALL SELECT id, parent, x + 1 FROM c LIMIT 2 OFFSET 1) SELECT x FROM c',
      [[2], [3]],
    ],
    [
      'WITH RECURSIVE c AS (SELECT *, 1 AS x FROM node WHERE id = 1 UNION ALL SELECT id, parent, x + 1 FROM c WHERE x < 4 LIMIT -1) SELECT count(*) FROM c',
      [[4]],
    ],
  ] as const) {
    test(sql, () => expect(cluster.run(sql).rows).toEqual(rows));
  }

  test('the schema shows a view as it was written', () => {
    const views = cluster.system.replica.schema.catalogue.views;
    expect(views.map(({ sql }) => sql).join()).not.toContain('atoll');
    expect(() => cluster.schema('CREATE VIEW few2 AS SELECT * FROM few')).not.toThrow();
    expect(cluster.system.replica.schema.catalogue.views.map(({ sql }) => sql).join()).not.toContain('atoll');
  });
});
