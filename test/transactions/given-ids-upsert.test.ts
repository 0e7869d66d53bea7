import type { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { Random } from '../harness/random.ts';
import { QuietCluster } from '../simulation/quiet-cluster.ts';
import {
  expectSameRows,
  openBoth,
  type Statement,
  sorted,
  statementOf,
  TABLES,
  TENANTS,
} from './upserts-by-id.ts';

/** Upserts, OR IGNORE and REPLACE that give ids in tables whose INTEGER PRIMARY KEY is not the partition key: the row that has the id may be anywhere. */

function runPlain(plain: DatabaseSync, { sql, args }: Statement): { rows: unknown[][] } | { error: string } {
  plain.exec('BEGIN');
  try {
    const rows = plain
      .prepare(sql)
      .all(...args)
      .map((row) => Object.values(row));
    plain.exec('COMMIT');
    return { rows };
  } catch (error) {
    plain.exec('ROLLBACK');
    return { error: (error as Error).message };
  }
}

const seeds = (process.env.UPSERT_SEEDS ?? '1-4').split('-').map(Number);

test('do what they do in SQLite', async () => {
  const seen = { ok: 0, constraint: 0, refused: 0 };
  for (let seed = seeds[0] ?? 1; seed <= (seeds[1] ?? 1); seed++) {
    const random = new Random(seed);
    const { cluster, plain } = await openBoth(seed);
    const history: string[] = [];
    for (let i = 0; i < 120; i++) {
      const statement = statementOf(random);
      const { status, json } = await cluster.ask(statement.sql, statement.args);
      const code = status === 200 ? 'ok' : json.error.code;
      history.push(
        `${statement.sql} ${JSON.stringify(statement.args)} → ${code} ${json.error?.message ?? ''}`,
      );
      const text = `seed ${seed}\n${history.slice(-12).join('\n')}`;
      if (code !== 'ok' && code !== 'constraint') {
        expect(['unsupported', 'needs-global-index'], text).toContain(code);
        seen.refused++;
        continue;
      }
      seen[code as 'ok' | 'constraint']++;
      const wanted = runPlain(plain, statement);
      expect(code, `${text}\n${JSON.stringify(wanted)}`).toBe('error' in wanted ? 'constraint' : 'ok');
      if ('rows' in wanted) expect(sorted(json.rows), text).toEqual(sorted(wanted.rows));
      await expectSameRows(cluster, plain, text);
    }
    await cluster.checkIndexes();
    plain.close();
  }
  if (process.env.UPSERT_SEEDS !== undefined) process.stderr.write(`${JSON.stringify(seen)}\n`);
  expect(seen.ok).toBeGreaterThan(150);
  expect(seen.constraint).toBeGreaterThan(40);
});

describe('an upsert by id', () => {
  const UPSERT =
    'INSERT INTO posts (id, tenant, slug, n) VALUES (?, ?, ?, 1) ON CONFLICT (id) DO UPDATE SET n = n + 1';
  const open = () => QuietCluster.open(3, 4, [`${TABLES.posts} PARTITION BY (tenant)`]);

  test('finds its row wherever that is, and leaves it there', async () => {
    const cluster = await open();
    await cluster.query(UPSERT, [5, 'ash', 'a']);
    for (const tenant of TENANTS)
      expect(await cluster.query(`${UPSERT} RETURNING tenant`, [5, tenant, 'a'])).toMatchObject({
        rows: [['ash']],
        rowsAffected: 1,
      });
    expect(await cluster.rows('SELECT id, tenant, n FROM posts')).toEqual([[5, 'ash', 7]]);
    expect(
      (await cluster.query(`EXPLAIN ${UPSERT}`, [1, 'a', 'a'])).rows.map(([step]: string[]) => step),
    ).toContain('looks for');
    // Ids that are given are not generated later.
    for (let i = 0; i < 9; i++)
      await cluster.query('INSERT INTO posts (tenant) VALUES (?)', [TENANTS[i % 6] as string]);
    expect(await cluster.rows('SELECT count(DISTINCT id) FROM posts')).toEqual([[10]]);
  });

  test('counts every one of many at the same time, from all sides', async () => {
    const cluster = await open();
    const requests = Array.from({ length: 12 }, (_, i) => {
      const body = { sql: UPSERT, args: [1 + (i % 2), TENANTS[i % 6], `s${i}`], timeoutMs: 25_000 };
      return ['/v1/query', body] as const;
    });
    for (const { status, json } of await cluster.together(requests))
      expect([status, json.error]).toEqual([200, undefined]);
    expect(await cluster.rows('SELECT id, n FROM posts ORDER BY id').catch((error) => error)).toEqual([
      [1, 6],
      [2, 6],
    ]);
  }, 60_000);

  test('pays for it only if it gives an id', async () => {
    const cluster = await open();
    const sql =
      'INSERT INTO posts (id, tenant, slug) VALUES (?, ?, ?) ON CONFLICT (tenant, slug) DO UPDATE SET n = n + 1';
    const { plan } = await cluster.query(sql, [null, 'ash', 'a']);
    expect(plan.kind).toBe('route');
    await cluster.query(sql, [null, 'ash', 'a']);
    expect(await cluster.rows('SELECT n FROM posts')).toEqual([[1]]);
    const batch = await cluster.batch([sql, [null, 'ash', 'a']], [sql, [null, 'bell', 'b']]);
    expect([batch.status, batch.json.error]).toEqual([200, undefined]);
    const given = await cluster.query(sql, [77, 'ash', 'a']);
    expect(given.plan.kind).toBe('transaction');
    expect(await cluster.rows('SELECT n FROM posts ORDER BY tenant')).toEqual([[3], [0]]);
  });

  test('goes with other statements, all or nothing', async () => {
    const cluster = await open();
    await cluster.query(UPSERT, [1, 'ash', 'a']);
    const wrong = await cluster.batch(
      [UPSERT, [1, 'bell', 'b']],
      [UPSERT, [2, 'corn', 'c']],
      ['INSERT INTO posts VALUES (9, NULL, NULL, 1)'],
    );
    expect(wrong.status).not.toBe(200);
    const both = await cluster.batch([UPSERT, [1, 'bell', 'b']], [UPSERT, [2, 'corn', 'c']]);
    expect([both.status, both.json.error]).toEqual([200, undefined]);
    expect(await cluster.rows('SELECT id, tenant, n FROM posts ORDER BY id')).toEqual([
      [1, 'ash', 2],
      [2, 'corn', 1],
    ]);
  });

  test.each([
    [
      "INSERT INTO posts (id, tenant) VALUES (1, 'ash') ON CONFLICT (id) DO UPDATE SET id = 7",
      /cannot be set/,
    ],
    [
      "INSERT INTO posts (id, tenant) VALUES (1, 'ash') ON CONFLICT (id) DO UPDATE SET tenant = 'x'",
      /part of the partition key/,
    ],
    ["INSERT OR FAIL INTO posts (id, tenant) VALUES (1, 'ash')", /given in an INSERT without this clause/],
  ])('says what it does not do: %s', async (sql, message) => {
    const cluster = await open();
    const { status, json } = await cluster.ask(sql);
    expect([status, json.error.message]).toEqual([400, expect.stringMatching(message)]);
    const tx = await cluster.begin();
    expect(
      (
        await tx.send(
          "INSERT INTO posts (id, tenant, slug) VALUES (NULL, 'ash', 'a') ON CONFLICT (tenant, slug) DO NOTHING",
        )
      ).status,
    ).toBe(200);
    expect((await tx.commit()).status).toBe(200);
    expect(await cluster.rows('SELECT count(*) FROM posts')).toEqual([[1]]);
  });

  test.each([
    "INSERT INTO posts (id, tenant, slug, n) VALUES (NULL, 'a', 'lit', 1) ON CONFLICT (tenant, slug) DO UPDATE SET tenant = excluded.tenant, n = 2",
    "INSERT INTO posts (id, tenant, slug, n) VALUES (?, 'a', 'lit', 1) ON CONFLICT (tenant, slug) DO UPDATE SET tenant = excluded.tenant, n = 2",
    "INSERT INTO posts (id, tenant, slug, n) VALUES (?, 'a', 'lit', 1) ON CONFLICT DO UPDATE SET n = excluded.n + 1",
    "INSERT INTO posts (id, tenant, slug, n) VALUES (?, 'a', 'lit', 1) ON CONFLICT (id) DO NOTHING ON CONFLICT (tenant, slug) DO UPDATE SET n = 2",
    "INSERT OR REPLACE INTO posts (id, tenant, slug, n) VALUES (?, 'a', lower('LIT'), 1), (NULL, 'a', upper('x'), 2)",
    "INSERT OR IGNORE INTO logged (id, tenant) VALUES (?, 'a')",
  ])('where all ids are NULL is like any other: %s', async (sql) => {
    const cluster = await QuietCluster.open(5, 3, [
      `${TABLES.posts} PARTITION BY (tenant)`,
      'CREATE TABLE logged (id INTEGER PRIMARY KEY, tenant TEXT) PARTITION BY (tenant)',
      'CREATE TRIGGER logs AFTER INSERT ON logged BEGIN SELECT 1; END',
    ]);
    const args = sql.includes('?') ? [null] : [];
    for (let i = 0; i < 2; i++) expect((await cluster.query(sql, args)).plan.kind).toBe('route');
    const tx = await cluster.begin();
    expect((await tx.send(sql, args)).status).toBe(200);
    expect((await tx.commit()).status).toBe(200);
  });

  test('waits for what is about to become of a row, in whatever partition', async () => {
    const cluster = await open();
    const delay = () =>
      cluster.network.stragglers.add({
        way: 'messagesLost',
        type: 'transaction-ends',
        moreMs: 300,
        once: true,
      });
    const same = await tenantsOfOne(cluster);
    for (const [id, [at, other]] of Object.entries({ 5000: same, 6000: same.toReversed() })) {
      await cluster.query('INSERT INTO posts (id, tenant, slug) VALUES (?, ?, ?)', [
        Number(id),
        at,
        `s${id}`,
      ]);
      delay();
      const gone = await cluster.batch(
        [
          'INSERT INTO posts (tenant, slug) VALUES (?, ?)',
          [TENANTS.find((each) => !same.includes(each)) as string, `o${id}`],
        ],
        ['DELETE FROM posts WHERE tenant = ? AND id = ?', [at, Number(id)]],
      );
      expect(gone.status).toBe(200);
      const sql = 'INSERT OR IGNORE INTO posts (id, tenant, slug) VALUES (?, ?, ?)';
      expect((await cluster.query(sql, [Number(id), other, `s${id}`])).rowsAffected).toBe(1);
      expect(await cluster.rows('SELECT tenant FROM posts WHERE id = ?', [Number(id)])).toEqual([[other]]);
    }
  });

  test('is not about one row in two places at once, nor about two whose ids only hash alike', async () => {
    const cluster = await QuietCluster.open(2, 3, [`${TABLES.users} PARTITION BY (tenant)`]);
    await cluster.query("INSERT INTO users (tenant, id, slug) VALUES ('b', 9, 's9')");
    for (const [one, two] of [
      ['a', 'e'],
      ['c', 'b'],
      ['d', 'f'],
    ] as const) {
      const { status, json } = await cluster.batch(
        [
          'INSERT INTO users (tenant, slug) VALUES (?, ?) ON CONFLICT (slug) DO UPDATE SET n = n + 1 RETURNING n',
          [one, 's9'],
        ],
        [
          'INSERT INTO users (id, tenant, slug) VALUES (9, ?, ?) ON CONFLICT (id) DO UPDATE SET n = n + 1 WHERE n > 0 RETURNING n',
          [two, 'zz'],
        ],
      );
      if (status !== 200) expect(json.error.code).toMatch(/unsupported|needs-global-index/);
      else expect(json.results[1].rows).toHaveLength(1);
    }
    // Of which tokenOfKey says the same.
    const alike = await cluster
      .query("INSERT OR REPLACE INTO users (id, tenant, slug) VALUES (80370, 'a', 'y1'), (104860, 'a', 'y2')")
      .catch((error) => error);
    expect(String(alike)).not.toContain('same "id"');
  });

  test('never says that an id is taken, whatever others do with it', async () => {
    const cluster = await open();
    for (let round = 0; round < 4; round++) {
      const requests = Array.from({ length: 16 }, (_, i) => {
        const tenant = TENANTS[(i + round) % 6] as string;
        const [sql, args] = [
          [UPSERT.replace('n + 1', '1'), [1, tenant, `s${i}`]],
          ['INSERT OR IGNORE INTO posts (id, tenant, slug) VALUES (?, ?, ?)', [2, tenant, `t${i}`]],
          ['DELETE FROM posts WHERE id = ?', [1 + (i % 2)]],
          [
            `INSERT INTO posts (id, tenant, slug) VALUES (1, ?, 'u${i}'), (2, ?, 'v${i}') ON CONFLICT (id) DO UPDATE SET n = 2`,
            [tenant, tenant],
          ],
        ][i % 4] as [string, (string | number)[]];
        return ['/v1/query', { sql, args, timeoutMs: 25_000 }] as const;
      });
      const answers = await cluster.together(requests);
      expect(answers.filter(({ status }) => status !== 200).map(({ json }) => json.error)).toEqual([]);
    }
    await cluster.checkIndexes();
  }, 60_000);
});

/** Two that one partition has. */
async function tenantsOfOne(cluster: QuietCluster): Promise<readonly [string, string]> {
  const homes = new Map<number, string>();
  for (const tenant of TENANTS) {
    const { plan } = await cluster.query('SELECT n FROM posts WHERE tenant = ?', [tenant]);
    const other = homes.get(plan.partition);
    if (other !== undefined) return [other, tenant];
    homes.set(plan.partition, tenant);
  }
  throw new Error('every tenant has a partition of its own');
}
