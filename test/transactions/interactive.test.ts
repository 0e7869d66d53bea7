import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Reply } from '../cluster/cluster.ts';
import { anotherRouter } from '../cluster/router.ts';
import { ADD, AMOUNT, Bank, expectRefused, OWNERS } from './bank.ts';

let bank: Bank;

beforeAll(async () => {
  bank = await Bank.open();
});
afterAll(() => bank.cluster.dispose());
beforeEach(() => bank.reset());

describe('a transaction in one partition', () => {
  test('sees its own writes; others see them when it is committed', async () => {
    const transaction = await bank.begin();
    expect(await transaction.run(ADD, [5, 'ann'])).toMatchObject({ rowsAffected: 1, columns: [] });
    expect((await transaction.run(AMOUNT, ['ann'])).rows).toEqual([[105]]);
    expect((await bank.cluster.query(AMOUNT, ['ann'])).json.rows).toEqual([[100]]);
    const { status, json } = await transaction.commit();
    expect([status, json.outcome]).toEqual([200, 'committed']);
    expect((await bank.cluster.query(AMOUNT, ['ann'], { session: json.session })).json.rows).toEqual([[105]]);
  });

  test('is committed once, however often it is asked for', async () => {
    const transaction = await bank.begin();
    await transaction.run(ADD, [5, 'ann']);
    const first = await transaction.commit();
    const again = await transaction.commit();
    expect([first.status, again.status]).toEqual([200, 200]);
    expect(again.json).toEqual(first.json);
    expect((await bank.amounts()).ann).toBe(105);
    expectRefused(await transaction.send('SELECT 1'), 409, 'transaction-ended', /was committed/);
    expectRefused(await transaction.rollback(), 409, 'transaction-ended', /was committed/);
  });

  test('leaves nothing when it is rolled back', async () => {
    const transaction = await bank.begin();
    await transaction.run(ADD, [5, 'ann']);
    expect((await transaction.rollback()).json.outcome).toBe('rolled-back');
    expect((await transaction.rollback()).status).toBe(200);
    expectRefused(await transaction.send('SELECT 1'), 409, 'transaction-ended', /was rolled back/);
    expectRefused(await transaction.commit(), 409, 'transaction-ended', /was rolled back/);
    expect((await bank.amounts()).ann).toBe(100);
  });

  test('that did nothing commits', async () => {
    expect((await (await bank.begin()).commit()).status).toBe(200);
  });

  test('goes on after a statement that failed', async () => {
    const transaction = await bank.begin();
    await transaction.run(ADD, [1, 'ann']);
    const failed = await transaction.send(ADD, [-500, 'ann']);
    expectRefused(failed, 409, 'constraint', /CHECK/);
    expect(failed.json.error.detail.transaction).toBe('open');
    expectRefused(await transaction.send('SELECT nix FROM accounts'), 400, 'no-such-column', /nix/);
    expectRefused(await transaction.send('SELEC 1'), 400, 'syntax', /./);
    expectRefused(await transaction.send(AMOUNT, []), 400, 'parameter', /1 parameter/);
    expect((await transaction.commit()).status).toBe(200);
    expect((await bank.amounts()).ann).toBe(101);
  });

  test('gives generated ids that are there after the commit', async () => {
    const transaction = await bank.begin();
    const { rows, lastInsertRowid } = await transaction.run(
      "INSERT INTO ledger (owner, change) VALUES ('ann', 1) RETURNING id",
    );
    expect(rows).toEqual([[lastInsertRowid]]);
    const other = await bank.cluster.query("INSERT INTO ledger (owner, change) VALUES ('ann', 2)");
    expect(other.json.lastInsertRowid).not.toBe(lastInsertRowid);
    expect((await transaction.commit()).status).toBe(200);
    expect(await bank.cluster.rows('SELECT change FROM ledger WHERE id = ?', [lastInsertRowid])).toEqual([
      [1],
    ]);
  });
});

describe('a transaction over partitions', () => {
  test('sees its own writes in all of them, and commits in all or none', async () => {
    const transaction = await bank.begin();
    for (const owner of OWNERS) await transaction.run(ADD, [10, owner]);
    expect((await transaction.run('SELECT sum(amount), count(*) FROM accounts')).rows).toEqual([[660, 6]]);
    await transaction.run('UPDATE accounts SET amount = amount + 1');
    expect((await transaction.run('SELECT min(amount), max(amount) FROM accounts')).rows).toEqual([
      [111, 111],
    ]);
    expect(Object.values(await bank.amounts())).toEqual(OWNERS.map(() => 100));
    const { status, json, text } = await transaction.commit();
    expect(status, text).toBe(200);
    expect(json.plan.partitions.length).toBeGreaterThan(1);
    expect(Object.values(await bank.amounts())).toEqual(OWNERS.map(() => 111));
    expect((await transaction.commit()).json).toEqual(json);
  });

  test('takes a statement back everywhere that fails in one partition', async () => {
    const transaction = await bank.begin();
    await transaction.run("UPDATE accounts SET amount = 0 WHERE owner = 'dee'");
    expectRefused(
      await transaction.send('UPDATE accounts SET amount = amount - 1'),
      409,
      'constraint',
      /CHECK/,
    );
    expect((await transaction.run('SELECT sum(amount) FROM accounts')).rows).toEqual([[500]]);
    expect((await transaction.commit()).status).toBe(200);
    expect(await bank.amounts()).toMatchObject({ ann: 100, dee: 0 });
  });

  test('reads reference tables', async () => {
    const transaction = await bank.begin();
    expect((await transaction.run('SELECT * FROM currencies')).rows).toEqual([['x', 1.5]]);
    await transaction.run(ADD, [1, 'bob']);
    expect((await transaction.commit()).status).toBe(200);
  });

  test('conflicts with a write of what it has read in any of them', async () => {
    const transaction = await bank.begin();
    await transaction.run('SELECT sum(amount) FROM accounts');
    await transaction.run(
      "INSERT INTO ledger (owner, change) VALUES ('ann', 7), ('bob', 7), ('cy', 7), ('dee', 7)",
    );
    await bank.cluster.query(ADD, [1, 'fay']);
    expectRefused(await transaction.commit(), 409, 'conflict', /run the transaction again/);
    expectRefused(await transaction.commit(), 409, 'conflict', /run the transaction again/);
    expect(await bank.cluster.rows('SELECT count(*) FROM ledger')).toEqual([[0]]);
  });
});

