import { expect, test } from 'vitest';
import { fanOut } from '../../src/gateway/fan-out.ts';

test('results come in the order of the items, no more running at a time than allowed', async () => {
  let running = 0;
  let most = 0;
  const results = await fanOut([5, 1, 4, 2, 3], 2, async (item) => {
    most = Math.max(most, ++running);
    for (let turn = 0; turn < item; turn++) await Promise.resolve();
    running--;
    return item * 10;
  });
  expect(results).toEqual([50, 10, 40, 20, 30]);
  expect(most).toBe(2);
});

test('the first failure is told, ends what runs through its signal, and begins nothing more', async () => {
  const begun: number[] = [];
  const ended: number[] = [];
  const failing = fanOut([0, 1, 2, 3, 4], 3, (item, signal) => {
    begun.push(item);
    if (item === 1) return Promise.reject(new Error('first'));
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        ended.push(item);
        reject(new Error('second'));
      });
    });
  });
  await expect(failing).rejects.toThrow('first');
  expect(begun).toEqual([0, 1, 2]);
  expect(ended).toEqual([0, 2]);
});

test('nothing to ask is answered with nothing', async () => {
  expect(await fanOut([], 8, () => Promise.reject(new Error('asked')))).toEqual([]);
});
