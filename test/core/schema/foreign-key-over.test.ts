import { describe, expect, test } from 'vitest';
import { LocalCluster } from '../../harness/local-cluster.ts';

const PARENT = 'CREATE TABLE parent (id TEXT PRIMARY KEY, code INTEGER UNIQUE, n)';

function clusterAfter(...statements: string[]): LocalCluster {
  const cluster = new LocalCluster();
  for (const statement of statements) cluster.schema(statement);
  return cluster;
}

const keysOf = (cluster: LocalCluster, name: string) => {
  const { schema } = cluster.replica(1);
  const table = schema.table(name);
  return table === undefined ? [] : schema.foreignKeysOf(table);
};

const hidden = (cluster: LocalCluster) =>
  cluster
    .replica(1)
    .port.query(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB '_atoll_[ur]*e_1*' ORDER BY 1",
    )
    .rows.flat();

/** What the partition's own SQLite knows. */
const local = (cluster: LocalCluster, table: string) =>
  cluster.replica(1).port.query(`PRAGMA foreign_key_list(${table})`).rows.length;

describe('a foreign key over partitions', () => {
  test('is not known to SQLite, wherever it is written, and stays in the schema', () => {
    const cluster = clusterAfter(PARENT);
    cluster.schema(
      `CREATE TABLE child (
         id TEXT PRIMARY KEY,
         a TEXT CONSTRAINT one REFERENCES parent ON DELETE CASCADE NOT DEFERRABLE NOT NULL, -- a comment
         b INTEGER REFERENCES parent (code) ON UPDATE SET NULL UNIQUE,
         c TEXT REFERENCES child /* itself */ (id),
         d TEXT,
         CHECK (d <> ''), CONSTRAINT two FOREIGN KEY (d) REFERENCES parent (id) ON DELETE SET DEFAULT MATCH FULL,
         FOREIGN KEY (id) REFERENCES parent (id)
       ) PARTITION BY (id)`,
    );
    expect(local(cluster, 'child')).toBe(1);
    expect(keysOf(cluster, 'child')).toMatchObject([
      { columns: ['id'], parent: 'parent', parentColumns: ['id'] },
      { columns: ['a'], parent: 'parent', parentColumns: ['id'], onDelete: 'CASCADE', onUpdate: 'NO ACTION' },
      { columns: ['b'], parent: 'parent', parentColumns: ['code'], onUpdate: 'SET NULL' },
      { columns: ['c'], parent: 'child', parentColumns: ['id'] },
      { columns: ['d'], parent: 'parent', parentColumns: ['id'], onDelete: 'SET DEFAULT' },
    ]);
    expect(() => cluster.replica(1).port.query("INSERT INTO child (id) VALUES ('x')")).toThrow(/NOT NULL/);
    expect(() => cluster.replica(1).port.query("INSERT INTO child (id, a, d) VALUES ('x', 'y', '')")).toThrow(
      /CHECK/,
    );
    expect(hidden(cluster).length).toBe(6);
  });

  test('is found when parents come later in the same change, and in a circle', () => {
    const cluster = new LocalCluster();
    cluster.schema(
      'CREATE TABLE a (id TEXT PRIMARY KEY, b TEXT REFERENCES b) PARTITION BY (id)',
      'CREATE TABLE b (id TEXT PRIMARY KEY, a TEXT REFERENCES a) PARTITION BY (id)',
    );
    expect([keysOf(cluster, 'a').length, keysOf(cluster, 'b').length]).toEqual([1, 1]);
    expect([local(cluster, 'a'), local(cluster, 'b')]).toEqual([0, 0]);
  });

  test('goes along with names, within one change too', () => {
    const cluster = clusterAfter(PARENT);
    cluster.schema(
      'CREATE TABLE child (id TEXT PRIMARY KEY, a TEXT REFERENCES parent (id)) PARTITION BY (id)',
      'ALTER TABLE child RENAME COLUMN a TO of',
      'ALTER TABLE parent RENAME TO owner',
      'ALTER TABLE owner RENAME COLUMN id TO name',
      'ALTER TABLE child RENAME TO thing',
    );
    const [table] = hidden(cluster);
    expect(keysOf(cluster, 'thing')).toMatchObject([
      { columns: ['of'], parent: 'owner', parentColumns: ['name'] },
    ]);
    cluster.schema('ALTER TABLE thing RENAME COLUMN of TO owner', 'ALTER TABLE owner RENAME TO person');
    cluster.schema('ALTER TABLE thing RENAME COLUMN id TO key', 'ALTER TABLE person RENAME name TO id');
    expect(keysOf(cluster, 'thing')).toMatchObject([
      { columns: ['owner'], parent: 'person', parentColumns: ['id'] },
    ]);
    expect(cluster.replica(1).schema.catalogue.references).toMatchObject([{ row: ['rowid', 'key'] }]);
    expect(hidden(cluster)).toEqual([table, ...hidden(cluster).slice(1)]);
  });

  test('is added with a column that is NULL', () => {
    const cluster = clusterAfter(PARENT, 'CREATE TABLE child (id TEXT PRIMARY KEY)');
    cluster.run("INSERT INTO child VALUES ('x')");
    cluster.schema('ALTER TABLE child ADD COLUMN a TEXT REFERENCES parent ON DELETE CASCADE');
    expect(keysOf(cluster, 'child')).toMatchObject([{ columns: ['a'], onDelete: 'CASCADE' }]);
    expect(local(cluster, 'child')).toBe(0);
    expect(() =>
      cluster.schema("ALTER TABLE child ADD COLUMN b TEXT DEFAULT 'q' REFERENCES parent"),
    ).toThrow();
  });

  test('goes with its child, and keeps its parent', () => {
    const cluster = clusterAfter(
      PARENT,
      'CREATE TABLE child (id TEXT PRIMARY KEY, a TEXT REFERENCES parent) PARTITION BY (id)',
    );
    expect(() => cluster.schema('DROP TABLE parent')).toThrow(/dropping parent, which child refers to/);
    expect(() => cluster.schema('ALTER TABLE child DROP COLUMN a')).toThrow(/dropping child.a/);
    expect(() => cluster.schema('DROP TABLE child', 'DROP TABLE parent')).not.toThrow();
    expect(hidden(cluster)).toEqual([]);
    expect(cluster.replica(1).schema.catalogue.references).toBeUndefined();
  });

  test('has an index of ids that are not the partition key, from the start', () => {
    const cluster = clusterAfter(
      'CREATE TABLE post (id INTEGER PRIMARY KEY, tenant TEXT) PARTITION BY (tenant)',
    );
    expect(hidden(cluster)).toEqual([]);
    cluster.schema('CREATE TABLE note (id INTEGER PRIMARY KEY, post INTEGER REFERENCES post)');
    expect(hidden(cluster).length).toBe(2);
    cluster.schema('DROP TABLE note');
    expect(hidden(cluster)).toEqual([]);
    cluster.run("INSERT INTO post (tenant) VALUES ('a')");
    expect(() =>
      cluster.schema('CREATE TABLE note (id INTEGER PRIMARY KEY, post INTEGER REFERENCES post)'),
    ).toThrow(/refer to its id \(id\)/);
  });

  test.each([
    ['CREATE TABLE c (id TEXT PRIMARY KEY, a REFERENCES parent (n))', /neither its PRIMARY KEY nor UNIQUE/],
    ['CREATE TABLE c (id TEXT PRIMARY KEY, a REFERENCES nobody)', /no such table/],
    [
      'CREATE TABLE c (id TEXT PRIMARY KEY, a AS (id) REFERENCES parent) PARTITION BY (id)',
      /generated column/,
    ],
    ['CREATE TABLE c (id TEXT PRIMARY KEY, a REFERENCES parent) REFERENCE', /reference table cannot refer/],
    ['CREATE TABLE c (id TEXT PRIMARY KEY, a, b, FOREIGN KEY (a, b) REFERENCES parent)', /mismatch/],
  ])('%s is refused', (sql, message) => {
    const cluster = clusterAfter(PARENT);
    expect(() => cluster.schema(sql)).toThrow(message);
    expect(hidden(cluster).length).toBe(1);
  });

  test('is not made of one within a partition, by moving a table', () => {
    const cluster = clusterAfter(PARENT, 'CREATE TABLE child (a TEXT REFERENCES parent, n) PARTITION BY (a)');
    expect(local(cluster, 'child')).toBe(1);
    expect(() => cluster.schema('ALTER TABLE child PARTITION BY (n)')).toThrow(/create child anew/);
  });
});
