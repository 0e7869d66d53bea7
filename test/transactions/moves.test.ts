import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { TestCluster } from '../cluster/cluster.ts';

let cluster: TestCluster;

const TENANTS = ['ann', 'bob', 'cy', 'dee', 'eve', 'fay', 'gus', 'hal'];

beforeAll(async () => {
  cluster = await TestCluster.start({ partitions: 4 });
  for (const sql of [
    'CREATE TABLE kinds (kind TEXT PRIMARY KEY) REFERENCE',
    `CREATE TABLE posts (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, slug TEXT, score INTEGER CHECK (score < 100),
       kind TEXT REFERENCES kinds, UNIQUE (tenant, slug)) PARTITION BY (tenant)`,
    'CREATE TABLE audit (tenant TEXT, seq INTEGER, what TEXT, PRIMARY KEY (tenant, seq)) WITHOUT ROWID',
    'ALTER TABLE audit PARTITION BY (tenant)',
    `CREATE TRIGGER moved AFTER UPDATE OF tenant ON posts BEGIN
       INSERT INTO audit VALUES (NEW.tenant, NEW.id, 'from ' || OLD.tenant); END`,
    'CREATE TABLE boxes (box TEXT PRIMARY KEY, label TEXT)',
    `CREATE TABLE things (box TEXT REFERENCES boxes ON UPDATE CASCADE ON DELETE CASCADE, thing INTEGER,
       PRIMARY KEY (box, thing)) WITHOUT ROWID`,
    'CREATE TABLE bare (owner TEXT, v) PARTITION BY (owner)',
  ])
    await cluster.query(sql);
  await cluster.query("INSERT INTO kinds VALUES ('a')");
});
afterAll(() => cluster.dispose());

beforeEach(async () => {
  for (const table of ['posts', 'audit', 'things', 'boxes', 'bare'])
    await cluster.query(`DELETE FROM ${table}`);
});

async function addPosts(): Promise<void> {
  for (const tenant of TENANTS) {
    await cluster.query(
      "INSERT INTO posts (tenant, slug, score, kind) VALUES (?1, 'x', 1, 'a'), (?1, ?1, 2, NULL)",
      [tenant],
    );
  }
}

const posts = () => cluster.rows('SELECT id, tenant, slug, score, kind FROM posts ORDER BY id');

