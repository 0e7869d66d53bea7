import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { PartitionId } from '../../src/base/brand.ts';
import { ObjectPeers } from '../../src/objects/peers.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Peers of which each answers as it is told. */
function peers(answer: (signal: AbortSignal) => Promise<Response>): ObjectPeers {
  const stub = { fetch: (_url: string, { signal }: { signal: AbortSignal }) => answer(signal) };
  const namespace = { idFromName: (name: string) => name, get: () => stub };
  return new ObjectPeers(namespace as unknown as DurableObjectNamespace);
}

const ask = (of: ObjectPeers) => of.call('main', 1 as PartitionId, 'status', {}, 1_000);

test('a call leaves no timer behind, however it ends: an object may have 10,000', async () => {
  const answers = [
    () => Promise.resolve(Response.json({ fine: true })),
    () =>
      Promise.resolve(
        Response.json({ error: { code: 'busy', message: 'busy', outcome: 'none' } }, { status: 503 }),
      ),
    () => Promise.reject(new Error('reset')),
  ];
  // Its timer cannot be taken back.
  const lasting = vi.spyOn(AbortSignal, 'timeout');
  expect(await ask(peers(answers[0] as never))).toEqual({ fine: true });
  await expect(ask(peers(answers[1] as never))).rejects.toMatchObject({ code: 'busy' });
  await expect(ask(peers(answers[2] as never))).rejects.toMatchObject({
    code: 'unavailable',
    outcome: 'none',
  });
  expect(vi.getTimerCount()).toBe(0);
  expect(lasting).not.toHaveBeenCalled();
});

test('a peer that is silent is waited for as long as was said', async () => {
  const silent = (signal: AbortSignal) =>
    new Promise<Response>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  const asked = ask(peers(silent)).catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(999);
  expect(vi.getTimerCount()).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(await asked).toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('not within 1000 ms'),
  });
});
