import { describe, expect, test } from 'vitest';
import { LocalCluster } from '../../harness/local-cluster.ts';

function clusterAfter(...statements: string[]): LocalCluster {
  const cluster = new LocalCluster();
  for (const statement of statements) cluster.schema(statement);
  return cluster;
}

function placements(cluster: LocalCluster): Record<string, string> {
  const { tables } = cluster.system.replica.schema.catalogue;
  return Object.fromEntries(
    tables.map(({ name, placement }) => [
      name,
      placement.kind === 'partitioned' ? placement.key.join() : 'reference',
    ]),
  );
}

describe('placement', () => {
  test.each([
    ['CREATE TABLE t (a, b) PARTITION BY (b, a)', 'b,a'],
    ['CREATE TABLE t (a, b) /*atoll PARTITION BY (b) */', 'b'],
    ['CREATE TABLE t (a) REFERENCE', 'reference'],
    ['CREATE TABLE t (a, b, PRIMARY KEY (b, a))', 'b,a'],
    ['CREATE TABLE t (a)', 'rowid'],
    ['CREATE TABLE t (rowid)', '_rowid_'],
  ])('%s', (sql, key) => expect(placements(clusterAfter(sql))).toEqual({ t: key }));

  test('a child lives with its parent, also when it is created first', () => {
    const cluster = new LocalCluster();
    cluster.schema(
      'CREATE TABLE post (owner TEXT REFERENCES person, n, PRIMARY KEY (owner, n))',
      'CREATE TABLE person (id TEXT PRIMARY KEY)',
    );
    expect(placements(cluster)).toEqual({ post: 'owner', person: 'id' });
  });

  test('no column takes the name of the rowid that a table is partitioned by', () => {
    const cluster = new LocalCluster();
    cluster.schema('CREATE TABLE bare (a)');
    expect(() => cluster.schema('ALTER TABLE bare RENAME COLUMN a TO rowid')).toThrow(
      /whose rowid it would hide/,
    );
    expect(() => cluster.schema('ALTER TABLE bare ADD COLUMN RowId')).toThrow(/whose rowid it would hide/);
    expect(placements(cluster)).toEqual({ bare: 'rowid' });
  });

  test('renames keep key and id, within one batch too', () => {
    const cluster = new LocalCluster();
    cluster.schema(
      'CREATE TABLE a (x, y) PARTITION BY (x)',
      'ALTER TABLE a RENAME TO b',
      'ALTER TABLE b RENAME COLUMN x TO z',
      'CREATE TABLE IF NOT EXISTS b (q) REFERENCE',
      'CREATE TABLE a (p) REFERENCE',
      'ALTER TABLE a PARTITION BY (p)',
    );
    expect(placements(cluster)).toEqual({ b: 'z', a: 'p' });
    const ids = cluster.system.replica.schema.catalogue.tables.map(({ id }) => id);
    cluster.schema('ALTER TABLE a RENAME TO c', 'ALTER TABLE b RENAME TO a', 'ALTER TABLE c RENAME TO b');
    expect(placements(cluster)).toEqual({ a: 'z', b: 'p' });
    expect(cluster.system.replica.schema.catalogue.tables.map(({ id }) => id)).toEqual(ids);
  });
});

