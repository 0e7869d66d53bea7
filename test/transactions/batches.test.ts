import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestCluster } from '../cluster/cluster.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start({ partitions: 4 });
  await cluster.query(
    'CREATE TABLE accounts (owner TEXT PRIMARY KEY, amount INTEGER NOT NULL CHECK (amount >= 0))',
  );
  await cluster.query(
    'CREATE TABLE ledger (id INTEGER PRIMARY KEY, owner TEXT, change INTEGER) PARTITION BY (owner)',
  );
});
afterAll(() => cluster.dispose());

const OWNERS = ['ann', 'bob', 'cy', 'dee', 'eve', 'fay'];

async function reset(): Promise<void> {
  await cluster.query('DELETE FROM accounts');
  await cluster.query('DELETE FROM ledger');
  const rows = OWNERS.map(() => '(?, 100)').join(', ');
  const { json } = await cluster.query(`INSERT INTO accounts VALUES ${rows}`, OWNERS);
  expect(json.rowsAffected).toBe(OWNERS.length);
}

const transfer = (from: string, to: string, amount: number) => ({
  statements: [
    { sql: 'UPDATE accounts SET amount = amount - ? WHERE owner = ?', args: [amount, from] },
    { sql: 'UPDATE accounts SET amount = amount + ? WHERE owner = ?', args: [amount, to] },
    { sql: 'INSERT INTO ledger (owner, change) VALUES (?, ?) RETURNING owner', args: [from, -amount] },
    { sql: 'INSERT INTO ledger (owner, change) VALUES (?, ?)', args: [to, amount] },
  ],
});

async function amounts(): Promise<Record<string, number>> {
  const { json } = await cluster.query('SELECT owner, amount FROM accounts');
  return Object.fromEntries(json.rows);
}

describe('a batch over partitions', () => {
  test('is applied as a whole, and answers every statement', async () => {
    await reset();
    const { status, json } = await cluster.post('/v1/batch', transfer('ann', 'bob', 30));
    expect([status, json.error]).toEqual([200, undefined]);
    expect(json.plan.kind).toBe('transaction');
    expect(json.results.map((each: { rowsAffected: number }) => each.rowsAffected)).toEqual([1, 1, 1, 1]);
    expect(json.results[2].rows).toEqual([['ann']]);
    expect(json.results[3].lastInsertRowid).toBeGreaterThan(0);
    expect(await amounts()).toMatchObject({ ann: 70, bob: 130 });
    expect((await cluster.query('SELECT sum(change), count(*) FROM ledger')).json.rows).toEqual([[0, 2]]);
  });

  test('is not said to have come to nothing when only its answer cannot be put together', async () => {
    await reset();
    const statements = [
      // Three of them are no overflow yet.
      { sql: 'UPDATE accounts SET amount = 3000000000000000000' },
      { sql: 'SELECT sum(amount) FROM accounts' },
    ];
    const { status, json } = await cluster.post('/v1/batch', { statements });
    expect([status, json.error.code, json.error.outcome]).toEqual([400, 'sql', 'unknown']);
    expect(json.error.message).toMatch(/committed.*overflow/);
    expect((await cluster.query('SELECT count(*) FROM accounts WHERE amount > 1000')).json.rows).toEqual([
      [6],
    ]);
    const read = await cluster.post('/v1/batch', { statements: statements.slice(1) });
    expect(read.json.error).toMatchObject({ code: 'sql', outcome: 'none' });
  });

  test('leaves nothing anywhere when one partition refuses', async () => {
    await reset();
    for (const [from, to] of [
      ['ann', 'bob'],
      ['bob', 'ann'],
      ['cy', 'dee'],
      ['dee', 'fay'],
    ] as const) {
      const { status, json } = await cluster.post('/v1/batch', transfer(from, to, 101));
      expect([status, json.error.code, json.error.outcome]).toEqual([409, 'constraint', 'none']);
    }
    expect(Object.values(await amounts())).toEqual(OWNERS.map(() => 100));
    expect((await cluster.query('SELECT count(*) FROM ledger')).json.rows).toEqual([[0]]);
  });

  test('reads what it has written, of all partitions', async () => {
    await reset();
    const { statements } = transfer('cy', 'eve', 5);
    const { json } = await cluster.post('/v1/batch', {
      statements: [
        ...statements,
        { sql: 'SELECT sum(amount), max(amount) FROM accounts' },
        { sql: 'SELECT owner FROM ledger ORDER BY owner' },
      ],
    });
    expect(json.results[4].rows).toEqual([[600, 105]]);
    expect(json.results[5].rows).toEqual([['cy'], ['eve']]);
  });

  test('moves money without losing any, under contention', async () => {
    await reset();
    let done = 0;
    const sums: number[] = [];
    const client = async (seed: number): Promise<void> => {
      for (let i = 0; i < 12; i++) {
        const from = OWNERS[(seed + i) % OWNERS.length] as string;
        const to = OWNERS[(seed * 5 + i * 7 + 1) % OWNERS.length] as string;
        if (from === to) continue;
        const { status, json } = await cluster.post('/v1/batch', transfer(from, to, 1));
        expect([status, json.error]).toEqual([200, undefined]);
        done++;
        const read = await cluster.post('/v1/batch', {
          statements: [{ sql: 'SELECT sum(amount) FROM accounts' }, { sql: 'SELECT count(*) FROM ledger' }],
        });
        sums.push(read.json.results?.[0].rows[0][0]);
      }
    };
    await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(client));
    expect(sums.every((sum) => sum === 600)).toBe(true);
    expect(Object.values(await amounts()).reduce((a, b) => a + b)).toBe(600);
    expect((await cluster.query('SELECT count(*), sum(change) FROM ledger')).json.rows).toEqual([
      [2 * done, 0],
    ]);
  });
});

