import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newKey } from '../../src/client/key.ts';
import { TestCluster } from '../cluster/cluster.ts';
import { anotherRouter } from '../cluster/router.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start({ partitions: 4 });
  for (const sql of [
    'CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT NOT NULL COLLATE NOCASE UNIQUE, name TEXT)',
    `CREATE TABLE members (tenant TEXT, member INTEGER PRIMARY KEY, handle TEXT, code INTEGER, note TEXT,
       UNIQUE (handle, code)) PARTITION BY (tenant)`,
  ])
    await cluster.query(sql);
});
afterAll(() => cluster.dispose());

beforeEach(async () => {
  await cluster.query('DELETE FROM users');
  await cluster.query('DELETE FROM members');
});

const TENANTS = ['ann', 'bob', 'cy', 'dee', 'eve', 'fay', 'gus', 'hal'];

const add = (tenant: string, handle: unknown, code: unknown = 1) =>
  cluster.post('/v1/query', {
    sql: 'INSERT INTO members (tenant, handle, code) VALUES (?, ?, ?)',
    args: [tenant, handle, code],
  });

const members = () => cluster.rows('SELECT tenant, handle, code FROM members ORDER BY tenant, handle');

/** Entries of the hidden tables in all partitions must be those of the rows. */
async function expectIndexed(): Promise<void> {
  for (const tenant of TENANTS) await cluster.rows('SELECT count(*) FROM members WHERE tenant = ?', [tenant]);
  const rows = await cluster.rows('SELECT DISTINCT handle, code FROM members WHERE handle IS NOT NULL');
  for (const [handle, code] of rows) {
    const again = await add('somebody else', handle, code);
    expect([again.status, again.json.error?.message]).toEqual([
      409,
      'UNIQUE constraint failed: members.handle, members.code',
    ]);
  }
}

