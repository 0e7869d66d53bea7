import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { checkSchemaChange, readFeed } from '../../../src/core/replica/feed.ts';
import { LocalCluster } from '../../harness/local-cluster.ts';
import { QuietCluster } from '../../simulation/quiet-cluster.ts';

/** Rebuilds of tables that must not be, or not so: rows in other partitions and on other hosts are to be the same. */

const OFF = 'PRAGMA foreign_keys = OFF';
const END = ['DROP TABLE t', 'ALTER TABLE n RENAME TO t'];

function clusterAfter(...statements: string[]): LocalCluster {
  const cluster = new LocalCluster(2);
  for (const statement of statements) cluster.schema(statement);
  return cluster;
}

const INSTANT = Date.UTC(2020, 1, 2, 3, 4, 5, 678);

describe('what a copy computes is the same on every host', () => {
  test.each([
    ["datetime('now')", '2020-02-02 03:04:05'],
    ['datetime()', '2020-02-02 03:04:05'],
    ['datetime( * )', '2020-02-02 03:04:05'],
    ["CASE WHEN v IN ('now', 'b') THEN 1 END", 1],
    ['datetime(/* ) */)', '2020-02-02 03:04:05'],
    ["strftime('%s' /* ) */)", '1580612645'],
    ["unixepoch('subsec')", 1580612645.678],
    ["unixepoch('now', 'subsec')", 1580612645.678],
    ["datetime('subsecond')", '2020-02-02 03:04:05.678'],
    ["unixepoch('no' || 'w')", 1580612645],
    ["datetime(x'6e6f77')", '2020-02-02 03:04:05'],
    ['datetime("now")', '2020-02-02 03:04:05'],
    ["datetime('now' || char(0) || 'x')", '2020-02-02 03:04:05'],
    ['datetime(v)', '2020-02-02 03:04:05'],
    ["unixepoch(v, '+1 second')", 1580612646],
    ["timediff('now', '2020-02-02')", '+0000-00-00 03:04:05.678'],
    ["timediff('subsec', v)", '+0000-00-00 00:00:00.000'],
    ["unixepoch('2020-01-01', 'start of month')", 1577836800],
    ["datetime(86400, 'unixepoch')", '1970-01-02 00:00:00'],
    ["datetime(k, 'unixepoch')", '1970-01-01 00:00:07'],
    ['coalesce(v, CURRENT_TIMESTAMP) || CURRENT_DATE', 'now2020-02-02'],
  ])('%s', (expression, expected) => {
    const cluster = clusterAfter('CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT)');
    cluster.run("INSERT INTO t VALUES ('7', 'now')");
    cluster.now = INSTANT - 1;
    cluster.schema(
      'CREATE TABLE n (k TEXT PRIMARY KEY, v)',
      `INSERT INTO n SELECT k, ${expression} FROM t`,
      ...END,
    );
    expect(cluster.run('SELECT v FROM t').rows).toEqual([[expected]]);
  });

  test('also in defaults, where nothing else is given', () => {
    const cluster = clusterAfter('CREATE TABLE t (k TEXT PRIMARY KEY)');
    cluster.run("INSERT INTO t VALUES ('a')");
    cluster.now = INSTANT - 1;
    const columns = "a DEFAULT (unixepoch('subsec')), b DEFAULT (strftime('%f', 'no' || 'w'))";
    cluster.schema(
      `CREATE TABLE n (k TEXT PRIMARY KEY, ${columns})`,
      'INSERT INTO n (k) SELECT k FROM t',
      ...END,
    );
    expect(cluster.run('SELECT a, b FROM t').rows).toEqual([[1580612645.678, '05.678']]);
  });

  test.each([
    ["datetime('now', 'localtime')", /local time/],
    ["datetime(v, 'UTC ')", /local time/],
    ['datetime(v, v)', /a modifier that is no literal/],
    ["datetime(date('now'))", /times within times/],
    ['exp(1)', /last digit of exp/],
    ['v COLLATE nocase || random()', /random\(\)/],
  ])('or is refused: %s', (expression, message) => {
    const cluster = clusterAfter('CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT)');
    const copy = `INSERT INTO n SELECT k, ${expression} FROM t`;
    expect(() => cluster.schema('CREATE TABLE n (k TEXT PRIMARY KEY, v)', copy, ...END)).toThrow(message);
    const byDefault = ["CREATE TABLE n (k TEXT PRIMARY KEY, v DEFAULT (datetime(1, 'localtime')))"];
    expect(() => cluster.schema(...byDefault, 'INSERT INTO n (k) SELECT k FROM t', ...END)).toThrow(
      /local time/,
    );
  });
});

