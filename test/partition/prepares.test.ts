import { expect, test } from 'vitest';
import type { PartitionId } from '../../src/base/brand.ts';
import { Prepares } from '../../src/partition/prepares.ts';
import { AtollError, shownError } from '../../src/protocol/error.ts';
import { ONE_LENGTH_MAX } from '../../src/protocol/many.ts';
import type { PreparedMany, PrepareMany, PrepareRequest, Vote } from '../../src/protocol/transaction.ts';

const TWO = 2 as PartitionId;

function request(transaction: string, sql = 'UPDATE t SET v = ?', args: unknown = [1]): PrepareRequest {
  return { transaction, part: { statements: [{ sql, args }] } } as unknown as PrepareRequest;
}

function yes(transaction: string): Vote {
  return { vote: 'yes', preparedAt: transaction, read: false, reply: '' } as unknown as Vote;
}

type Answer = PreparedMany['answers'][number];

/** An anchor's prepares, and what it has sent: of each message its type and its attempts. */
function anchor(answer: (transaction: string) => Answer, knowsMany = true) {
  const sent: [string, ...string[]][] = [];
  const prepares = new Prepares({
    call: async (_partition, type, message) => {
      if (type === 'prepare') {
        const { transaction } = message as PrepareRequest;
        sent.push([type, transaction]);
        return yes(transaction) as never;
      }
      const names = (message as PrepareMany).requests.map(({ transaction }) => transaction);
      sent.push([type, ...names]);
      if (!knowsMany) throw new AtollError('not-found', 'no such message');
      return { answers: names.map(answer) } as never;
    },
    pause: () => Promise.resolve(),
    coalescing: { gatherMs: 0, eager: true },
  });
  const ask = (...names: string[]) =>
    Promise.allSettled(names.map((name) => prepares.ask(TWO, request(name), Date.now() + 1_000)));
  return { sent, ask, prepares };
}

const voted = (name: string) => ({ status: 'fulfilled', value: yes(name) });

test('prepares of the same moment go together, one that is alone as it always did', async () => {
  const { sent, ask } = anchor(yes);
  expect(await ask('a')).toEqual([voted('a')]);
  expect(await ask('b', 'c', 'd')).toEqual(['b', 'c', 'd'].map(voted));
  expect(sent).toEqual([
    ['prepare', 'a'],
    ['prepare-many', 'b', 'c', 'd'],
  ]);
});

test('each has its own vote; one that would have to wait goes again, by itself', async () => {
  const no = new AtollError('constraint', 'no', 'none', { sqlite: 'SQLITE_CONSTRAINT_CHECK' });
  const { sent, ask } = anchor((name) =>
    name === 'no' ? { error: shownError(no) } : name === 'later' ? null : yes(name),
  );
  expect(await ask('a', 'no', 'later')).toEqual([
    voted('a'),
    { status: 'rejected', reason: no },
    voted('later'),
  ]);
  expect(sent).toEqual([
    ['prepare-many', 'a', 'no', 'later'],
    ['prepare', 'later'],
  ]);
});

test('a participant that does not know such a message has done nothing: it gets each by itself', async () => {
  const { sent, ask } = anchor(yes, false);
  expect(await ask('a', 'b')).toEqual(['a', 'b'].map(voted));
  expect(await ask('c', 'd')).toEqual(['c', 'd'].map(voted));
  expect(sent.map(([type]) => type)).toEqual(['prepare-many', ...['a', 'b', 'c', 'd'].map(() => 'prepare')]);
});

test('those that read, are long, or have less patience than others go by themselves', async () => {
  const { sent, prepares } = anchor(yes);
  const soon = Date.now() + 1_000;
  const asked: [PrepareRequest, number][] = [
    [request('a'), soon],
    [request('b'), soon],
    [request('reads', 'SELECT 1'), soon],
    [request('answers', 'UPDATE t SET v = 1 RETURNING v'), soon],
    [request('long', 'UPDATE t SET v = ?', ['x'.repeat(ONE_LENGTH_MAX)]), soon],
    [{ ...request('tables'), references: '' }, soon],
    [request('impatient'), soon - 1_500],
  ];
  const votes = await Promise.all(asked.map(([each, deadline]) => prepares.ask(TWO, each, deadline)));
  expect(votes).toEqual(asked.map(([{ transaction }]) => yes(transaction)));
  const alone = ['reads', 'answers', 'long', 'tables', 'impatient'].map((name) => ['prepare', name]);
  expect(sent.toSorted()).toEqual([...alone, ['prepare-many', 'a', 'b']].toSorted());
});
