import { expect, test } from 'vitest';
import { bank } from '../simulation/workloads/bank.ts';
import { listAppend } from '../simulation/workloads/list-append.ts';
import { runChaos } from './chaos.ts';

const SHORT = { seed: 1, clients: 16, faults: 4, progress: 30 };

test('money over partitions, while workerd is killed: nothing is lost, doubled or half', async () => {
  const { violations, acknowledged } = await runChaos(bank(), SHORT);
  expect(violations).toEqual([]);
  expect(acknowledged).toBeGreaterThan(100);
}, 180_000);

test('lists over partitions, while workerd is killed: strictly serializable', async () => {
  const { violations, acknowledged } = await runChaos(listAppend(), SHORT);
  expect(violations).toEqual([]);
  expect(acknowledged).toBeGreaterThan(100);
}, 180_000);