describe('a copy that does not carry along what it seems to', () => {
  test.each([
    ['v TEXT NOT NULL ON CONFLICT IGNORE', /ON CONFLICT IGNORE/],
    ["v TEXT NOT NULL ON/**/CONFLICT REPLACE DEFAULT 'x'", /ON CONFLICT REPLACE/],
    ['v TEXT UNIQUE ON CONFLICT IGNORE', /ON CONFLICT IGNORE/],
    ['v TEXT, UNIQUE (v) ON CONFLICT REPLACE', /ON CONFLICT REPLACE/],
  ])('%s', (column, message) => {
    const cluster = clusterAfter('CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT)');
    const create = `CREATE TABLE n (k TEXT PRIMARY KEY, ${column})`;
    expect(() => cluster.schema(create, 'INSERT INTO n SELECT k, v FROM t', ...END)).toThrow(message);
  });

  test.each([
    [['INSERT INTO n (k, v, k) SELECT v, k, k FROM t'], /names k twice/],
    [['INSERT INTO n (k, rowid, _ROWID_) SELECT k, 1, rowid FROM t'], /twice/],
    [
      ['INSERT INTO n SELECT k, v FROM t', 'ALTER TABLE n RENAME COLUMN v TO w'],
      /between its copy and the DROP/,
    ],
    [
      ['INSERT INTO n SELECT k, v FROM t', 'ALTER TABLE t RENAME COLUMN v TO w'],
      /between its copy and the DROP/,
    ],
    [['INSERT INTO n SELECT k, v FROM t', 'ALTER TABLE n DROP COLUMN v'], /between its copy and the DROP/],
    [['INSERT INTO n SELECT k, v FROM t', 'ALTER TABLE n ADD COLUMN w'], /between its copy and the DROP/],
  ])('%j', (statements, message) => {
    const cluster = clusterAfter('CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT)');
    expect(() =>
      cluster.schema('CREATE TABLE n (k TEXT PRIMARY KEY, v TEXT)', ...statements, ...END),
    ).toThrow(message);
  });

  test.each([
    [['INSERT INTO n SELECT k, v FROM t ORDER BY random()'], /leave ORDER BY out/],
    [['INSERT INTO n SELECT k, v IN (SELECT 1) FROM t'], /subqueries/],
    [['INSERT INTO n SELECT k, v IN u FROM t'], /subqueries/],
  ])('%j', (statements, message) => {
    const cluster = clusterAfter('CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT)', 'CREATE TABLE u (a)');
    expect(() =>
      cluster.schema('CREATE TABLE n (k TEXT PRIMARY KEY, v TEXT)', ...statements, ...END),
    ).toThrow(message);
  });

  test('what generated columns compute is copied, or computed for the copy', () => {
    const create = 'CREATE TABLE t (k INTEGER PRIMARY KEY, g REAL AS (exp(k)))';
    const plain = ['CREATE TABLE n (k INTEGER PRIMARY KEY, g REAL)', 'INSERT INTO n SELECT * FROM t'];
    expect(() => clusterAfter(create).schema(...plain, ...END)).toThrow(/last digit of exp/);
    const stored = [
      'CREATE TABLE n (k INTEGER PRIMARY KEY, g REAL AS (sin(k)) STORED)',
      'INSERT INTO n (k) SELECT k FROM t',
    ];
    expect(() => clusterAfter('CREATE TABLE t (k INTEGER PRIMARY KEY)').schema(...stored, ...END)).toThrow(
      /last digit of sin/,
    );
  });

  test.each([
    ['ALTER TABLE t RENAME COLUMN v TO x', 'ALTER TABLE t DROP COLUMN x', 'ALTER TABLE t ADD COLUMN v TEXT'],
    ['ALTER TABLE t RENAME COLUMN v TO x', 'ALTER TABLE t ADD COLUMN v TEXT', 'ALTER TABLE t DROP COLUMN x'],
    [
      'ALTER TABLE t RENAME COLUMN v TO x',
      'ALTER TABLE t ADD COLUMN v INTEGER DEFAULT 3',
      'ALTER TABLE t DROP COLUMN x',
    ],
    [
      'ALTER TABLE t RENAME COLUMN v TO x',
      'ALTER TABLE t RENAME COLUMN w TO v',
      'ALTER TABLE t DROP COLUMN x',
      'ALTER TABLE t ADD COLUMN w TEXT',
    ],
    ['ALTER TABLE t DROP COLUMN w', 'ALTER TABLE t ADD COLUMN w TEXT'],
  ])('columns that change places: %s; %s; %s; %s', (...statements) => {
    const cluster = clusterAfter('CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT, w TEXT)');
    const plain = new DatabaseSync(':memory:');
    plain.exec('CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT, w TEXT)');
    const insert = "INSERT INTO t (k, v, w) VALUES ('a', 'b', 'c')";
    cluster.run(insert);
    plain.exec(insert);
    cluster.schema(...statements.filter((sql) => sql !== undefined));
    for (const sql of statements) if (sql !== undefined) plain.exec(sql);
    const rows = () =>
      plain
        .prepare('SELECT * FROM t')
        .all()
        .map((row) => Object.values(row));
    expect(cluster.run('SELECT * FROM t').rows).toEqual(rows());
    // Logged as it is now.
    cluster.run("UPDATE t SET w = 'd'");
    plain.exec("UPDATE t SET w = 'd'");
    expect(cluster.run('SELECT * FROM t').rows).toEqual(rows());
  });

  test('a column that is dropped and added again has no values, and no entries', async () => {
    const cluster = await QuietCluster.open(1, 3, [
      'CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT)',
      'CREATE UNIQUE INDEX u ON t (v)',
    ]);
    for (const k of 'abcdef') await cluster.query('INSERT INTO t VALUES (?, ?)', [k, `v${k}`]);
    const { status } = await cluster.batch(
      ['DROP INDEX u'],
      ['ALTER TABLE t DROP COLUMN v'],
      ['ALTER TABLE t ADD COLUMN v TEXT'],
    );
    expect(status).toBe(200);
    expect(await cluster.rows('SELECT DISTINCT v FROM t')).toEqual([[null]]);
    await cluster.query('CREATE UNIQUE INDEX u ON t (v)');
    await cluster.query("INSERT INTO t VALUES ('z', 'va')");
    await cluster.checkIndexes();
  });

  test('a child whose values become others is not known to have the same parents', async () => {
    const cluster = await QuietCluster.open(1, 3, [
      'CREATE TABLE p (code TEXT PRIMARY KEY)',
      'CREATE TABLE t (id TEXT PRIMARY KEY, p TEXT REFERENCES p (code) ON DELETE CASCADE) PARTITION BY (id)',
    ]);
    await cluster.query("INSERT INTO p VALUES ('007'), ('7')");
    await cluster.query("INSERT INTO t VALUES ('x', '007')");
    const { json } = await cluster.batch(
      [OFF],
      ['CREATE TABLE n (id TEXT PRIMARY KEY, p INTEGER REFERENCES p (code) ON DELETE CASCADE)'],
      ['INSERT INTO n SELECT id, p FROM t'],
      ...END.map((sql) => [sql] as const),
    );
    expect(json.error.message).toContain('t has rows, and (p) is to refer to rows in other partitions');
    await cluster.checkIndexes();
  });
});

