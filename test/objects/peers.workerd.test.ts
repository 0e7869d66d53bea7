import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { PartitionId } from '../../src/base/brand.ts';
import { ObjectPeers } from '../../src/objects/peers.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Peers that answer like this. */
function peers(answer: () => Promise<Response>): ObjectPeers {
  const namespace = { idFromName: (name: string) => name, get: () => ({ fetch: answer }) };
  return new ObjectPeers(namespace as unknown as DurableObjectNamespace);
}

const ask = (of: ObjectPeers, milliseconds = 1_000) =>
  of.call('main', 1 as PartitionId, 'status', {}, milliseconds);
const never = () => new Promise<Response>(() => {});

test('calls leave no timer behind, however they end: an object may have 10,000', async () => {
  // Its timer cannot be taken back.
  const lasting = vi.spyOn(AbortSignal, 'timeout');
  const busy = { error: { code: 'busy', message: 'busy', outcome: 'none' } };
  let next = (): Promise<Response> => Promise.resolve(Response.json({ fine: true }));
  const asked = peers(() => next());
  expect(await ask(asked)).toEqual({ fine: true });
  next = () => Promise.resolve(Response.json(busy, { status: 503 }));
  await expect(ask(asked)).rejects.toMatchObject({ code: 'busy' });
  next = () => Promise.reject(new Error('reset'));
  await expect(ask(asked)).rejects.toMatchObject({ code: 'unavailable', outcome: 'none' });
  expect(vi.getTimerCount()).toBe(1);
  await vi.advanceTimersByTimeAsync(250);
  expect(vi.getTimerCount()).toBe(0);
  expect(lasting).not.toHaveBeenCalled();
});

test('a thousand calls that wait have one timer', async () => {
  const asked = peers(never);
  const calls = Array.from({ length: 1_000 }, () => ask(asked).catch((error: unknown) => error));
  await vi.advanceTimersByTimeAsync(100);
  expect(vi.getTimerCount()).toBe(1);
  await vi.advanceTimersByTimeAsync(1_000);
  for (const late of await Promise.all(calls)) expect(late).toMatchObject({ code: 'unavailable' });
});

test('a peer that is silent is waited for as long as was said, to a quarter of a second', async () => {
  const asked = peers(never);
  let late: unknown = null;
  const waiting = ask(asked).catch((error: unknown) => {
    late = error;
  });
  void ask(asked, 5_000).catch(() => {});
  await vi.advanceTimersByTimeAsync(999);
  expect(late).toBeNull();
  await vi.advanceTimersByTimeAsync(251);
  await waiting;
  expect(late).toMatchObject({
    code: 'unavailable',
    outcome: 'none',
    message: expect.stringContaining('not within 1000 ms'),
  });
  // The other one is waited for still.
  expect(vi.getTimerCount()).toBe(1);
});
