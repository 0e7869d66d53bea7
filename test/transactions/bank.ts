import { expect } from 'vitest';
import { type Reply, TestCluster } from '../cluster/cluster.ts';

export const OWNERS = ['ann', 'bob', 'cy', 'dee', 'eve', 'fay'];

export const ADD = 'UPDATE accounts SET amount = amount + ? WHERE owner = ?';
export const AMOUNT = 'SELECT amount FROM accounts WHERE owner = ?';

/** Accounts of a few owners, in several partitions, and interactive transactions over them. */
export class Bank {
  readonly cluster: TestCluster;

  private constructor(cluster: TestCluster) {
    this.cluster = cluster;
  }

  static async open(): Promise<Bank> {
    const cluster = await TestCluster.start({ partitions: 4 });
    await cluster.query(
      'CREATE TABLE accounts (owner TEXT PRIMARY KEY, amount INTEGER NOT NULL CHECK (amount >= 0))',
    );
    await cluster.query(
      'CREATE TABLE ledger (id INTEGER PRIMARY KEY, owner TEXT, change INTEGER) PARTITION BY (owner)',
    );
    await cluster.query('CREATE TABLE currencies (code TEXT PRIMARY KEY, rate REAL) REFERENCE');
    await cluster.query("INSERT INTO currencies VALUES ('x', 1.5)");
    return new Bank(cluster);
  }

  /** Everybody has 100, and the ledger is empty. */
  async reset(): Promise<void> {
    await this.cluster.query('DELETE FROM accounts');
    await this.cluster.query('DELETE FROM ledger');
    const rows = OWNERS.map(() => '(?, 100)').join(', ');
    await this.cluster.query(`INSERT INTO accounts VALUES ${rows}`, OWNERS);
  }

  async amounts(): Promise<Record<string, number>> {
    const rows = await this.cluster.rows('SELECT owner, amount FROM accounts');
    return Object.fromEntries(rows as [string, number][]);
  }

  async begin(): Promise<Transaction> {
    const { status, json } = await this.cluster.post('/v1/transactions', {});
    expect([status, json.error]).toEqual([200, undefined]);
    expect(Date.parse(json.expiresAt)).toBeGreaterThan(Date.now());
    return new Transaction(this.cluster, json.id);
  }
}

/** A client's view of one transaction. */
export class Transaction {
  readonly id: string;
  readonly #cluster: TestCluster;

  constructor(cluster: TestCluster, id: string) {
    this.#cluster = cluster;
    this.id = id;
  }

  send(sql: string, args?: unknown, options: Record<string, unknown> = {}): Promise<Reply> {
    return this.#cluster.post(`/v1/transactions/${this.id}/query`, { sql, args, ...options });
  }

  /** Its answer; anything but 200 fails the test. */
  async run(sql: string, args?: unknown): Promise<Reply['json']> {
    const { status, json, text } = await this.send(sql, args);
    expect(status, text).toBe(200);
    return json;
  }

  commit(options: Record<string, unknown> = {}): Promise<Reply> {
    return this.#cluster.post(`/v1/transactions/${this.id}/commit`, options);
  }

  rollback(): Promise<Reply> {
    return this.#cluster.post(`/v1/transactions/${this.id}/rollback`, {});
  }
}

export function expectRefused(reply: Reply, status: number, code: string, message: RegExp): void {
  expect([reply.status, reply.json.error?.code, reply.json.error?.outcome], reply.text).toEqual([
    status,
    code,
    'none',
  ]);
  expect(reply.json.error.message).toMatch(message);
}