describe('where rows of a rebuilt table live', () => {
  const keyOf = (cluster: LocalCluster) => cluster.system.replica.schema.table('t')?.placement;

  test('a table without a key gets one, its rowid', () => {
    const cluster = clusterAfter('CREATE TABLE t (v TEXT)');
    const create = 'CREATE TABLE n (id INTEGER PRIMARY KEY, v TEXT)';
    for (const partition of [1, 2]) cluster.run("INSERT INTO t VALUES ('a'), ('b')", undefined, partition);
    const ids = () =>
      [1, 2].map((partition) => cluster.run('SELECT rowid, v FROM t', undefined, partition).rows);
    const before = ids();
    expect(() => cluster.schema(create, 'INSERT INTO n (v) SELECT v FROM t', ...END)).toThrow(
      /while it is empty/,
    );
    cluster.schema(create, 'INSERT INTO n SELECT rowid, v FROM t', ...END);
    expect(keyOf(cluster)).toEqual({ kind: 'partitioned', key: ['id'] });
    expect(ids()).toEqual(before);
  });

  test('a key goes along under another name, and a column of its name is none', () => {
    const cluster = clusterAfter('CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT)', 'CREATE TABLE bare (v TEXT)');
    cluster.run("INSERT INTO t VALUES ('a', 'b')");
    cluster.schema(
      'CREATE TABLE n (key TEXT PRIMARY KEY, v TEXT)',
      'INSERT INTO n SELECT k, v FROM t',
      ...END,
    );
    expect(keyOf(cluster)).toEqual({ kind: 'partitioned', key: ['key'] });
    cluster.schema(
      'CREATE TABLE n (rowid TEXT, v TEXT)',
      'INSERT INTO n (v) SELECT v FROM bare',
      'DROP TABLE bare',
      'ALTER TABLE n RENAME TO bare',
    );
    expect(cluster.system.replica.schema.table('bare')?.placement).toEqual({
      kind: 'partitioned',
      key: ['_rowid_'],
    });
  });

  test('no key is left that a new table could not have', () => {
    const cluster = clusterAfter('CREATE TABLE t (tenant TEXT, id INT, v, PRIMARY KEY (tenant, id))');
    const create = 'CREATE TABLE n (tenant TEXT, id INTEGER PRIMARY KEY, v)';
    expect(() => cluster.schema(create, 'INSERT INTO n SELECT * FROM t', ...END)).toThrow(
      /beside other columns/,
    );
    const generated = clusterAfter(
      'CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, k TEXT) PARTITION BY (k)',
    );
    generated.schema(
      'CREATE TABLE n (id INTEGER PRIMARY KEY, a TEXT, k TEXT AS (lower(a)))',
      'INSERT INTO n (id, a) SELECT id, a FROM t',
      ...END,
    );
    expect(keyOf(generated)).toEqual({ kind: 'partitioned', key: ['id'] });
  });

  test('ids that become rowids are not given to others', () => {
    const cluster = clusterAfter('CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)');
    const owned = (partition: number) =>
      Array.from({ length: 12 }, (_, i) => i + 1).filter(
        (id) =>
          cluster.outcome([{ sql: 'INSERT INTO t VALUES (?, ?)', args: [id, 'x'] }], partition).kind ===
          'done',
      );
    const given = [owned(1), owned(2)];
    cluster.schema(
      'CREATE TABLE n (id INT PRIMARY KEY, a TEXT)',
      'INSERT INTO n SELECT id, a FROM t',
      ...END,
    );
    for (const [index, ids] of given.entries()) {
      const id = (ids[0] as number) + 0;
      cluster.run('DELETE FROM t WHERE id = ?', [id], index + 1);
      cluster.run('INSERT INTO t VALUES (?, ?)', [id, 'y'], index + 1);
      expect(cluster.run('SELECT count(*) FROM t', undefined, index + 1).rows).toEqual([[ids.length]]);
    }
  });
});

