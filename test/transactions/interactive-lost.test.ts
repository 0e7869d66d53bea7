import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Reply } from '../cluster/cluster.ts';
import { ADD, AMOUNT, Bank, expectRefused, OWNERS } from './bank.ts';

let bank: Bank;

beforeAll(async () => {
  bank = await Bank.open();
});
afterAll(() => bank.cluster.dispose());
beforeEach(() => bank.reset());

describe('what is lost', () => {
  test('in a partition that was restarted ends the transaction', async () => {
    const transaction = await bank.begin();
    for (const owner of OWNERS) await transaction.run(ADD, [10, owner]);
    for (const partition of [1, 2, 3, 4]) await bank.cluster.reset(partition);
    expectRefused(
      await transaction.send(AMOUNT, ['ann']),
      409,
      'conflict',
      /restarted.*run the transaction again/,
    );
    expectRefused(await transaction.commit(), 409, 'conflict', /restarted.*run the transaction again/);
    expect(Object.values(await bank.amounts())).toEqual(OWNERS.map(() => 100));
  });

  test('by the keeper after a commit is found in the logs', async () => {
    for (const owners of [['ann'], OWNERS]) {
      const transaction = await bank.begin();
      for (const owner of owners) await transaction.run(ADD, [10, owner]);
      expect((await transaction.commit()).status).toBe(200);
      for (const partition of [1, 2, 3, 4]) await bank.cluster.reset(partition);
      const again = await transaction.commit();
      expect([again.status, again.json.outcome], again.text).toEqual([200, 'committed']);
    }
    expect(await bank.amounts()).toMatchObject({ ann: 120, bob: 110 });
  });

  test('on the way of a commit is told when it is asked for once more', async () => {
    for (const fault of ['reset-before', 'reset-after'] as const) {
      for (const on of ['script-commit', 'interactive-commit']) {
        const transaction = await bank.begin();
        const before = (await bank.amounts()).ann as number;
        await transaction.run(ADD, [1, 'ann']);
        for (const partition of [1, 2, 3, 4]) await bank.cluster.rpc(partition, 'fault', { fault, on });
        const replies = [await transaction.commit(), await transaction.commit(), await transaction.commit()];
        for (const partition of [1, 2, 3, 4]) await bank.cluster.rpc(partition, 'fault', { fault: 'none' });
        const last = replies.at(-1) as Reply;
        const now = (await bank.amounts()).ann as number;
        if (last.status === 200) expect(now).toBe(before + 1);
        else {
          expect(last.json.error.outcome, last.text).toBe('none');
          expect(now).toBe(before);
        }
        for (const { status, json } of replies) {
          if (status === 200) expect(now).toBe(before + 1);
          else if (json.error.outcome === 'none') expect(now).toBe(before);
        }
      }
    }
  });

  test('in a crowd of commits is done once, and nobody is told that it failed', async () => {
    const transaction = await bank.begin();
    for (const owner of OWNERS) await transaction.run(ADD, [10, owner]);
    const replies = await Promise.all(Array.from({ length: 5 }, () => transaction.commit()));
    for (const { status, json, text } of replies)
      expect([200, 'unknown'], text).toContain(status === 200 ? status : json.error.outcome);
    expect((await transaction.commit()).status).toBe(200);
    expect(Object.values(await bank.amounts())).toEqual(OWNERS.map(() => 110));
  });
});
