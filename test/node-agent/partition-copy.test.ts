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
    append: () => copy.append({ head, data: new Uint8Array(0) }),
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
