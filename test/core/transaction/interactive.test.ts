import { describe, expect, test } from 'vitest';
import type { Epoch, PartitionId, SchemaVersion } from '../../../src/base/brand.ts';
import { IDLE_MS, Interactive, LIFE_MS, STATEMENTS_MAX } from '../../../src/core/transaction/interactive.ts';
import { formatInteractiveId, parseInteractiveId } from '../../../src/core/transaction/interactive-id.ts';
import type { InteractivePart } from '../../../src/protocol/interactive.ts';

const BEGUN = 1_700_000_000_000;
const ID = { name: '0123456789abcdef01234567', schema: 3 as SchemaVersion, memory: 7, begunMs: BEGUN };
const ANSWER = { kind: 'answers', replies: ['{}'] } as const;

const begun = () => new Interactive(ID, 'somebody');
const part = (partition: number, read: boolean): InteractivePart => ({
  partition: partition as PartitionId,
  epoch: 1 as Epoch,
  read,
  statement: { sql: '' },
});
/** One request that does nothing. */
const use = (transaction: Interactive, now: number) => {
  transaction.enter(now);
  transaction.leave(now);
};

test('an id says what it was made of, and nothing else is one', () => {
  expect(parseInteractiveId(formatInteractiveId(ID))).toEqual(ID);
  for (const text of ['', ID.name, `${ID.name}-1-2`, `${ID.name}-1-2-3-4`, `${ID.name.toUpperCase()}-1-2-3`])
    expect(parseInteractiveId(text)).toBeNull();
});

describe('a transaction', () => {
  test('ends when it is not used for a while, and at last in any case', () => {
    const idle = begun();
    use(idle, BEGUN + IDLE_MS - 1);
    use(idle, BEGUN + 2 * IDLE_MS - 2);
    expect(() => idle.enter(BEGUN + 3 * IDLE_MS - 2)).toThrow('expired, 60 s without a request');
    const busy = begun();
    for (let now = BEGUN; now < BEGUN + LIFE_MS; now += IDLE_MS / 2) use(busy, now);
    expect(() => busy.enter(BEGUN + LIFE_MS)).toThrow('expired, 300 s after it began');
  });

  test('does not expire while a request is under way, and is forgotten long after its end', () => {
    const transaction = begun();
    transaction.enter(BEGUN);
    expect(transaction.expire(BEGUN + LIFE_MS)).toBe(false);
    transaction.leave(BEGUN + LIFE_MS);
    expect(transaction.expire(BEGUN + LIFE_MS)).toBe(true);
    expect(transaction.isForgotten(BEGUN + LIFE_MS + 1)).toBe(false);
    expect(transaction.isForgotten(BEGUN + 3 * LIFE_MS)).toBe(true);
  });

  test('takes one request at a time', () => {
    const transaction = begun();
    transaction.enter(BEGUN);
    expect(() => transaction.enter(BEGUN)).toThrow('one after another');
    transaction.leave(BEGUN);
    use(transaction, BEGUN);
  });

  test('has a bounded number of statements', () => {
    const transaction = begun();
    for (let i = 0; i < STATEMENTS_MAX; i++) transaction.count();
    expect(() => transaction.count()).toThrow('1000 statements');
  });

  test('answers a repeat as before, and no gap', () => {
    const transaction = begun();
    expect(transaction.repeated(1, 'a')).toBeNull();
    transaction.answered(1, 'a', ANSWER, 1_000);
    expect(transaction.repeated(1, 'a')).toBe(ANSWER);
    expect(() => transaction.repeated(1, 'b')).toThrow('another statement');
    expect(() => transaction.repeated(3, 'c')).toThrow('without gaps');
    expect(transaction.repeated(2, 'c')).toBeNull();
    transaction.answered(2, 'c', ANSWER, 1);
    expect(() => transaction.repeated(2, 'c')).toThrow('too large to be given twice');
  });

  test('tells a partition once what was undone', () => {
    const transaction = begun();
    const [first, second] = [1 as PartitionId, 2 as PartitionId];
    transaction.next();
    transaction.evaluated(part(1, false), 's1');
    transaction.savepoint('savepoint', 'Here');
    transaction.next();
    transaction.evaluated(part(1, false), 's1');
    transaction.next();
    transaction.evaluated(part(2, true), 's2');
    expect(transaction.savepoint('rollback-to', 'HERE')).toBeNull();
    expect(transaction.reference(first)).toMatchObject({ script: 's1', count: 2, undone: [[2, 3]] });
    transaction.next();
    transaction.evaluated(part(1, false), 's1');
    expect(transaction.reference(first)).toMatchObject({ count: 3, undone: [] });
    expect(transaction.reference(second)).toMatchObject({ script: 's2', count: 1, undone: [[2, 3]] });
    expect(transaction.reference(9 as PartitionId)).toMatchObject({ script: null, count: 0 });
    expect(transaction.savepoint('release', 'here')).toBeNull();
    expect(transaction.savepoint('rollback-to', 'here')?.message).toBe('no such savepoint: here');
  });

  test('names those first that it has written', () => {
    const transaction = begun();
    for (const each of [part(1, true), part(3, false), part(2, false), part(4, true), part(4, false)])
      transaction.evaluated(each, 's');
    const names = transaction.participants.map(({ partition, read }) => [partition, read]);
    expect(names).toEqual([
      [2, false],
      [3, false],
      [4, false],
      [1, true],
    ]);
  });
});
