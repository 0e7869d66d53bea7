import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AtollError, type Client, type ClientOptions, createClient } from '../../src/client/index.ts';
import { TOKEN } from '../cluster/cluster.ts';
import { ADD, AMOUNT, Bank, OWNERS } from './bank.ts';

let bank: Bank;

beforeAll(async () => {
  bank = await Bank.open();
});
afterAll(() => bank.cluster.dispose());
beforeEach(() => bank.reset());

function client(options: Partial<ClientOptions> = {}): Client {
  return createClient({ url: bank.cluster.url, token: TOKEN, ...options });
}

/** From one to the other, if there is enough. */
function transfer(db: Client, from: string, to: string, amount: number): Promise<number> {
  return db.transaction(
    async (tx) => {
      const balance = (await tx.query(AMOUNT, [from])).value<number>() ?? 0;
      if (balance < amount) throw new Error('not enough');
      await tx.query(ADD, [-amount, from]);
      await tx.query(ADD, [amount, to]);
      return balance - amount;
    },
    { attemptsMax: 50 },
  );
}

describe("the client's transaction", () => {
  test('commits what its body did, and gives its result', async () => {
    expect(await transfer(client(), 'ann', 'bob', 30)).toBe(70);
    expect(await bank.amounts()).toMatchObject({ ann: 70, bob: 130 });
  });

  test('is rolled back when its body throws', async () => {
    const seen: string[] = [];
    const failed = client().transaction(async (tx) => {
      seen.push(tx.id);
      await tx.query(ADD, [5, 'ann']);
      throw new Error('changed my mind');
    });
    await expect(failed).rejects.toThrow('changed my mind');
    expect((await bank.amounts()).ann).toBe(100);
    const { json } = await bank.cluster.post(`/v1/transactions/${seen[0]}/commit`, {});
    expect(json.error.message).toMatch(/was rolled back/);
  });

  test('goes on after a statement that failed, and takes back what a savepoint holds', async () => {
    await client().transaction(async (tx) => {
      await tx.query(ADD, [1, 'ann']);
      const part = tx.savepoint(async () => {
        await tx.query(ADD, [10, 'bob']);
        await tx.query(ADD, [-500, 'cy']);
      });
      await expect(part).rejects.toMatchObject({ code: 'constraint' });
      await tx.savepoint(() => tx.query(ADD, [2, 'cy']));
    });
    expect(await bank.amounts()).toMatchObject({ ann: 101, bob: 100, cy: 102 });
  });

  test('takes statements that are not waited for one after another', async () => {
    await client().transaction(async (tx) => {
      await Promise.all(OWNERS.map((owner) => tx.query(ADD, [1, owner])));
    });
    expect(Object.values(await bank.amounts())).toEqual(OWNERS.map(() => 101));
  });

  test('is run again when it conflicts, until it gives up', async () => {
    const db = client();
    let runs = 0;
    await db.transaction(async (tx) => {
      await tx.query(AMOUNT, ['ann']);
      if (++runs === 1) await db.query(ADD, [5, 'ann']);
      await tx.query(ADD, [1, 'bob']);
    });
    expect([runs, (await bank.amounts()).bob]).toEqual([2, 101]);
    const always = db.transaction(
      async (tx) => {
        await tx.query(AMOUNT, ['ann']);
        await db.query(ADD, [5, 'ann']);
        await tx.query(ADD, [1, 'bob']).catch(() => undefined);
      },
      { attemptsMax: 3 },
    );
    await expect(always).rejects.toMatchObject({ code: 'conflict', outcome: 'none' });
    expect(await bank.amounts()).toMatchObject({ ann: 120, bob: 101 });
  });

  test('does nothing twice when answers are lost', async () => {
    let calls = 0;
    const db = client({
      fetch: async (url, init) => {
        const reply = await fetch(url, init);
        // Every third is lost on its way back.
        if (++calls % 3 === 0 && url.includes('/v1/transactions/')) throw new TypeError('lost');
        return reply;
      },
    });
    for (let i = 0; i < 6; i++) await transfer(db, 'ann', 'bob', 1);
    expect(await bank.amounts()).toMatchObject({ ann: 94, bob: 106 });
  });

  test('loses no money to others', async () => {
    const db = client();
    const workers = [0, 1, 2, 3].map(async (seed) => {
      for (let i = 0; i < 5; i++) {
        const [from, to] = [OWNERS[(seed + i) % 6], OWNERS[(2 * seed + i + 1) % 6]];
        if (from !== to) await transfer(db, from as string, to as string, 3);
      }
    });
    await Promise.all(workers);
    expect(Object.values(await bank.amounts()).reduce((a, b) => a + b)).toBe(600);
  });

  test('throws an error of the server as it is', async () => {
    const failed = client().transaction((tx) => tx.query('SELECT nix FROM accounts'));
    await expect(failed).rejects.toBeInstanceOf(AtollError);
    await expect(failed).rejects.toMatchObject({ code: 'no-such-column' });
  });
});