describe('who refers to a rebuilt table over partitions', () => {
  const world = () =>
    clusterAfter(
      'CREATE TABLE t (k TEXT PRIMARY KEY, m TEXT UNIQUE)',
      'CREATE TABLE c (id TEXT PRIMARY KEY, t TEXT REFERENCES t) PARTITION BY (id)',
    );

  test('does so by its name', () => {
    const copy = [
      'CREATE TABLE n (k TEXT PRIMARY KEY, m TEXT UNIQUE)',
      'INSERT INTO n SELECT k, m FROM t',
      'DROP TABLE t',
    ];
    expect(() => world().schema(OFF, ...copy)).toThrow(/rebuilding t as n, while c refers to it by its name/);
    const cluster = world();
    cluster.schema(OFF, ...copy, 'ALTER TABLE n RENAME TO t', 'ALTER TABLE t RENAME TO u');
    expect(cluster.system.replica.schema.catalogue.references).toHaveLength(1);
  });

  test('and may mean the PRIMARY KEY, whichever it is', () => {
    const create = 'CREATE TABLE n (k TEXT UNIQUE, m TEXT PRIMARY KEY)';
    expect(() => world().schema(OFF, create, 'INSERT INTO n SELECT k, m FROM t', ...END)).toThrow(
      /another PRIMARY KEY of t/,
    );
  });
});