describe('UNIQUE without the partition key', () => {
  test('holds over partitions, by collation, and says so as SQLite does', async () => {
    const first = await cluster.query("INSERT INTO users (email, name) VALUES ('Ann@example.com', 'Ann')");
    expect(first.json.plan.kind).toBe('transaction');
    for (let i = 0; i < 8; i++) {
      const { status, json } = await cluster.post('/v1/query', {
        sql: 'INSERT INTO users (email) VALUES (?)',
        args: ['ann@EXAMPLE.com'],
      });
      expect([status, json.error]).toMatchObject([
        409,
        {
          code: 'constraint',
          message: 'UNIQUE constraint failed: users.email',
          outcome: 'none',
          retryable: false,
        },
      ]);
    }
    expect(await cluster.rows('SELECT email FROM users')).toEqual([['Ann@example.com']]);
  });

  test('takes NULLs for different, and every column of the key counts', async () => {
    for (const tenant of TENANTS) {
      expect((await add(tenant, null)).status).toBe(200);
      expect((await add(tenant, 'x', tenant.charCodeAt(0))).status).toBe(200);
      expect((await add(tenant, 'x', null)).status).toBe(200);
    }
    expect((await members()).length).toBe(24);
    expect((await add('zoe', 'x', 'ann'.charCodeAt(0))).status).toBe(409);
  });

  test('gives a value free when its row is deleted, changed or rolled back', async () => {
    for (const [index, tenant] of TENANTS.entries())
      expect((await add(tenant, `h${index}`)).status).toBe(200);
    await cluster.query("DELETE FROM members WHERE handle = 'h0'");
    await cluster.query("UPDATE members SET handle = 'other' WHERE tenant = 'bob'");
    const batch = await cluster.post('/v1/batch', {
      statements: [
        { sql: "INSERT INTO members (tenant, handle, code) VALUES ('kim', 'fresh', 1)" },
        { sql: "INSERT INTO members (tenant, handle, code) VALUES ('lea', 'h5', 1)" },
      ],
    });
    expect([batch.status, batch.json.error.code]).toEqual([409, 'constraint']);
    for (const handle of ['h0', 'h1', 'fresh']) expect((await add('mia', handle)).status).toBe(200);
    expect((await add('mia', 'other')).status).toBe(409);
    await expectIndexed();
  });

  test('lets values change hands within one statement and within a batch', async () => {
    for (const [index, tenant] of TENANTS.entries()) await add(tenant, `h${index}`);
    const [one, other] = await differentPartitions();
    const swapped = await cluster.query(
      `UPDATE members SET handle = CASE tenant WHEN ?1 THEN ?4 ELSE ?3 END WHERE tenant IN (?1, ?2)`,
      [one, other, `h${TENANTS.indexOf(one)}`, `h${TENANTS.indexOf(other)}`],
    );
    expect(swapped.json.rowsAffected).toBe(2);
    expect(await cluster.rows('SELECT handle FROM members WHERE tenant = ?', [one])).toEqual([
      [`h${TENANTS.indexOf(other)}`],
    ]);
    const { status, json } = await cluster.post('/v1/batch', {
      statements: [
        { sql: 'DELETE FROM members WHERE tenant = ?', args: [one] },
        {
          sql: "INSERT INTO members (tenant, handle, code) VALUES ('new', ?, 1)",
          args: [`h${TENANTS.indexOf(other)}`],
        },
      ],
    });
    expect([status, json.error]).toEqual([200, undefined]);
    await expectIndexed();
  });

  test('goes along with rows that move', async () => {
    for (const [index, tenant] of TENANTS.entries()) await add(tenant, `h${index}`);
    await cluster.query("UPDATE members SET tenant = tenant || '!'");
    await expectIndexed();
    await cluster.query('DELETE FROM members');
    for (const [index, tenant] of TENANTS.entries())
      expect((await add(tenant, `h${index}`)).status).toBe(200);
  });

  test('costs writes of other columns nothing', async () => {
    await add('ann', 'a');
    const { json } = await cluster.query("UPDATE members SET note = 'x' WHERE tenant = 'ann'");
    expect(json.plan.kind).toBe('route');
    const explained = await cluster.rows("EXPLAIN UPDATE members SET code = 2 WHERE tenant = 'ann'");
    expect(explained).toContainEqual(['unique over partitions', 'members (handle, code)']);
  });

  test('is refused together with clauses that would need more of the row in the way', async () => {
    for (const sql of [
      "INSERT OR FAIL INTO users (email) VALUES ('a')",
      "UPDATE OR REPLACE users SET email = 'a' WHERE id = 1",
    ]) {
      const { status, json } = await cluster.post('/v1/query', { sql });
      expect([sql, status, json.error?.code]).toEqual([sql, 400, 'needs-global-index']);
    }
    // By the partition key there is nobody elsewhere.
    const upsert =
      'INSERT INTO users (id, email) VALUES (7, ?1) ON CONFLICT (id) DO UPDATE SET email = excluded.email';
    await cluster.query(upsert, ['first']);
    await cluster.query(upsert, ['second']);
    expect(await cluster.rows('SELECT id, email FROM users')).toEqual([[7, 'second']]);
    expect((await cluster.query("INSERT INTO users (email) VALUES ('first')")).status).toBe(200);
    const apart = await cluster.post('/v1/query', {
      sql: "INSERT INTO users (email) VALUES ('b'), ('c')",
      atomicity: 'partition',
    });
    expect([apart.status, apart.json.error.code]).toEqual([400, 'multi-partition-write']);
  });

  test('an upsert is applied once under its key, by any router', async () => {
    const sql = `INSERT INTO users (id, email, name) VALUES (?, ?, 'x') ON CONFLICT (email) DO UPDATE SET name = name || 'y'
      RETURNING id, name`;
    await cluster.query("INSERT INTO users (id, email, name) VALUES (3, 'old@x', 'old')");
    for (const [id, email] of [
      [null, 'new@x'],
      [4, 'other@x'],
      [5, 'old@x'],
    ]) {
      const body = { sql, args: [id, email], idempotencyKey: newKey() };
      const first = await cluster.post('/v1/query', body);
      expect([first.status, first.json.rows?.length], first.text).toEqual([200, 1]);
      await cluster.query("UPDATE users SET email = email || '!' WHERE email = ?", [email]);
      for (const router of [cluster, anotherRouter(cluster)]) {
        const again = await router.post('/v1/query', body);
        expect([again.status, again.json.rows]).toEqual([200, first.json.rows]);
      }
    }
    expect(await cluster.rows("SELECT name FROM users WHERE email <> 'new@x!' ORDER BY name")).toEqual([
      ['oldy'],
      ['x'],
    ]);
  });

  test('is not seen: neither in schema reads, nor by name', async () => {
    const { json } = await cluster.get('/v1/schema');
    expect(JSON.stringify(json)).not.toContain('_atoll_unique');
    expect(JSON.stringify(await cluster.rows('PRAGMA table_list'))).not.toContain('_atoll_');
    const hidden = await cluster.post('/v1/query', { sql: 'SELECT * FROM _atoll_unique_101' });
    expect(hidden.json.error.code).toBe('internal-name');
    expect(await cluster.rows('SELECT name FROM atoll_tables ORDER BY name')).toEqual([
      ['members'],
      ['users'],
    ]);
  });
});

/** Two tenants whose rows are in different partitions. */
async function differentPartitions(): Promise<[string, string]> {
  const homes = new Map<number, string>();
  for (const tenant of TENANTS) {
    const { json } = await cluster.query('SELECT 1 FROM members WHERE tenant = ?', [tenant]);
    homes.set(json.plan.partition, tenant);
  }
  const [one, other] = [...homes.values()];
  return [one as string, other as string];
}

test('of eight clients that insert the same values, exactly one wins each', async () => {
  const winners = new Map<string, string[]>();
  const client = async (name: string, seed: number): Promise<void> => {
    for (let i = 0; i < 12; i++) {
      const email = `e${(i * 5 + seed * 3) % 12}@example.com`;
      const { status, json } = await cluster.post('/v1/query', {
        sql: 'INSERT INTO users (email, name) VALUES (?, ?)',
        args: [email, name],
        timeoutMs: 30_000,
      });
      if (status === 200) winners.set(email, [...(winners.get(email) ?? []), name]);
      else expect([status, json.error.code]).toEqual([409, 'constraint']);
    }
  };
  await Promise.all(TENANTS.map((name, index) => client(name, index)));
  expect([...winners.values()].every((names) => names.length === 1)).toBe(true);
  expect(winners.size).toBe(12);
  const rows = await cluster.rows('SELECT email, name FROM users ORDER BY email');
  expect(rows).toEqual([...winners].map(([email, [name]]) => [email, name]).sort());
});
