import { describe, expect, test } from 'vitest';
import { LocalCluster } from '../../harness/local-cluster.ts';

const OFF = 'PRAGMA foreign_keys = OFF';
const ON = 'PRAGMA foreign_keys=ON';

function clusterAfter(...statements: string[]): LocalCluster {
  const cluster = new LocalCluster(2);
  for (const statement of statements) cluster.schema(statement);
  return cluster;
}

/** Each partition's rows. */
function rows(cluster: LocalCluster, sql: string): unknown[][][] {
  return [1, 2].map((partition) => cluster.run(sql, undefined, partition).rows);
}

/** What migration tools send to change a table: https://www.sqlite.org/lang_altertable.html#otheralter. */
function rebuild(table: string, columns: string, copied: string, values = copied): string[] {
  return [
    `CREATE TABLE "__new_${table}" (${columns})`,
    `INSERT INTO "__new_${table}"(${copied}) SELECT ${values} FROM "${table}"`,
    `DROP TABLE "${table}"`,
    `ALTER TABLE "__new_${table}" RENAME TO "${table}"`,
  ];
}

describe('a table that is rebuilt', () => {
  test('keeps its rows, its id, its place and what refers to it', () => {
    const cluster = clusterAfter(
      'CREATE TABLE users (id INTEGER PRIMARY KEY, tenant TEXT, name TEXT) PARTITION BY (tenant)',
      'CREATE TABLE tags (name TEXT PRIMARY KEY) REFERENCE',
      'CREATE TABLE posts (tenant TEXT, n INTEGER, tag TEXT REFERENCES tags ON DELETE CASCADE, PRIMARY KEY (tenant, n))',
    );
    cluster.run("INSERT INTO tags VALUES ('a'), ('b')", undefined, 0);
    for (const partition of [1, 2]) {
      cluster.run(
        `INSERT INTO users (tenant, name) VALUES ('t${partition}', 'x'), ('t${partition}', NULL)`,
        undefined,
        partition,
      );
      cluster.run(`INSERT INTO posts VALUES ('t${partition}', 1, 'a')`, undefined, partition);
    }
    const [users, posts] = [rows(cluster, 'SELECT * FROM users'), rows(cluster, 'SELECT * FROM posts')];
    const before = cluster.system.replica.schema.table('users');
    cluster.schema(
      OFF,
      ...rebuild(
        'users',
        "id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, name TEXT DEFAULT 'n', age INT DEFAULT 7",
        'id, tenant, name',
      ),
      ...rebuild('tags', 'name TEXT PRIMARY KEY NOT NULL, shown INT DEFAULT 1', 'name'),
      ON,
    );
    expect(rows(cluster, 'SELECT id, tenant, name FROM users')).toEqual(users);
    expect(rows(cluster, 'SELECT DISTINCT age FROM users')).toEqual([[[7]], [[7]]]);
    expect(rows(cluster, 'SELECT * FROM posts')).toEqual(posts);
    expect(rows(cluster, 'SELECT * FROM tags')).toEqual([
      [
        ['a', 1],
        ['b', 1],
      ],
      [
        ['a', 1],
        ['b', 1],
      ],
    ]);
    const after = cluster.system.replica.schema.table('users');
    expect([after?.id, after?.placement]).toEqual([before?.id, before?.placement]);
    // Logged as before: an undo takes back what was written since.
    for (const { port } of [cluster.system.replica, ...cluster.partitions])
      expect(
        port.query("SELECT name FROM sqlite_schema WHERE name LIKE '\\_atoll\\_drop\\_%' ESCAPE '\\'").rows,
      ).toEqual([]);
    // Foreign keys act again, and ids go on.
    const { lastInsertRowid } = cluster.run("INSERT INTO users (tenant) VALUES ('t1')");
    expect(users[0]?.map(([id]) => id)).not.toContain(lastInsertRowid);
    expect(() => cluster.run("INSERT INTO posts VALUES ('t1', 2, 'c')")).toThrow(/FOREIGN KEY/);
  });

  test('keeps rowids that no column shows, and what is unique over partitions', () => {
    const cluster = clusterAfter(
      'CREATE TABLE notes (body TEXT)',
      'CREATE TABLE people (id TEXT PRIMARY KEY, mail TEXT UNIQUE, n INT) PARTITION BY (id)',
    );
    for (const partition of [1, 2]) {
      cluster.run("INSERT INTO notes VALUES ('a'), ('b'), ('c')", undefined, partition);
      cluster.run('DELETE FROM notes WHERE body = ?', ['a'], partition);
    }
    const before = rows(cluster, 'SELECT rowid, body FROM notes');
    const { uniques } = cluster.system.replica.schema.catalogue;
    cluster.schema(
      ...rebuild('notes', 'body TEXT NOT NULL, at INT', 'body'),
      ...rebuild('people', 'mail TEXT NOT NULL UNIQUE, id TEXT PRIMARY KEY, n INT', 'id, mail'),
    );
    expect(rows(cluster, 'SELECT rowid, body FROM notes')).toEqual(before);
    expect(cluster.system.replica.schema.catalogue.uniques).toEqual(uniques);
    expect(cluster.system.replica.schema.catalogue.tables.map(({ placement }) => placement)).toEqual([
      { kind: 'partitioned', key: ['rowid'] },
      { kind: 'partitioned', key: ['id'] },
    ]);
  });

  test('reads the clock once for all, in defaults too', () => {
    const cluster = clusterAfter('CREATE TABLE t (k TEXT PRIMARY KEY)');
    for (const partition of [1, 2])
      cluster.run(`INSERT INTO t VALUES ('k${partition}')`, undefined, partition);
    cluster.now = Date.UTC(2020, 1, 2, 3, 4, 5) - 1;
    cluster.schema(
      ...rebuild(
        't',
        'k TEXT PRIMARY KEY, a TEXT DEFAULT CURRENT_TIMESTAMP, b INT DEFAULT (unixepoch()), c TEXT DEFAULT plain, d, e',
        'k, d, e',
        "k, datetime('now', '+1 day'), CURRENT_DATE",
      ),
    );
    const now = ['2020-02-02 03:04:05', Date.UTC(2020, 1, 2, 3, 4, 5) / 1000, 'plain'];
    expect(rows(cluster, 'SELECT * FROM t')).toEqual(
      [1, 2].map((partition) => [[`k${partition}`, ...now, '2020-02-03 03:04:05', '2020-02-02']]),
    );
  });

  test('is not rebuilt at all where a row does not fit', () => {
    const cluster = clusterAfter(
      'CREATE TABLE t (k TEXT PRIMARY KEY, v)',
      'CREATE TABLE c (k TEXT REFERENCES t ON DELETE CASCADE, n, PRIMARY KEY (k, n))',
    );
    cluster.run("INSERT INTO t VALUES ('a', 1)");
    cluster.run("INSERT INTO t VALUES ('b', NULL)", undefined, 2);
    cluster.run("INSERT INTO c VALUES ('b', 1)", undefined, 2);
    const before = cluster.system.replica.schema.catalogue;
    const wrong = [OFF, ...rebuild('t', 'k TEXT PRIMARY KEY, v NOT NULL', 'k, v'), ON];
    expect(() => cluster.schema(...wrong)).toThrow(/NOT NULL constraint failed/);
    // Children would lose their parents.
    expect(() =>
      cluster.schema(OFF, ...rebuild('t', 'k TEXT PRIMARY KEY, v', 'k, v', "v || 'x', k"), ON),
    ).toThrow(/its partition key and its ids can change only while it is empty/);
    expect(cluster.system.replica.schema.catalogue).toEqual(before);
    expect(rows(cluster, 'SELECT * FROM t')).toEqual([[['a', 1]], [['b', null]]]);
    expect(rows(cluster, 'SELECT * FROM c')).toEqual([[], [['b', 1]]]);
    cluster.run("UPDATE t SET v = 2 WHERE k = 'b'", undefined, 2);
    cluster.schema(...wrong);
    expect(rows(cluster, 'SELECT * FROM t')).toEqual([[['a', 1]], [['b', 2]]]);
  });

  test.each([
    ['another key', 'id INTEGER PRIMARY KEY, k TEXT, v TEXT UNIQUE) PARTITION BY (v', 'id, k, v', undefined],
    ['a key that is computed', 'id INTEGER PRIMARY KEY, k TEXT, v TEXT', 'id, k, v', 'id, upper(k), v'],
    ['a key of another column', 'id INTEGER PRIMARY KEY, k TEXT, v TEXT', 'id, k, v', 'id, v, k'],
    ['a key of another affinity', 'id INTEGER PRIMARY KEY, k INT, v TEXT', 'id, k, v', undefined],
    [
      'a key of another collation',
      'id INTEGER PRIMARY KEY, k TEXT COLLATE NOCASE, v TEXT',
      'id, k, v',
      undefined,
    ],
    ['no key', 'id INTEGER PRIMARY KEY, v TEXT', 'id, v', undefined],
    ['ids that are computed', 'id INTEGER PRIMARY KEY, k TEXT, v TEXT', 'id, k, v', 'id + 1, k, v'],
    ['ids anew', 'id INTEGER PRIMARY KEY, k TEXT, v TEXT', 'k, v', undefined],
    [
      'a copy in every partition',
      'id INTEGER PRIMARY KEY, k TEXT, v TEXT) REFERENCE --',
      'id, k, v',
      undefined,
    ],
  ])('with %s is empty', (_, columns, copied, values) => {
    const cluster = clusterAfter('CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT, v TEXT) PARTITION BY (k)');
    const statements = rebuild('t', columns, copied, values);
    cluster.run("INSERT INTO t (k, v) VALUES ('a', 'b')", undefined, 2);
    const said = statements.with(0, (statements[0] as string).replace(/--\)$/, '').replace(/\(v\)$/, '(v)'));
    expect(() => cluster.schema(...said)).toThrow(/can change only while it is empty/);
    cluster.run('DELETE FROM t', undefined, 2);
    cluster.schema(...said);
    expect(cluster.system.replica.schema.catalogue.tables).toHaveLength(1);
  });

  test.each([
    ['v TEXT UNIQUE', 'v', 'lower(v)'],
    ['v TEXT UNIQUE COLLATE NOCASE', 'v', 'v'],
    ['w TEXT UNIQUE', 'w', 'v'],
  ])('has rows whose values are known to be unique (%s of %s AS %s)', (column, into, from) => {
    const cluster = clusterAfter('CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT UNIQUE)');
    const statements = rebuild('t', `k TEXT PRIMARY KEY, ${column}`, `k, ${into}`, `k, ${from}`);
    const { port } = cluster.replica(1);
    // As if it had its entry.
    port.query("INSERT INTO t VALUES ('a', 'b')");
    expect(() => cluster.schema(...statements)).toThrow(
      /has rows, and UNIQUE .* is new or has other values than before/,
    );
    port.query('DELETE FROM t');
    cluster.schema(...statements);
  });

  test.each([
    [['CREATE TABLE n (a)', 'INSERT INTO n SELECT a FROM t'], /from a table that stays/],
    [['CREATE TABLE n (a)', 'INSERT INTO n SELECT a FROM t WHERE a', 'DROP TABLE t'], /all rows are copied/],
    [['CREATE TABLE n (a)', 'INSERT INTO n SELECT DISTINCT a FROM t', 'DROP TABLE t'], /all rows are copied/],
    [['CREATE TABLE n (a)', 'INSERT INTO n SELECT a FROM t LIMIT 1', 'DROP TABLE t'], /all rows are copied/],
    [['CREATE TABLE n (a)', 'INSERT INTO n SELECT max(a) FROM t', 'DROP TABLE t'], /looks at several rows/],
    [
      ['CREATE TABLE n (a)', 'INSERT INTO n SELECT random() FROM t', 'DROP TABLE t'],
      /would answer otherwise/,
    ],
    [
      ['CREATE TABLE n (a, b DEFAULT (random()))', 'INSERT INTO n (a) SELECT a FROM t', 'DROP TABLE t'],
      /would answer otherwise/,
    ],
    [['CREATE TABLE n (a)', 'INSERT INTO n SELECT (SELECT 1) FROM t', 'DROP TABLE t'], /subqueries/],
    [
      ['CREATE TABLE n (a)', 'INSERT INTO n SELECT 1 FROM t, u', 'DROP TABLE t'],
      /goes only INSERT INTO new SELECT/,
    ],
    [['CREATE TABLE n (a)', 'INSERT INTO n VALUES (1)', 'DROP TABLE t'], /goes only INSERT INTO new SELECT/],
    [['CREATE TABLE n (a)', 'INSERT OR IGNORE INTO n SELECT a FROM t', 'DROP TABLE t'], /do not go with it/],
    [['INSERT INTO u SELECT a FROM t', 'DROP TABLE t'], /copy into a table that the same statements create/],
    [
      [
        'CREATE TABLE n (a)',
        'CREATE TABLE m (a)',
        'INSERT INTO n SELECT a FROM t',
        'INSERT INTO m SELECT a FROM t',
        'DROP TABLE t',
      ],
      /second copy/,
    ],
    [
      [
        'CREATE TABLE n (a)',
        'CREATE TRIGGER x AFTER INSERT ON n BEGIN DELETE FROM u; END',
        'INSERT INTO n SELECT a FROM t',
        'DROP TABLE t',
      ],
      /has triggers/,
    ],
    [['CREATE TABLE n (a)', 'INSERT INTO n SELECT a, 2 FROM t', 'DROP TABLE t'], /2 values for 1 columns/],
    [['CREATE TABLE n (a)', 'INSERT INTO n SELECT a FROM nowhere', 'DROP TABLE t'], /no such table: nowhere/],
    [['INSERT INTO nowhere SELECT a FROM t', 'DROP TABLE t'], /no such table: nowhere/],
    [
      ['CREATE TABLE n (a)', 'INSERT INTO n SELECT a FROM _atoll_log', 'DROP TABLE t'],
      /internal|no such table/,
    ],
    [['PRAGMA case_sensitive_like = ON', 'CREATE TABLE n (a)'], /no schema change/],
  ])('%j: says what to change, and changes nothing', (statements, message) => {
    const cluster = clusterAfter('CREATE TABLE t (a)', 'CREATE TABLE u (a)');
    cluster.run('INSERT INTO t VALUES (1)');
    const { version } = cluster.system.replica.schema;
    expect(() => cluster.schema(OFF, ...statements, ON)).toThrow(message);
    expect(cluster.system.replica.schema.version).toBe(version);
    expect(cluster.run('SELECT a FROM t').rows).toEqual([[1]]);
  });

  test('goes only where foreign keys were switched off, if others refer to it', () => {
    const cluster = clusterAfter(
      'CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT UNIQUE)',
      'CREATE TABLE c (id TEXT PRIMARY KEY, v TEXT REFERENCES t (v) ON DELETE CASCADE) PARTITION BY (id)',
      'CREATE TABLE l (k TEXT PRIMARY KEY REFERENCES t ON DELETE CASCADE)',
    );
    const statements = rebuild('t', 'k TEXT PRIMARY KEY, v TEXT UNIQUE, n', 'k, v');
    expect(() => cluster.schema(...statements)).toThrow(/begins with PRAGMA foreign_keys = OFF/);
    expect(() => cluster.schema(OFF, ON, ...statements)).toThrow(/begins with PRAGMA foreign_keys = OFF/);
    expect(() => cluster.schema('PRAGMA defer_foreign_keys = ON', ...statements)).toThrow(
      /begins with PRAGMA/,
    );
    expect(() => cluster.schema(OFF, 'DROP TABLE l', 'DROP TABLE t', ON)).toThrow(/which c refers to/);
    expect(() => cluster.schema(OFF, 'DROP TABLE c', 'DROP TABLE t', ON)).toThrow(/no such table/);
    cluster.schema(OFF, ...statements, ON);
    cluster.schema(OFF, 'DROP TABLE t', 'DROP TABLE c', 'DROP TABLE l', ON);
  });

  test('may be renamed, and rebuilt again, in the same change', () => {
    const cluster = clusterAfter(
      'CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT, mail TEXT) PARTITION BY (k)',
    );
    const id = cluster.system.replica.schema.table('t')?.id;
    cluster.run("INSERT INTO t (k) VALUES ('t1')");
    const before = rows(cluster, 'SELECT id, k, mail FROM t');
    cluster.schema(
      'ALTER TABLE t RENAME COLUMN k TO key',
      'CREATE TABLE one (n INT DEFAULT 1, id INTEGER PRIMARY KEY, key TEXT NOT NULL, mail TEXT)',
      'INSERT INTO one (id, key, mail) SELECT id, key, mail FROM t',
      'DROP TABLE t',
      'ALTER TABLE one RENAME COLUMN key TO tenant',
      'CREATE TABLE two (id INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT, mail TEXT, n INT)',
      'INSERT INTO two SELECT id, tenant, mail, n FROM one',
      'DROP TABLE one',
    );
    const table = cluster.system.replica.schema.table('two');
    expect([table?.id, table?.placement]).toEqual([id, { kind: 'partitioned', key: ['tenant'] }]);
    expect(rows(cluster, 'SELECT id, tenant, mail FROM two')).toEqual(before);
    expect(rows(cluster, 'SELECT n FROM two')).toEqual([[[1]], []]);
  });
});