describe('UPDATE of a partition key', () => {
  test('moves rows to whoever owns them now, with their ids and what triggers have written', async () => {
    await addPosts();
    const before = await posts();
    const { json } = await cluster.query(
      "UPDATE posts SET tenant = tenant || '!', score = score + 1 RETURNING id, tenant",
    );
    expect(json.rowsAffected).toBe(16);
    expect(json.plan.kind).toBe('transaction');
    expect(await posts()).toEqual(
      before.map(([id, tenant, slug, score, kind]) => [id, `${tenant}!`, slug, Number(score) + 1, kind]),
    );
    for (const tenant of TENANTS) {
      const there = await cluster.query('SELECT count(*) FROM posts WHERE tenant = ?', [`${tenant}!`]);
      expect([there.json.plan.kind, there.json.rows]).toEqual(['route', [[2]]]);
      expect(await cluster.rows('SELECT what FROM audit WHERE tenant = ?', [`${tenant}!`])).toEqual([
        [`from ${tenant}`],
        [`from ${tenant}`],
      ]);
    }
    expect(await cluster.rows('SELECT count(*) FROM audit')).toEqual([[16]]);
  });

  test('of one key goes through its partition alone, and takes children along that cascade', async () => {
    for (const box of TENANTS) {
      await cluster.query('INSERT INTO boxes VALUES (?1, ?1)', [box]);
      await cluster.query('INSERT INTO things VALUES (?1, 1), (?1, 2)', [box]);
    }
    for (const box of TENANTS)
      await cluster.query('UPDATE boxes SET box = ?1 WHERE box = ?2', [`${box}?`, box]);
    expect(await cluster.rows('SELECT box, label FROM boxes ORDER BY box')).toEqual(
      TENANTS.map((box) => [`${box}?`, box]),
    );
    for (const box of TENANTS) {
      expect(
        await cluster.rows('SELECT thing FROM things WHERE box = ? ORDER BY thing', [`${box}?`]),
      ).toEqual([[1], [2]]);
    }
    expect(await cluster.rows('SELECT count(*) FROM things')).toEqual([[16]]);
  });

  test('keeps a hidden rowid, and values of every type', async () => {
    const values = [1, 1.5, null, 'text', { $blob: 'AAE=' }, { $int: '9007199254740993' }];
    for (const value of values) await cluster.query('INSERT INTO bare VALUES (?, ?)', ['first', value]);
    const before = await cluster.rows('SELECT rowid, v, typeof(v) FROM bare ORDER BY rowid');
    for (const owner of TENANTS) await cluster.query('UPDATE bare SET owner = ?', [owner]);
    expect(await cluster.rows('SELECT rowid, v, typeof(v) FROM bare ORDER BY rowid')).toEqual(before);
    expect(await cluster.rows('SELECT DISTINCT owner FROM bare')).toEqual([['hal']]);
  });

  test('is refused by a constraint where the row would go, and then leaves nothing anywhere', async () => {
    await addPosts();
    const before = await posts();
    for (const tenant of TENANTS.slice(1)) {
      const { status, json } = await cluster.post('/v1/query', {
        sql: "UPDATE posts SET tenant = ? WHERE tenant = 'ann'",
        args: [tenant],
      });
      expect([status, json.error.code, json.error.outcome]).toEqual([409, 'constraint', 'none']);
      expect(json.error.message).toBe('UNIQUE constraint failed: posts.tenant, posts.slug');
    }
    expect(await posts()).toEqual(before);
    expect(await cluster.rows('SELECT count(*) FROM audit')).toEqual([[0]]);
  });

  test('lets rows change places', async () => {
    const homes = new Map<number, string>();
    for (const box of TENANTS) {
      const { json } = await cluster.query('INSERT INTO boxes VALUES (?1, ?1)', [box]);
      homes.set(json.plan.partition, box);
    }
    // In one partition SQLite looks at each row as it goes, and refuses.
    const [one, other] = [...homes.values()];
    const { json } = await cluster.query(
      'UPDATE boxes SET box = CASE box WHEN ?1 THEN ?2 ELSE ?1 END WHERE box IN (?1, ?2)',
      [one, other],
    );
    expect(json.rowsAffected).toBe(2);
    expect(await cluster.rows('SELECT box FROM boxes WHERE label = ?', [one])).toEqual([[other]]);
    expect(await cluster.rows('SELECT box FROM boxes WHERE label = ?', [other])).toEqual([[one]]);
  });

  test('goes with other statements, but not before one that uses the table', async () => {
    await addPosts();
    const { json, status } = await cluster.post('/v1/batch', {
      statements: [
        { sql: "INSERT INTO posts (tenant, slug) VALUES ('ann', 'new')" },
        { sql: "INSERT INTO boxes VALUES ('b', 'c')" },
        { sql: "UPDATE posts SET tenant = 'zoe' WHERE tenant = 'ann'" },
        { sql: "UPDATE boxes SET label = 'd' WHERE box = 'b'" },
      ],
    });
    expect([status, json.error]).toEqual([200, undefined]);
    expect(await cluster.rows("SELECT count(*) FROM posts WHERE tenant = 'zoe'")).toEqual([[3]]);
    expect(await cluster.rows('SELECT label FROM boxes')).toEqual([['d']]);
    const refused = await cluster.post('/v1/batch', {
      statements: [
        { sql: "UPDATE posts SET tenant = 'ann' WHERE tenant = 'zoe'" },
        { sql: "SELECT count(*) FROM posts WHERE tenant = 'ann'" },
      ],
    });
    expect([refused.status, refused.json.error.code]).toEqual([400, 'unsupported']);
    expect(refused.json.error.message).toContain('statements[1] uses "posts"');
  });

  test('is refused where rows elsewhere would have to be looked at, and where atomicity is given up', async () => {
    await cluster.query('CREATE TABLE counts (tenant TEXT PRIMARY KEY, n INTEGER)');
    for (const [sql, code] of [
      ["UPDATE OR REPLACE posts SET tenant = 'x'", 'unsupported'],
      ["UPDATE things SET box = 'x'", 'unsupported'],
      ["INSERT INTO boxes VALUES ('a', 'b') ON CONFLICT DO UPDATE SET box = 'c'", 'unsupported'],
    ] as const) {
      const { json } = await cluster.post('/v1/query', { sql });
      expect([sql, json.error]).toMatchObject([sql, { code }]);
    }
    const partial = await cluster.post('/v1/query', {
      sql: "UPDATE posts SET tenant = 'x'",
      atomicity: 'partition',
    });
    expect(partial.json.error.code).toBe('multi-partition-write');
    await cluster.query(
      'CREATE TRIGGER counted AFTER UPDATE ON posts BEGIN UPDATE counts SET n = n + 1 WHERE tenant = NEW.tenant; END',
    );
    const counted = await cluster.post('/v1/query', { sql: "UPDATE posts SET tenant = 'x'" });
    expect([counted.json.error.code, counted.json.error.message]).toEqual([
      'unsupported',
      expect.stringContaining('compare its key with OLD.tenant'),
    ]);
    await cluster.query('DROP TRIGGER counted');
  });
});

