import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { QuietCluster } from '../simulation/quiet-cluster.ts';

const USERS =
  'CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT COLLATE NOCASE UNIQUE, name TEXT NOT NULL, n INTEGER DEFAULT 7 CHECK (n < 100))';

describe('an upsert by a value that is unique over partitions', () => {
  let cluster: QuietCluster;
  const UPSERT =
    'INSERT INTO users (id, email, name, n) VALUES (?, ?, ?, 1) ON CONFLICT (email) DO UPDATE SET name = excluded.name, n = n + 1';

  beforeAll(async () => {
    cluster = await QuietCluster.open(7, 4, [
      USERS,
      'CREATE TABLE kinds (kind TEXT PRIMARY KEY) REFERENCE',
      'CREATE TABLE posts (id INTEGER PRIMARY KEY, author INTEGER REFERENCES users ON DELETE CASCADE, slug TEXT UNIQUE) PARTITION BY (author)',
      'CREATE TABLE logged (k TEXT PRIMARY KEY, v TEXT UNIQUE)',
      'CREATE TRIGGER logs AFTER INSERT ON logged BEGIN SELECT 1; END',
      'CREATE TABLE coded (k TEXT PRIMARY KEY, a TEXT UNIQUE, b TEXT UNIQUE, n INTEGER)',
    ]);
  });
  beforeEach(async () => {
    for (const table of ['posts', 'users', 'coded']) await cluster.query(`DELETE FROM ${table}`);
  });

  const users = async () => (await cluster.query('SELECT id, email, name, n FROM users ORDER BY id')).rows;

  test('answers with the row and its id, or with none where it has only changed one', async () => {
    const first = await cluster.query(`${UPSERT} RETURNING id, n`, [5, 'ann@x', 'Ann']);
    expect(first).toMatchObject({ rows: [[5, 1]], rowsAffected: 1, lastInsertRowid: 5 });
    const again = await cluster.query(`${UPSERT} RETURNING id, n, name`, [6, 'ANN@x', 'Anna']);
    expect(again).toMatchObject({ rows: [[5, 2, 'Anna']], rowsAffected: 1, lastInsertRowid: null });
    const generated = await cluster.query(`${UPSERT} RETURNING id`, [null, 'bob@x', 'Bob']);
    expect(generated.rows).toEqual([[generated.lastInsertRowid]]);
    const replaced = await cluster.query("REPLACE INTO coded VALUES ('k', 'a', 'b', 1), ('l', 'c', 'd', 1)");
    expect(replaced.rowsAffected).toBe(2);
    expect((await cluster.query("REPLACE INTO coded VALUES ('m', 'a', 'd', 2)")).rowsAffected).toBe(1);
    expect((await cluster.query('SELECT * FROM coded')).rows).toEqual([['m', 'a', 'd', 2]]);
  });

  test('counts every one of many at the same time', async () => {
    const requests = Array.from({ length: 24 }, (_, i) => {
      const body = {
        sql: UPSERT,
        args: [100 + i, `${'ab'.charAt(i % 2)}@x`, `name ${i}`],
        timeoutMs: 20_000,
      };
      return ['/v1/query', body] as const;
    });
    for (const { status, json } of await cluster.together(requests))
      expect([status, json.error]).toEqual([200, undefined]);
    expect((await users()).map(([, email, , n]: unknown[]) => [email, n]).sort()).toEqual([
      ['a@x', 12],
      ['b@x', 12],
    ]);
    await cluster.checkIndexes();
  });

  test('leaves children and a batch of one as they are', async () => {
    await cluster.query(UPSERT, [1, 'ann@x', 'Ann']);
    await cluster.query("INSERT INTO posts (author, slug) VALUES (1, 's')");
    for (const id of [1, 2, 3, 4, 5]) {
      const sql = `${UPSERT} RETURNING id`;
      const { status, json } = await cluster.post('/v1/batch', {
        statements: [{ sql, args: [id + 1, 'ann@x', `N${id}`] }],
      });
      expect([status, json.results?.[0]?.rows]).toEqual([200, [[1]]]);
    }
    expect((await cluster.query('SELECT author, slug FROM posts')).rows).toEqual([[1, 's']]);
    expect((await cluster.query("DELETE FROM users WHERE email = 'ann@x'")).rowsAffected).toBe(1);
    expect((await cluster.query('SELECT * FROM posts')).rows).toEqual([]);
  });

  test('goes with other statements, all or nothing, and children find their parents', async () => {
    const child = ['INSERT INTO posts (author, slug) VALUES (?, ?)', [1, 's']] as const;
    const coded = [
      "INSERT INTO coded VALUES ('k', 'a', 'b', 1) ON CONFLICT (a) DO UPDATE SET n = n + 1",
    ] as const;
    await cluster.query(UPSERT, [9, 'bob@x', 'Bob']);
    const first = await cluster.batch(
      [UPSERT, [1, 'ann@x', 'Ann']],
      child,
      coded,
      [UPSERT, [2, 'BOB@x', 'Bobby']],
      [UPSERT, [3, 'ann@X', 'Anna']],
    );
    expect([first.status, first.json.error]).toEqual([400, expect.objectContaining({ code: 'unsupported' })]);
    expect(await users()).toEqual([[9, 'bob@x', 'Bob', 1]]);
    const second = await cluster.batch([UPSERT, [1, 'ann@x', 'Ann']], child, coded, [
      UPSERT,
      [2, 'BOB@x', 'Bobby'],
    ]);
    expect([second.status, second.json.error]).toEqual([200, undefined]);
    const third = await cluster.batch(coded, [UPSERT, [5, 'ann@x', 'Anna']], child);
    expect([third.status, third.json.error.message]).toEqual([409, 'UNIQUE constraint failed: posts.slug']);
    expect(await users()).toEqual([
      [1, 'ann@x', 'Ann', 1],
      [9, 'bob@x', 'Bobby', 2],
    ]);
    expect((await cluster.query('SELECT author, slug FROM posts')).rows).toEqual([[1, 's']]);
    expect((await cluster.query('SELECT n FROM coded')).rows).toEqual([[1]]);
    await cluster.checkIndexes();
  });

  test('in a transaction sees what that has done, and conflicts where others change the row in its way', async () => {
    await cluster.query(UPSERT, [9, 'bob@x', 'Bob']);
    const begin = async () => {
      const { id } = (await cluster.post('/v1/transactions', {})).json;
      return {
        send: (sql: string, args: readonly unknown[] = [], seq?: number) =>
          cluster.post(`/v1/transactions/${id}/query`, { sql, args, ...(seq !== undefined && { seq }) }),
        commit: () => cluster.post(`/v1/transactions/${id}/commit`, {}),
      };
    };
    const one = await begin();
    const returning = `${UPSERT} RETURNING id, name, n`;
    const first = await one.send(returning, [1, 'ann@x', 'Ann'], 1);
    expect(first.json).toMatchObject({ rows: [[1, 'Ann', 1]], rowsAffected: 1, lastInsertRowid: 1 });
    expect((await one.send(returning, [1, 'ann@x', 'Ann'], 1)).json.rows).toEqual([[1, 'Ann', 1]]);
    expect((await one.send(returning, [2, 'ANN@x', 'Anna'], 2)).json.rows).toEqual([[1, 'Anna', 2]]);
    await one.send("UPDATE users SET email = 'bo@x' WHERE id = 9");
    expect((await one.send(returning, [3, 'bob@x', 'Bobby'])).json.rows).toEqual([[3, 'Bobby', 1]]);
    expect(await users()).toEqual([[9, 'bob@x', 'Bob', 1]]);
    expect((await one.commit()).status).toBe(200);
    const all = [
      [1, 'ann@x', 'Anna', 2],
      [3, 'bob@x', 'Bobby', 1],
      [9, 'bo@x', 'Bob', 1],
    ];
    expect(await users()).toEqual(all);

    for (const other of [
      'UPDATE users SET n = n + 1 WHERE id = 1',
      'DELETE FROM users WHERE id = 1',
      "INSERT INTO users VALUES (5, 'eve@x', 'Eve', 1)",
    ]) {
      const two = await begin();
      expect((await two.send(UPSERT, [4, 'ann@x', 'Two'])).status).toBe(200);
      expect((await two.send(UPSERT, [6, 'eve@x', 'Two'])).status).toBe(200);
      await cluster.query(other);
      expect([other, await two.commit()]).toMatchObject([
        other,
        { status: 409, json: { error: { code: 'conflict' } } },
      ]);
      await cluster.query('DELETE FROM users WHERE id = 5');
    }
    await cluster.checkIndexes();
  });

  test('counts every one of many batches at the same time', async () => {
    const requests = Array.from({ length: 12 }, (_, i) => {
      const statements = ['ab', 'ba'][i % 2]?.split('').map((name) => ({
        sql: UPSERT,
        args: [null, `${name}@x`, `name ${i}`],
      }));
      return ['/v1/batch', { statements, timeoutMs: 20_000 }] as const;
    });
    for (const { status, json } of await cluster.together(requests))
      expect([status, json.error]).toEqual([200, undefined]);
    expect((await users()).map(([, email, , n]: unknown[]) => [email, n]).sort()).toEqual([
      ['a@x', 12],
      ['b@x', 12],
    ]);
  });

  test('a violation of what it does not speak of is one, and nothing is done', async () => {
    await cluster.query("INSERT INTO coded VALUES ('k', 'a', 'b', 1)");
    for (const sql of [
      "INSERT INTO coded VALUES ('l', 'x', 'b', 1) ON CONFLICT (a) DO NOTHING",
      "INSERT INTO coded VALUES ('l', 'x', 'b', 1), ('m', 'a', 'c', 1) ON CONFLICT (a) DO UPDATE SET n = n + 1",
    ]) {
      const { status, json } = await cluster.post('/v1/query', { sql });
      expect([status, json.error]).toMatchObject([
        409,
        { code: 'constraint', message: 'UNIQUE constraint failed: coded.b', outcome: 'none' },
      ]);
    }
    expect((await cluster.query('SELECT * FROM coded')).rows).toEqual([['k', 'a', 'b', 1]]);
  });

  test('is refused where it would need more than the row in its way', async () => {
    const refusals: readonly (readonly [sql: string, code: string, message: RegExp])[] = [
      ["INSERT OR IGNORE INTO logged VALUES ('a', 'b')", 'needs-global-index', /triggers/],
      ["REPLACE INTO users (email, name) VALUES ('a', 'b')", 'needs-global-index', /"posts" refer to/],
      [
        "INSERT INTO posts (author, slug) VALUES (1, 's') ON CONFLICT (slug) DO UPDATE SET author = excluded.author",
        'needs-global-index',
        /foreign key/,
      ],
      [
        "INSERT INTO users (id, email, name) VALUES (1, 'e', 'n') ON CONFLICT (email) DO UPDATE SET id = excluded.id",
        'needs-global-index',
        /foreign key/,
      ],
      [
        "INSERT INTO coded VALUES ('k', 'a', 'b', 1) ON CONFLICT (email) DO UPDATE SET k = excluded.k",
        'no-such-column',
        /email/,
      ],
      [
        "INSERT INTO coded VALUES ('k', 'a', 'b', 1) ON CONFLICT (a) DO UPDATE SET k = excluded.k",
        'unsupported',
        /"k"/,
      ],
      [
        "INSERT INTO coded VALUES ('k', 'a', 'b', 1) ON CONFLICT DO UPDATE SET n = 1",
        'needs-global-index',
        /name one/,
      ],
      [
        "INSERT INTO coded VALUES ('k', 'a', 'b', 1) ON CONFLICT (a) DO NOTHING ON CONFLICT (b) DO UPDATE SET n = 1",
        'needs-global-index',
        /name one/,
      ],
      [
        "REPLACE INTO coded VALUES ('k', 'a', 'b', 1), ('l', 'a', 'c', 1)",
        'unsupported',
        /row 2 has the same "a"/,
      ],
      [
        "INSERT OR IGNORE INTO posts (author, slug) VALUES (1, 's'), (2, 't')",
        'needs-global-index',
        /one partition key/,
      ],
    ];
    for (const [sql, code, message] of refusals) {
      const { status, json } = await cluster.post('/v1/query', { sql });
      expect([sql, status, json.error?.code]).toEqual([sql, 400, code]);
      expect(json.error.message).toMatch(message);
    }
    const statement = { sql: UPSERT, args: [1, 'a@x', 'A'] };
    for (const other of ['SELECT name FROM users', "UPDATE users SET n = 1 WHERE email = 'a@x'"]) {
      const batch = await cluster.post('/v1/batch', { statements: [{ sql: other }, statement] });
      expect([batch.status, batch.json.error]).toMatchObject([
        400,
        { code: 'needs-global-index', message: expect.stringMatching(/^statements\[0\] uses "users"/) },
      ]);
    }
    const apart = await cluster.post('/v1/query', { ...statement, atomicity: 'partition' });
    expect([apart.status, apart.json.error.code]).toEqual([400, 'multi-partition-write']);
    expect(await users()).toEqual([]);
  });
});