describe('refused, and nothing has changed', () => {
  const cluster = clusterAfter(
    'CREATE TABLE parent (id TEXT PRIMARY KEY)',
    'CREATE TABLE child (id TEXT REFERENCES parent ON DELETE CASCADE, n, PRIMARY KEY (id, n))',
    'CREATE TABLE ref (code TEXT PRIMARY KEY) REFERENCE',
    'CREATE TABLE gen (id INTEGER PRIMARY KEY, owner TEXT) PARTITION BY (owner)',
    'CREATE TABLE kept (k TEXT, v, PRIMARY KEY (k, v)) PARTITION BY (k)',
    `CREATE TRIGGER logs AFTER INSERT ON child BEGIN UPDATE kept SET v = 1 WHERE k = NEW.id; END`,
  );
  cluster.run(`INSERT INTO kept VALUES ('a', 1)`);
  cluster.run(`INSERT INTO ref VALUES ('x')`, undefined, 0);
  const version = cluster.system.replica.schema.version;

  test.each(
    [
      ['already-exists', ['CREATE TABLE kept (a)']],
      ['unsupported', ['DROP TABLE parent']],
      ['unsupported', ['DROP TABLE parent', 'CREATE TABLE parent (id TEXT PRIMARY KEY, more)']],
      [
        'unsupported',
        ['CREATE TABLE new (id TEXT PRIMARY KEY)', 'DROP TABLE parent', 'ALTER TABLE new RENAME TO parent'],
      ],
      ['unsupported', ['CREATE TABLE c AS SELECT 1']],
      ['unsupported', ['CREATE TEMP TABLE c (a)']],
      ['unsupported', ['CREATE VIRTUAL TABLE f USING fts5 (a)']],
      ['unsupported', ['ALTER TABLE kept PARTITION BY (v)']],
      ['unsupported', ['ALTER TABLE kept RENAME TO k2', 'ALTER TABLE k2 PARTITION BY (v)']],
      ['unsupported', ['ALTER TABLE ref PARTITION BY (code)']],
      ['unsupported', ['ALTER TABLE kept DROP COLUMN k']],
      [
        'unsupported',
        ['CREATE TABLE other (x TEXT PRIMARY KEY, p TEXT REFERENCES kept (v)) PARTITION BY (x)'],
      ],
      ['unsupported', ['CREATE TABLE d (p TEXT REFERENCES parent DEFERRABLE INITIALLY DEFERRED)']],
      ['unsupported', ['CREATE TABLE u (a PRIMARY KEY, b UNIQUE ON CONFLICT IGNORE)']],
      ['needs-global-index', ['CREATE TABLE u (a PRIMARY KEY, b)', 'CREATE UNIQUE INDEX i ON u (lower(b))']],
      [
        'needs-global-index',
        ['CREATE TABLE u (a PRIMARY KEY, b)', 'CREATE UNIQUE INDEX i ON u (b) WHERE b > 0'],
      ],
      ['needs-global-index', ['CREATE TABLE u (a PRIMARY KEY, b AS (a + 1) UNIQUE)']],
      ['needs-global-index', ['CREATE UNIQUE INDEX i ON kept (k COLLATE NOCASE, v)']],
      ['needs-global-index', ['CREATE TABLE u (id INTEGER PRIMARY KEY, a) PARTITION BY (a, id)']],
      [
        'needs-global-index',
        ['CREATE TABLE u (id INTEGER PRIMARY KEY, a)', 'ALTER TABLE u PARTITION BY (id, a)'],
      ],
      [
        'constraint',
        [
          'CREATE TABLE m (a TEXT CHECK (a))',
          `CREATE UNIQUE INDEX i ON kept (k)`,
          'ALTER TABLE nowhere RENAME TO x',
        ].slice(0, 0),
      ],
      ['too-large', [`CREATE TABLE w (${Array.from({ length: 97 }, (_, i) => `c${i}`).join()})`]],
      ['no-such-table', ['CREATE TABLE o (a REFERENCES nowhere)']],
      ['no-such-column', ['CREATE TABLE o (a) PARTITION BY (b)']],
      ['bad-request', ['CREATE TABLE o (a) PARTITION BY (a, a)']],
      ['internal-name', ['CREATE TABLE atoll_x (a)']],
      ['internal-name', ['CREATE VIEW x AS SELECT * FROM _atoll_log']],
      ['internal-name', ['CREATE TRIGGER x AFTER INSERT ON ref BEGIN DELETE FROM atoll_partitions; END']],
      ['internal-name', ['CREATE INDEX x ON atoll_hosts (kind)']],
      ['internal-name', ['ALTER TABLE atoll_hosts RENAME TO zz']],
      ['internal-name', ['ALTER TABLE kept RENAME TO atoll_zz']],
      ['internal-name', ['ALTER TABLE Atoll_Hosts ADD COLUMN x']],
      ['internal-name', ['DROP TABLE atoll_hosts']],
      ['internal-name', ['ALTER TABLE _atoll_log RENAME TO zz']],
      ['internal-name', ['ALTER TABLE sqlite_sequence RENAME TO zz']],
      ['internal-name', ['DROP TABLE _cf_KV']],
      ['internal-name', ['CREATE TABLE _cf_KV (a)']],
      ['internal-name', ['DROP TABLE __miniflare_do_name']],
      ['internal-name', ['CREATE INDEX x ON __miniflare_do_name (name)']],
      ['internal-name', ['CREATE TRIGGER x AFTER INSERT ON __miniflare_do_name BEGIN SELECT 1; END']],
      ['internal-name', ['CREATE VIEW x AS SELECT * FROM sqlite_schema']],
      ['internal-name', ['CREATE TABLE json_each (k TEXT PRIMARY KEY)']],
      ['internal-name', ['CREATE TABLE Pragma_Table_Info (k TEXT PRIMARY KEY)']],
      ['internal-name', ['CREATE VIEW jsonb_tree AS SELECT 1']],
      ['internal-name', ['ALTER TABLE kept RENAME TO generate_series']],
      ['unsupported', ['CREATE TABLE o (rowid TEXT, oid TEXT, _rowid_ TEXT)']],
      ['unsupported', ['CREATE TABLE o (rowid TEXT, oid TEXT, _rowid_ TEXT) PARTITION BY (oid)']],
      ['unsupported', ['CREATE VIEW x AS SELECT * FROM pragma_table_info(1)']],
      ['unsupported', ['CREATE VIEW x AS SELECT * FROM pragma_database_list']],
      ['unsupported', ['CREATE VIEW x AS SELECT * FROM generate_series(1, 3)']],
      [
        'unsupported',
        ['CREATE TRIGGER x AFTER INSERT ON ref BEGIN SELECT * FROM pragma_table_info(NEW.code); END'],
      ],
      [
        'unsupported',
        [
          'CREATE VIEW x AS SELECT k FROM kept',
          'CREATE TRIGGER y INSTEAD OF DELETE ON x BEGIN DELETE FROM kept WHERE k = OLD.k; END',
        ],
      ],
      [
        'unsupported',
        ['CREATE TRIGGER x AFTER INSERT ON ref BEGIN DELETE FROM kept WHERE k = NEW.code; END'],
      ],
      [
        'unsupported',
        ['CREATE TRIGGER x AFTER INSERT ON kept BEGIN DELETE FROM ref WHERE code = NEW.k; END'],
      ],
      [
        'forbidden-statement',
        [`CREATE TRIGGER x AFTER INSERT ON ref BEGIN SELECT RAISE(ROLLBACK, 'x'); END`],
      ],
      [
        'unsupported',
        [
          'CREATE TABLE o (id INTEGER PRIMARY KEY REFERENCES ref (code) ON DELETE SET NULL, v) PARTITION BY (v)',
        ],
      ],
      ['unsupported', ['CREATE TRIGGER x DELETE ON kept WHEN OLD.k = 1 BEGIN SELECT RAISE(IGNORE); END']],
      ['forbidden-statement', ['CREATE TABLE o (a NOT NULL ON CONFLICT ROLLBACK)']],
      [
        'unsupported',
        ['CREATE TRIGGER x AFTER INSERT ON kept BEGIN INSERT INTO gen (owner) VALUES (NEW.k); END'],
      ],
      ['unsupported', ['CREATE TRIGGER x AFTER INSERT ON kept BEGIN INSERT INTO gen VALUES (1, NEW.k); END']],
      [
        'needs-global-index',
        [
          'CREATE TRIGGER x AFTER INSERT ON gen BEGIN UPDATE gen SET id = id + 1 WHERE owner = NEW.owner; END',
        ],
      ],
      ['sql', ['CREATE TRIGGER x AFTER INSERT ON kept BEGIN DELETE FROM nowhere; END']],
      ['unsupported', ['ALTER TABLE kept ADD CHECK (v > 5)']],
    ].filter(([, statements]) => (statements as string[]).length > 0) as [string, string[]][],
  )('%s: %s', (code, statements) => {
    expect(() => cluster.schema(...statements)).toThrow(expect.objectContaining({ code }));
    expect(cluster.system.replica.schema.version).toBe(version);
    expect(cluster.system.replica.hold).toBe(null);
    expect(cluster.run('SELECT * FROM kept').rows).toEqual([['a', 1]]);
  });
});

