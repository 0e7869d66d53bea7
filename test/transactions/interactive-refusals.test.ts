import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { anotherRouter } from '../cluster/router.ts';
import { ADD, AMOUNT, Bank, expectRefused, Transaction } from './bank.ts';

let bank: Bank;

beforeAll(async () => {
  bank = await Bank.open();
});
afterAll(() => bank.cluster.dispose());
beforeEach(() => bank.reset());

describe('numbered statements', () => {
  test('are answered once, and not executed again', async () => {
    const transaction = await bank.begin();
    const first = await transaction.send(ADD, [1, 'ann'], { seq: 1 });
    const again = await transaction.send(ADD, [1, 'ann'], { seq: 1 });
    expect(again.json).toEqual(first.json);
    expect((await transaction.send(AMOUNT, ['ann'], { seq: 2 })).json.rows).toEqual([[101]]);
    expectRefused(
      await transaction.send(AMOUNT, ['bob'], { seq: 2 }),
      400,
      'bad-request',
      /another statement/,
    );
    expectRefused(await transaction.send(AMOUNT, ['bob'], { seq: 4 }), 400, 'bad-request', /without gaps/);
    expectRefused(await transaction.send(AMOUNT, ['bob'], { seq: 1 }), 400, 'bad-request', /without gaps/);
    expectRefused(await transaction.commit({ seq: 2 }), 400, 'bad-request', /without gaps/);
    expect((await transaction.commit({ seq: 3 })).status).toBe(200);
    expect((await bank.amounts()).ann).toBe(101);
  });
});

describe('bad input', () => {
  test('an id that nobody has begun', async () => {
    const { id: own } = await bank.begin();
    for (const id of ['nonsense', own.replace(/^(.{8}).{12}/, '$10123456789ab')]) {
      const transaction = new Transaction(bank.cluster, id);
      for (const reply of [
        await transaction.send('SELECT 1'),
        await transaction.commit(),
        await transaction.rollback(),
      ])
        expectRefused(reply, 404, 'not-found', /no such transaction/);
    }
  });

  test("somebody else's transaction", async () => {
    const transaction = await bank.begin();
    const { json } = await bank.cluster.post('/v1/tokens', { role: 'write', expiresInSeconds: 600 });
    const other = anotherRouter(bank.cluster, json.token);
    expect(json.token, JSON.stringify(json)).toBeTypeOf('string');
    for (const action of ['query', 'commit', 'rollback']) {
      const body = action === 'query' ? { sql: 'SELECT 1' } : {};
      expectRefused(
        await other.post(`/v1/transactions/${transaction.id}/${action}`, body),
        404,
        'not-found',
        /no such/,
      );
    }
    expect((await transaction.commit()).status).toBe(200);
  });

  test('two requests at once', async () => {
    const transaction = await bank.begin();
    const replies = await Promise.all(
      Array.from({ length: 6 }, () => transaction.send('UPDATE accounts SET amount = amount + 1')),
    );
    const done = replies.filter(({ status }) => status === 200).length;
    for (const reply of replies)
      if (reply.status !== 200) expectRefused(reply, 409, 'conflict', /send them one after another/);
    expect(done).toBeGreaterThan(0);
    expect(done).toBeLessThan(6);
    expect((await transaction.commit()).status).toBe(200);
    expect((await bank.amounts()).ann).toBe(100 + done);
  });

  test('statements that a transaction cannot have', async () => {
    const transaction = await bank.begin();
    for (const [sql, message] of [
      ['CREATE TABLE more (k TEXT PRIMARY KEY)', /schema.*\/v1\/query/],
      ['PRAGMA table_info(accounts)', /pragma/],
      ['EXPLAIN SELECT 1', /explain/],
      ['BEGIN', /has begun already/],
      ['COMMIT', /\/commit/],
      ['ROLLBACK', /\/rollback/],
    ] as const) {
      expectRefused(await transaction.send(sql), 400, 'unsupported', message);
    }
    expect((await transaction.run('SELECT 1')).rows).toEqual([[1]]);
    expect((await transaction.commit()).status).toBe(200);
  });

  test('fields that have no meaning in a transaction', async () => {
    const transaction = await bank.begin();
    for (const field of [
      { consistency: 'eventual' },
      { atomicity: 'partition' },
      { idempotencyKey: 'k' },
      { asOf: 1 },
      { seq: 0 },
      { seq: 1.5 },
      { other: 1 },
    ]) {
      const reply = await transaction.send('SELECT 1', [], field);
      expect([reply.status, reply.json.error.code]).toEqual([400, 'bad-request']);
    }
    const begun = await bank.cluster.post('/v1/transactions', { other: 1 });
    expect(begun.status).toBe(400);
  });

  test('more statements than a transaction may have, and that many are quick', async () => {
    const transaction = await bank.begin();
    for (let i = 0; i < 1_000; i++) await transaction.run(ADD, [1, 'ann']);
    expectRefused(await transaction.send('SELECT 1'), 413, 'too-large', /1000 statements/);
    expect((await transaction.commit()).status).toBe(200);
    expect((await bank.amounts()).ann).toBe(1_100);
  });

  test('a schema that changes meanwhile', async () => {
    const transaction = await bank.begin();
    await transaction.run(ADD, [1, 'ann']);
    await bank.cluster.query('CREATE TABLE meanwhile (k TEXT PRIMARY KEY)');
    expectRefused(await transaction.commit(), 409, 'schema-conflict', /run the transaction again/);
    await bank.cluster.query('DROP TABLE meanwhile');
  });
});
