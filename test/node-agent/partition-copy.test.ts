import { expect, test, vi } from 'vitest';
import type { PartitionId } from '../../src/base/brand.ts';
import { PartitionCopy } from '../../src/node-agent/replication/partition-copy.ts';
import { StorageError } from '../../src/node-agent/storage/calls.ts';

const position = (commitId: number) => ({ commitId, term: 1, timestamp: '', offset: 0 });

/** A replica that follows, whose storage answers when the test says so. */
async function following() {
  const asked: string[] = [];
  const told: unknown[] = [];
  let sync = Promise.withResolvers<void>();
  const storage = {
    call: (_file: string, method: string): Promise<unknown> => {
      asked.push(method);
      if (method === 'state') return Promise.resolve({ position: position(1), snapshot: null, sizeBytes: 1 });
      if (method === 'append') return Promise.resolve({ kind: 'appended', position: position(2) });
      return sync.promise;
    },
  };
  const link = {
    isOpen: true,
    call: async () => ({ head: { next: 'entries', last: 1 }, data: new Uint8Array(0) }),
    event: (type: string, head: object) => told.push([type, head]),
  };
  const copy = new PartitionCopy({
    partition: 1 as PartitionId,
    file: 'main/1.sqlite',
    storage: storage as never,
    log: () => undefined,
  });
  const end = Promise.withResolvers<void>();
  const followed = copy.follow({ link, closed: end.promise } as never);
  await vi.waitFor(() => expect(asked).toEqual(['state']));
  const head = { partition: 1, previous: { commitId: 1, term: 1 }, piece: null, last: 2 };
  return {
    asked,
    told,
    copy,
    append: (time?: number) =>
      copy.append({ head: { ...head, ...(time !== undefined && { time }) }, data: new Uint8Array(0) }),
    durable: () => sync.resolve(),
    failed: (error: unknown) => {
      sync.reject(error);
      sync = Promise.withResolvers();
    },
    end: () => {
      link.isOpen = false;
      end.resolve();
      return followed;
    },
  };
}

test('a leader is told of entries once they are on the disk', async () => {
  const { asked, told, append, durable, end } = await following();
  append();
  await vi.waitFor(() => expect(asked).toEqual(['state', 'append', 'sync']));
  expect(told).toEqual([]);
  durable();
  const appended = { partition: 1, kind: 'appended', position: position(2) };
  await vi.waitFor(() => expect(told).toEqual([['appended', appended]]));
  await end();
});

test('and never of those that are not: the replica begins anew from what is', async () => {
  const { asked, told, append, failed, end } = await following();
  append();
  await vi.waitFor(() => expect(asked).toEqual(['state', 'append', 'sync']));
  failed(new StorageError({ kind: 'corrupt', message: 'it cannot be made durable' }));
  await vi.waitFor(() => expect(asked).toEqual(['state', 'append', 'sync', 'state']));
  expect(told).toEqual([]);
  await end();
});

test('entries that were long on their way say what there was when they were sent', async () => {
  const { copy, told, append, durable, end } = await following();
  const before = copy.caughtUpAt ?? 0;
  const now = vi.spyOn(Date, 'now').mockReturnValue(before + 9_000);
  try {
    durable();
    append(before + 1_000);
    await vi.waitFor(() => expect(told).toHaveLength(1));
    expect(copy.caughtUpAt).toBe(before + 1_000);
    // A clock that is ahead proves nothing of what is to come.
    append(before + 60_000);
    await vi.waitFor(() => expect(copy.caughtUpAt).toBe(before + 9_000));
  } finally {
    now.mockRestore();
  }
  await end();
});

/** A replica that follows a leader, which says when the test does where its log ends. */
function reconnecting(storage: object) {
  const copy = new PartitionCopy({
    partition: 1 as PartitionId,
    file: 'main/1.sqlite',
    storage: storage as never,
    log: () => undefined,
  });
  /** Follows once; gives what is to be answered, and the end. */
  const follow = (answers: Readonly<Record<string, unknown>>) => {
    const leader = Promise.withResolvers<number>();
    const end = Promise.withResolvers<void>();
    const link = {
      isOpen: true,
      event: () => undefined,
      call: async (type: string, { position }: { position?: { commitId: number } }) => {
        if (type !== 'follow') return { head: answers[type] ?? {}, data: Buffer.from('{}') };
        const last = await leader.promise;
        const next = (position?.commitId ?? 0) > last ? 'snapshot' : 'entries';
        return { head: { next, last }, data: new Uint8Array(0) };
      },
    };
    const followed = copy.follow({ link, closed: end.promise } as never);
    return {
      answer: leader.resolve,
      end: () => {
        link.isOpen = false;
        leader.resolve(1_000);
        end.resolve();
        return followed;
      },
    };
  };
  return { copy, follow };
}

const at100 = {
  call: async () => ({ position: position(100), snapshot: null, sizeBytes: 1, wasCut: false }),
};

test('a replica has caught up only when its leader has said where its log ends', async () => {
  const { copy, follow } = reconnecting(at100);
  const first = follow({});
  await vi.waitFor(() => expect(copy.phase).toBe('following'));
  expect([copy.isInSync, copy.lagMs(Date.now())]).toEqual([false, null]);
  first.answer(100);
  await vi.waitFor(() => expect(copy.isInSync).toBe(true));
  await first.end();
  const again = follow({});
  await vi.waitFor(() => expect(copy.phase).toBe('following'));
  expect(copy.isInSync).toBe(false);
  again.answer(250);
  await vi.waitFor(() => expect(copy.leaderLast).toBe(250));
  expect(copy.isInSync).toBe(false);
  await again.end();
});

test('a leader that was brought back to an older state is caught up with', async () => {
  let here = 100;
  const { copy, follow } = reconnecting({
    call: async (_: string, method: string) => {
      if (method === 'beginSnapshot') return { head: { base: { commitId: 50 } }, cursor: null };
      if (method === 'finishSnapshot') here = 50;
      return { position: position(here), snapshot: null, sizeBytes: 1, wasCut: false };
    },
  });
  const first = follow({});
  first.answer(100);
  await vi.waitFor(() => expect(copy.isInSync).toBe(true));
  await first.end();
  const again = follow({ 'snapshot-open': { snapshot: {} } });
  again.answer(50);
  await vi.waitFor(() => expect(copy.isInSync).toBe(true));
  expect([here, copy.leaderLast]).toEqual([50, 50]);
  await again.end();
});

test('a replica whose file a read finds damaged has nothing until it is loaded anew', async () => {
  const { copy, asked, end } = await following();
  expect(copy.position).not.toBeNull();
  copy.failed(new StorageError({ kind: 'defect', message: 'a statement' }));
  expect(copy.position).not.toBeNull();
  copy.failed(new StorageError({ kind: 'corrupt', message: 'the file is damaged' }));
  expect([copy.position, copy.isInSync]).toEqual([null, false]);
  await vi.waitFor(() => expect(asked).toEqual(['state', 'state']), 5_000);
  await end();
});