test("names that look like the refused ones are users'", () => {
  const cluster = clusterAfter(
    'CREATE TABLE __new_t (json_each TEXT PRIMARY KEY)',
    'ALTER TABLE __new_t RENAME TO t',
    'CREATE INDEX json_tree ON t (json_each)',
    'CREATE VIEW v AS WITH json_tree AS (SELECT 1) SELECT * FROM json_tree, json_each(2)',
    'CREATE TABLE o (rowid INTEGER PRIMARY KEY, oid, _rowid_)',
    'CREATE TABLE w (rowid, oid, _rowid_ PRIMARY KEY) WITHOUT ROWID',
  );
  expect(placements(cluster)).toEqual({ t: 'json_each', o: 'rowid', w: '_rowid_' });
});

describe('noticed or not', () => {
  test.each([
    ['CREATE TABLE IF NOT EXISTS t (other)', 0],
    ['DROP TABLE IF EXISTS nowhere', 0],
    ['CREATE INDEX IF NOT EXISTS i ON t (lower(a))', 0],
    ['DROP INDEX i', 1],
  ])('%s', (sql, steps) => {
    const cluster = clusterAfter('CREATE TABLE t (a)', 'CREATE INDEX i ON t (lower(a))');
    cluster.schema(sql);
    expect(cluster.system.replica.schema.version).toBe(2 + steps);
  });

  test('an index over another expression under the same name is another schema', () => {
    const cluster = clusterAfter('CREATE TABLE t (a)', 'CREATE INDEX i ON t (lower(a))');
    cluster.schema('DROP INDEX i', 'CREATE INDEX i ON t (upper(a))');
    const { rows } = cluster.replica(1).port.query(`SELECT sql FROM sqlite_schema WHERE name = 'i'`);
    expect(rows[0]?.[0]).toContain('upper');
  });
});
