import { DatabaseSync } from 'node:sqlite';
import { expect } from 'vitest';
import type { Random } from '../harness/random.ts';
import { QuietCluster } from '../simulation/quiet-cluster.ts';

/** Tables whose INTEGER PRIMARY KEY is not the partition key, in SQLite's words. */
export const TABLES: Readonly<Record<string, string>> = {
  posts:
    'CREATE TABLE posts (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, slug TEXT, n INTEGER DEFAULT 0 CHECK (n < 9), UNIQUE (tenant, slug))',
  users:
    'CREATE TABLE users (tenant TEXT NOT NULL, id INTEGER PRIMARY KEY, slug TEXT UNIQUE, n INTEGER DEFAULT 0 CHECK (n < 9))',
};
export const TENANTS = ['ash', 'bell', 'corn', 'dune', 'elm', 'fir'];

type Value = string | number | null;

export interface Statement {
  readonly sql: string;
  readonly args: readonly Value[];
}

/** One that gives ids, or does something to rows that have some. */
export function statementOf(random: Random): Statement {
  const table = random.pick(['posts', 'users']);
  const args: Value[] = [];
  const value = (each: Value): string => {
    if (typeof each === 'number' && random.chance(0.2)) return String(each);
    args.push(each);
    return '?';
  };
  const id = () => value(random.chance(0.1) ? String(1 + random.below(6)) : 1 + random.below(6));
  const tenant = random.pick(TENANTS);
  const row = () =>
    `(${id()}, ${value(random.chance(0.7) ? tenant : random.pick(TENANTS))}, ${value(random.pick(['a', 'b', 'c', null]))}, ${value(random.below(10))})`;
  const what = random.next();
  if (what < 0.1) return { sql: `DELETE FROM ${table} WHERE id = ${1 + random.below(6)}`, args: [] };
  if (what < 0.2)
    return { sql: `UPDATE ${table} SET tenant = ? WHERE id = ?`, args: [tenant, 1 + random.below(6)] };
  const rows = Array.from({ length: random.pick([1, 1, 1, 2, 3]) }, row).join(', ');
  const into = `INTO ${table} (id, tenant, slug, n) VALUES ${rows}`;
  const returning = random.chance(0.5) ? ' RETURNING id, tenant, slug, n' : '';
  if (what < 0.3) return { sql: `INSERT ${into}${returning}`, args };
  const target = random.pick(['id', 'id', 'id', table === 'posts' ? 'tenant, slug' : 'slug']);
  const clause = random.pick([
    () => `INSERT OR IGNORE ${into}`,
    () => `INSERT OR REPLACE ${into}`,
    () => `INSERT ${into} ON CONFLICT DO NOTHING`,
    () => `INSERT ${into} ON CONFLICT (${target}) DO NOTHING`,
    () => `INSERT ${into} ON CONFLICT (${target}) DO UPDATE SET n = ${table}.n + excluded.n`,
    () =>
      `INSERT ${into} ON CONFLICT (${target}) DO UPDATE SET n = excluded.n, slug = excluded.slug WHERE excluded.n > 1`,
  ])();
  return { sql: `${clause}${returning}`, args };
}

/** The tables in a cluster and in plain SQLite. */
export async function openBoth(seed: number): Promise<{ cluster: QuietCluster; plain: DatabaseSync }> {
  const tables = Object.values(TABLES);
  const cluster = await QuietCluster.open(
    seed,
    3,
    tables.map((sql) => `${sql} PARTITION BY (tenant)`),
  );
  const plain = new DatabaseSync(':memory:');
  for (const sql of tables) plain.exec(sql);
  return { cluster, plain };
}

export async function expectSameRows(
  cluster: QuietCluster,
  plain: DatabaseSync,
  text: string,
): Promise<void> {
  for (const table of Object.keys(TABLES)) {
    const select = `SELECT id, tenant, slug, n FROM ${table} ORDER BY id`;
    const there = plain
      .prepare(select)
      .all()
      .map((row) => Object.values(row));
    expect(await cluster.rows(select), text).toEqual(there);
  }
}

/** Rows of several partitions come in no order. */
export function sorted(rows: readonly unknown[][]): string[] {
  return rows.map((row) => JSON.stringify(row)).sort();
}
