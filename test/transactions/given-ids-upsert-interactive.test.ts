import type { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { Random } from '../harness/random.ts';
import { QuietCluster } from '../simulation/quiet-cluster.ts';
import { expectSameRows, openBoth, sorted, statementOf, TABLES, TENANTS } from './upserts-by-id.ts';

/** Upserts, OR IGNORE and REPLACE that give ids, in interactive transactions. */

const seeds = (process.env.UPSERT_SEEDS ?? '1-3').split('-').map(Number);

/** A statement that fails undoes itself alone. */
function within(
  plain: DatabaseSync,
  sql: string,
  args: readonly (string | number | null)[],
): unknown[][] | string {
  plain.exec('SAVEPOINT one');
  try {
    const rows = plain.prepare(sql).all(...args);
    plain.exec('RELEASE one');
    return rows.map((row) => Object.values(row));
  } catch (error) {
    plain.exec('ROLLBACK TO one; RELEASE one');
    return (error as Error).message;
  }
}

test('do what they do in SQLite, each seeing what was done before', async () => {
  const seen = { ok: 0, constraint: 0, refused: 0, commits: 0 };
  for (let seed = seeds[0] ?? 1; seed <= (seeds[1] ?? 1); seed++) {
    const random = new Random(seed);
    const { cluster, plain } = await openBoth(seed);
    for (let round = 0; round < 14; round++) {
      const history: string[] = [];
      const tx = await cluster.begin();
      plain.exec('BEGIN');
      for (let i = 0; i < 1 + random.below(6); i++) {
        const { sql, args } = statementOf(random);
        const { status, json } = await tx.send(sql, args);
        const code = status === 200 ? 'ok' : json.error.code;
        history.push(`${sql} ${JSON.stringify(args)} → ${code} ${json.error?.message ?? ''}`);
        const text = `seed ${seed}, transaction ${round}\n${history.join('\n')}`;
        if (code !== 'ok' && code !== 'constraint') {
          expect(['unsupported', 'needs-global-index'], text).toContain(code);
          seen.refused++;
          continue;
        }
        seen[code as 'ok' | 'constraint']++;
        const wanted = within(plain, sql, args);
        expect(code, `${text}\n${JSON.stringify(wanted)}`).toBe(
          typeof wanted === 'string' ? 'constraint' : 'ok',
        );
        if (typeof wanted !== 'string') expect(sorted(json.rows), text).toEqual(sorted(wanted));
      }
      const text = `seed ${seed}, transaction ${round}\n${history.join('\n')}`;
      if (random.chance(0.8)) {
        const { status, json } = await tx.commit();
        expect([status, json.error], text).toEqual([200, undefined]);
        plain.exec('COMMIT');
        seen.commits++;
      } else plain.exec('ROLLBACK');
      await expectSameRows(cluster, plain, text);
    }
    await cluster.checkIndexes();
    plain.close();
  }
  if (process.env.UPSERT_SEEDS !== undefined) process.stderr.write(`${JSON.stringify(seen)}\n`);
  expect(seen.ok).toBeGreaterThan(50);
  expect(seen.constraint).toBeGreaterThan(10);
  expect(seen.commits).toBeGreaterThan(20);
}, 120_000);

describe('an upsert by id in a transaction', () => {
  const UPSERT =
    'INSERT INTO posts (id, tenant, slug, n) VALUES (?, ?, ?, 1) ON CONFLICT (id) DO UPDATE SET n = n + 1';
  const open = () => QuietCluster.open(3, 4, [`${TABLES.posts} PARTITION BY (tenant)`]);

  test('conflicts where another one has made, changed or deleted the row meanwhile', async () => {
    const cluster = await open();
    const others: readonly (readonly [string, unknown[]])[] = [
      [UPSERT, [1, 'bell', 'b']],
      [UPSERT, [1, 'corn', 'c']],
      ['DELETE FROM posts WHERE id = 1', []],
      ['INSERT INTO posts (id, tenant, n) VALUES (1, ?, 5)', ['dune']],
      ['UPDATE posts SET tenant = ? WHERE id = 1', ['elm']],
    ];
    for (const [sql, args] of others) {
      const tx = await cluster.begin();
      expect((await tx.send(UPSERT, [1, 'ash', 'a'])).status).toBe(200);
      await cluster.query(sql, args);
      const before = await cluster.rows('SELECT * FROM posts');
      const { status, json } = await tx.commit();
      expect([sql, status, json.error?.code]).toEqual([sql, 409, 'conflict']);
      expect(await cluster.rows('SELECT * FROM posts')).toEqual(before);
    }
    await cluster.checkIndexes();
  });

  test('of many at the same time, those that commit have all counted', async () => {
    const cluster = await open();
    let committed = 0;
    for (let round = 0; round < 5; round++) {
      const more = [await cluster.begin(), await cluster.begin(), await cluster.begin()];
      for (const [i, tx] of more.entries())
        expect((await tx.send(UPSERT, [1 + (round % 2), TENANTS[(i + round) % 6], `s${i}`])).status).toBe(
          200,
        );
      for (const tx of more) if ((await tx.commit()).status === 200) committed++;
    }
    expect(committed).toBeGreaterThanOrEqual(5);
    expect(await cluster.rows('SELECT sum(n), count(*) FROM posts')).toEqual([[committed, 2]]);
  });

  test('gives an id that is not generated later, and pays nothing for NULL', async () => {
    const cluster = await open();
    const tx = await cluster.begin();
    for (const id of [1, 2, 3, null]) expect((await tx.send(UPSERT, [id, 'ash', `s${id}`])).status).toBe(200);
    expect((await tx.send(UPSERT, [2, 'bell', 'x'])).json).toMatchObject({ rowsAffected: 1 });
    expect((await tx.commit()).status).toBe(200);
    for (const [i, tenant] of [...TENANTS, ...TENANTS].entries())
      await cluster.query('INSERT INTO posts (tenant, slug) VALUES (?, ?)', [tenant, `t${i}`]);
    expect(await cluster.rows('SELECT count(*), count(DISTINCT id) FROM posts')).toEqual([[16, 16]]);
    expect(await cluster.rows('SELECT tenant, n FROM posts WHERE id = 2')).toEqual([['ash', 2]]);
  });

  describe('that is numbered', () => {
    const numbered = async (cluster: QuietCluster) => {
      const { id } = (await cluster.post('/v1/transactions', {})).json;
      const path = `/v1/transactions/${id}`;
      return {
        send: (sql: string, args: readonly unknown[], seq?: number) =>
          cluster.post(`${path}/query`, { sql, args, ...(seq !== undefined && { seq }) }),
        commit: () => cluster.post(`${path}/commit`, {}),
      };
    };

    test('answers a repeat as it did, without looking at what it has done itself', async () => {
      const cluster = await QuietCluster.open(3, 8, [`${TABLES.posts} PARTITION BY (tenant)`]);
      const tx = await numbered(cluster);
      const rows = TENANTS.map((_, i) => `(${i + 1}, ?, ?)`).join(', ');
      const args = TENANTS.flatMap((tenant) => [tenant, tenant.repeat(120_000)]);
      const sql = `INSERT OR IGNORE INTO posts (id, tenant, slug) VALUES ${rows}`;
      for (let i = 0; i < 3; i++) {
        const { status, json } = await tx.send(sql, args, 1);
        expect([status, json.error, json.rowsAffected]).toEqual([200, undefined, 6]);
      }
      expect((await tx.commit()).status).toBe(200);
      expect(await cluster.rows('SELECT count(*) FROM posts')).toEqual([[6]]);
    });

    test('is one statement, however often it is sent and whatever it looks for', async () => {
      const cluster = await open();
      const tx = await numbered(cluster);
      for (let i = 0; i < 997; i++) await tx.send('SELECT 1', []);
      for (let i = 0; i < 3; i++) expect((await tx.send(UPSERT, [1, 'ash', 'a'], 1)).status).toBe(200);
      expect((await tx.send(UPSERT, [1, 'bell', 'a'], 2)).status).toBe(200);
      expect((await tx.send('SELECT 1', [])).status).toBe(200);
      expect((await tx.send(UPSERT, [1, 'bell', 'a'], 3)).json.error.message).toContain('1000 statements');
      expect((await tx.commit()).status).toBe(200);
      expect(await cluster.rows('SELECT n FROM posts')).toEqual([[2]]);
    }, 60_000);

    test('wrongly is refused, and has read nothing', async () => {
      const cluster = await open();
      const tx = await numbered(cluster);
      expect((await tx.send(UPSERT, [1, 'ash', 'a'], 5)).status).toBe(400);
      await cluster.query(UPSERT, [1, 'bell', 'b']);
      expect((await tx.send(UPSERT, [1, 'corn', 'a'], 1)).status).toBe(200);
      expect((await tx.send(UPSERT, [2, 'corn', 'a'], 1)).json.error.message).toContain('another statement');
      expect((await tx.commit()).status).toBe(200);
      expect(await cluster.rows('SELECT tenant, n FROM posts')).toEqual([['bell', 2]]);
    });
  });
});