describe('one statement over partitions', () => {
  test('UPDATE and DELETE without the key are atomic', async () => {
    await reset();
    await cluster.query("UPDATE accounts SET amount = 0 WHERE owner = 'dee'");
    const failed = await cluster.post('/v1/query', { sql: 'UPDATE accounts SET amount = amount - 1' });
    expect([failed.status, failed.json.error.code]).toEqual([409, 'constraint']);
    expect((await amounts()).ann).toBe(100);
    const updated = await cluster.query('UPDATE accounts SET amount = amount + 1 RETURNING owner');
    expect(updated.json.rowsAffected).toBe(6);
    expect(updated.json.rows.length).toBe(6);
    expect(await amounts()).toMatchObject({ ann: 101, dee: 1 });
    expect((await cluster.query('DELETE FROM accounts WHERE amount > 1')).json.rowsAffected).toBe(5);
    expect(await amounts()).toEqual({ dee: 1 });
  });
});

describe('a transaction with an idempotency key', () => {
  const key = () => `${Date.now()}-${Math.random().toString(36).slice(2).padEnd(10, '0')}`;

  test('is applied once, and answers the same, whoever asks again', async () => {
    await reset();
    const request = { ...transfer('ann', 'bob', 7), idempotencyKey: key() };
    const [first, second] = await Promise.all([1, 2].map(() => cluster.post('/v1/batch', request)));
    const third = await cluster.post('/v1/batch', request);
    for (const reply of [first, second, third]) {
      expect(reply?.status).toBe(200);
      expect(reply?.json.results).toEqual(first?.json.results);
    }
    expect(await amounts()).toMatchObject({ ann: 93, bob: 107 });
    expect((await cluster.query('SELECT count(*) FROM ledger')).json.rows).toEqual([[2]]);
  });

  test('belongs to one request, and a failure leaves it free', async () => {
    await reset();
    const idempotencyKey = key();
    const failed = await cluster.post('/v1/batch', { ...transfer('ann', 'bob', 101), idempotencyKey });
    expect([failed.status, failed.json.error.code]).toEqual([409, 'constraint']);
    const done = await cluster.post('/v1/batch', { ...transfer('ann', 'bob', 1), idempotencyKey });
    expect(done.status).toBe(200);
    const other = await cluster.post('/v1/batch', { ...transfer('ann', 'bob', 2), idempotencyKey });
    expect([other.status, other.json.error.code]).toEqual([409, 'idempotency-conflict']);
    expect(await amounts()).toMatchObject({ ann: 99, bob: 101 });
  });
});
