import { DatabaseSync } from 'node:sqlite';
import { expect } from 'vitest';
import type { Reply, TestCluster } from '../cluster/cluster.ts';

export type Statement = string | readonly [string, ...unknown[]];

/** Atoll's clauses cut out. */
const plain = (sql: string) => sql.replace(/\) (REFERENCE|PARTITION BY \([^)]*\))$/, ')');

/** Tables of a cluster, and of plain SQLite, to which the same is done. */
export class BesideSqlite {
  readonly #cluster: TestCluster;
  readonly #sqlite = new DatabaseSync(':memory:');
  readonly #tables: readonly string[];

  private constructor(cluster: TestCluster, tables: readonly string[]) {
    this.#cluster = cluster;
    this.#tables = tables;
  }

  static async create(cluster: TestCluster, ...definitions: string[]): Promise<BesideSqlite> {
    const names = definitions.flatMap((sql) => /^CREATE TABLE (\w+)/.exec(sql)?.[1] ?? []);
    const beside = new BesideSqlite(cluster, names);
    for (const sql of definitions) {
      const { status, json } = await cluster.query(sql);
      expect([status, json.error]).toEqual([200, undefined]);
      beside.#sqlite.exec(plain(sql));
    }
    return beside;
  }

  /** Runs the same on both, as one transaction: both must agree, and have the same rows afterwards. */
  async both(...statements: Statement[]): Promise<Reply['json']> {
    const expected = this.inSqlite(...statements);
    const { status, json } = await send(this.#cluster, ...statements);
    const said = json.error === undefined ? null : `${json.error.code}: ${json.error.message}`;
    if (expected === null) expect([statements, status, said]).toEqual([statements, 200, null]);
    else {
      expect([statements, status, json.error.code]).toEqual([statements, 409, 'constraint']);
      expect(json.error.message).toContain(expected);
    }
    await this.expectSame();
    return json;
  }

  /** Schema changes, with PRAGMAs that SQLite takes outside of a transaction only: both must take them. */
  async migrate(...statements: string[]): Promise<Reply['json']> {
    for (const sql of statements) this.#sqlite.exec(sql);
    const { status, json } = await send(this.#cluster, ...statements);
    expect([statements, status, json.error]).toEqual([statements, 200, undefined]);
    await this.expectSame();
    return json;
  }

  /** In one transaction; its error, or null. */
  inSqlite(...statements: Statement[]): string | null {
    this.#sqlite.exec('BEGIN');
    try {
      for (const each of statements) {
        const [sql, ...args] = typeof each === 'string' ? [each] : each;
        this.#sqlite.prepare(sql).run(...(args as []));
      }
      this.#sqlite.exec('COMMIT');
      return null;
    } catch (error) {
      this.#sqlite.exec('ROLLBACK');
      return (error as Error).message;
    }
  }

  rows(sql: string): unknown[][] {
    return this.#sqlite
      .prepare(sql)
      .all()
      .map((row) => Object.values(row));
  }

  async expectSame(): Promise<void> {
    for (const table of this.#tables) {
      const columns = this.rows(`SELECT name FROM pragma_table_info('${table}')`).flat();
      // With their types, and to the last bit.
      const values = columns.map((column) => `quote(${column})`);
      const sql = `SELECT ${values.join()} FROM ${table} ORDER BY ${columns.join()}`;
      const { rows } = (await this.#cluster.query(sql)).json;
      expect([table, rows]).toEqual([table, this.rows(sql)]);
    }
  }
}

/** One statement, or a batch of several. */
export function send(cluster: TestCluster, ...statements: Statement[]): Promise<Reply> {
  const wire = statements.map((each) =>
    typeof each === 'string' ? { sql: each } : { sql: each[0], args: each.slice(1) },
  );
  return wire.length === 1
    ? cluster.post('/v1/query', wire[0])
    : cluster.post('/v1/batch', { statements: wire });
}