test('rows that eight clients move about are lost and doubled by none', async () => {
  await cluster.query('DROP TRIGGER moved');
  await addPosts();
  const before = await posts();
  const ids = before.map(([id]) => id);
  const client = async (seed: number): Promise<void> => {
    for (let i = 0; i < 12; i++) {
      const id = ids[(seed * 5 + i * 3) % ids.length];
      const tenant = `t${(seed + i * 7) % 11}`;
      const { status, json } = await cluster.post('/v1/query', {
        sql: 'UPDATE posts SET tenant = ?, slug = NULL WHERE id = ?',
        args: [tenant, id],
        timeoutMs: 20_000,
      });
      expect([status, json.error]).toEqual([200, undefined]);
      expect(json.rowsAffected).toBe(1);
      const read = await cluster.post('/v1/batch', { statements: [{ sql: 'SELECT count(*) FROM posts' }] });
      expect(read.json.results?.[0].rows).toEqual([[ids.length]]);
    }
  };
  await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(client));
  expect((await posts()).map(([id]) => id)).toEqual(ids);
});

test('kills of workerd in the middle of moves lose and double no row', async () => {
  await addPosts();
  const ids = (await posts()).map(([id]) => id);
  let running = true;
  let moved = 0;
  const client = async (seed: number): Promise<void> => {
    for (let i = 0; running; i++) {
      const args = [`t${(seed + i * 7) % 11}`, ids[(seed * 5 + i * 3) % ids.length]];
      const sql = 'UPDATE posts SET tenant = ?, slug = NULL WHERE id = ?';
      const reply = await cluster.post('/v1/query', { sql, args, timeoutMs: 5_000 }).catch(() => null);
      if (reply?.status === 200) moved++;
    }
  };
  const clients = Promise.all([1, 2, 3, 4].map(client));
  for (let kill = 0; kill < 4; kill++) {
    const before = moved;
    while (moved < before + 8) await new Promise((resolve) => setTimeout(resolve, 5));
    if (kill % 2 === 0) await cluster.kill();
    else await cluster.reset(kill);
  }
  running = false;
  await clients;
  expect((await posts()).map(([id]) => id)).toEqual(ids);
});