test('a router that does not know the newest schema ends a transaction rather than refuse what is there', async () => {
  const behind = anotherRouter(bank.cluster);
  await behind.query('SELECT 1');
  await bank.cluster.query('CREATE TABLE newer (k TEXT PRIMARY KEY)');
  const { json } = await behind.post('/v1/transactions', {});
  const reply = await behind.post(`/v1/transactions/${json.id}/query`, { sql: 'SELECT * FROM newer' });
  expectRefused(reply, 409, 'schema-conflict', /run the transaction again/);
  const again = await behind.post('/v1/transactions', {});
  const found = await behind.post(`/v1/transactions/${again.json.id}/query`, { sql: 'SELECT * FROM newer' });
  expect([found.status, found.json.rows]).toEqual([200, []]);
  await bank.cluster.query('DROP TABLE newer');
});

describe('savepoints', () => {
  test('are set, gone back to and released', async () => {
    const transaction = await bank.begin();
    await transaction.run(ADD, [1, 'ann']);
    expect(await transaction.run('SAVEPOINT one')).toMatchObject({ rows: [], rowsAffected: 0 });
    await transaction.run(ADD, [10, 'ann']);
    await transaction.run('SAVEPOINT two');
    await transaction.run('UPDATE accounts SET amount = amount + 100');
    await transaction.run('ROLLBACK TO two');
    expect((await transaction.run(AMOUNT, ['ann'])).rows).toEqual([[111]]);
    await transaction.run('RELEASE two');
    expectRefused(await transaction.send('ROLLBACK TO two'), 400, 'sql', /no such savepoint: two/);
    await transaction.run('ROLLBACK TO SAVEPOINT ONE');
    await transaction.run(ADD, [3, 'bob']);
    expect((await transaction.commit()).status).toBe(200);
    expect(await bank.amounts()).toMatchObject({ ann: 101, bob: 103, cy: 100 });
  });
});

describe('conflicts', () => {
  /** As a client does it: again until it commits. */
  async function transfer(from: string, to: string): Promise<number> {
    for (let tries = 1; ; tries++) {
      const transaction = await bank.begin();
      const steps: [string, unknown[]][] = [
        [AMOUNT, [from]],
        [ADD, [-1, from]],
        [ADD, [1, to]],
      ];
      let reply: Reply | null = null;
      for (const [sql, args] of steps) {
        reply = await transaction.send(sql, args);
        if (reply.status !== 200) break;
      }
      if (reply?.status === 200) reply = await transaction.commit();
      if (reply?.status === 200) return tries;
      expect([reply?.json.error.code, reply?.json.error.outcome], reply?.text).toEqual(['conflict', 'none']);
    }
  }

  test('end in commits when the transactions are run again, and no money is lost', async () => {
    const client = async (seed: number): Promise<void> => {
      for (let i = 0; i < 6; i++) {
        await transfer(OWNERS[(seed + i) % 6] as string, OWNERS[(seed + i + 1 + (seed % 4)) % 6] as string);
      }
    };
    await Promise.all([1, 2, 3, 4].map(client));
    expect(Object.values(await bank.amounts()).reduce((a, b) => a + b)).toBe(600);
  });

  test('of two that each read what the other writes, one is refused', async () => {
    for (const [first, second] of [
      ['ann', 'bob'],
      ['cy', 'fay'],
      ['dee', 'eve'],
    ] as const) {
      const [left, right] = [await bank.begin(), await bank.begin()];
      const both = 'SELECT sum(amount) FROM accounts WHERE owner IN (?, ?)';
      expect((await left.run(both, [first, second])).rows).toEqual([[200]]);
      expect((await right.run(both, [first, second])).rows).toEqual([[200]]);
      await left.run(ADD, [-100, first]);
      await right.run(ADD, [-100, second]);
      const ends = await Promise.all([left.commit(), right.commit()]);
      expect(ends.filter(({ status }) => status === 200).length).toBeLessThan(2);
      for (const end of ends) if (end.status !== 200) expectRefused(end, 409, 'conflict', /again/);
      const { [first]: a = 0, [second]: b = 0 } = await bank.amounts();
      expect(a + b).toBeGreaterThanOrEqual(100);
    }
  });
});