test('the actions of a foreign key over partitions change, and its entries stay', async () => {
  const cluster = await QuietCluster.open(1, 3, [
    'CREATE TABLE p (code TEXT PRIMARY KEY)',
    'CREATE TABLE t (id TEXT PRIMARY KEY, p TEXT REFERENCES p ON DELETE CASCADE) PARTITION BY (id)',
  ]);
  await cluster.query("INSERT INTO p VALUES ('a'), ('b')");
  await cluster.query("INSERT INTO t VALUES ('x', 'a'), ('y', 'b')");
  const { status } = await cluster.batch(
    ['CREATE TABLE n (id TEXT PRIMARY KEY, p TEXT REFERENCES p ON DELETE SET NULL)'],
    ['INSERT INTO n SELECT id, p FROM t'],
    ...END.map((sql) => [sql] as const),
  );
  expect(status).toBe(200);
  await cluster.query("DELETE FROM p WHERE code = 'a'");
  expect(await cluster.rows('SELECT id, p FROM t ORDER BY id')).toEqual([
    ['x', null],
    ['y', 'b'],
  ]);
  await cluster.checkIndexes();
});

test.each([
  [
    'CREATE TABLE n (k TEXT PRIMARY KEY, v TEXT CHECK (v > CURRENT_TIMESTAMP))',
    'INSERT INTO n SELECT k, v FROM t',
    ...END,
  ],
  ['ALTER TABLE t ADD COLUMN w TEXT CHECK (v > CURRENT_TIMESTAMP)'],
])('%s: a CHECK is judged when the change is tried, not when it is made', (...statements) => {
  const cluster = new LocalCluster(1);
  cluster.schema('CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT)');
  cluster.run("INSERT INTO t VALUES ('a', '3000-01-01')");
  const proposal = cluster.system.propose(statements, cluster.now);
  if (proposal === null) throw new Error('nothing changes');
  const replica = cluster.replica(1);
  expect(checkSchemaChange(replica, proposal.proposal, proposal.change, cluster.now).kind).toBe('passed');
  // As if time had gone on.
  replica.port.query("UPDATE t SET v = '1000-01-01'");
  cluster.system.publish(proposal, cluster.now);
  cluster.deliver();
  expect(replica.schema.version).toBe(2);
  expect(replica.port.query('PRAGMA ignore_check_constraints').rows).toEqual([[0]]);
  expect(() => cluster.schema('ALTER TABLE t ADD COLUMN z INT CHECK (v > 1 AND false)')).toThrow(/CHECK/);
});

test('a column of the name that there is already is said to be there', () => {
  const cluster = clusterAfter('CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT)', 'CREATE TABLE bare (v)');
  expect(() => cluster.schema('ALTER TABLE t ADD COLUMN k TEXT')).toThrow(/duplicate column name/);
  cluster.schema('ALTER TABLE t RENAME COLUMN k TO K');
  expect(() => cluster.schema('ALTER TABLE bare ADD COLUMN rowid TEXT')).toThrow(/whose rowid it would hide/);
  expect(() => cluster.schema(OFF, 'CREATE TABLE c (k TEXT REFERENCES t)', 'DROP TABLE t')).toThrow(
    /no such table|refers to/,
  );
});

test('a partition of an earlier version, where children would be lost, does not get the entry', () => {
  const cluster = clusterAfter('CREATE TABLE t (k TEXT PRIMARY KEY)');
  cluster.schema('CREATE TABLE n (k TEXT PRIMARY KEY, v)', 'INSERT INTO n (k) SELECT k FROM t', ...END);
  const { replica } = cluster.system;
  expect(readFeed(replica, 0).entries.map(({ kind }) => kind)).toEqual(['schema', 'schema']);
  const [first] = readFeed(replica, 0, 6).entries;
  expect(readFeed(replica, 0, 6).entries).toHaveLength(1);
  expect(() => readFeed(replica, first?.index ?? 0, 6)).toThrow(/protocol version 6/);
});
