import { beforeEach, expect, test } from 'vitest';
import { Comparisons } from '../../src/node-agent/replication/comparisons.ts';
import type { Compared, PartitionCopy } from '../../src/node-agent/replication/partition-copy.ts';

const HOUR = 3_600_000;
const MINUTE = 60_000;
const STEP = 5_000;

/** What the schedule sees of a replica. */
class Copy {
  isInSync = true;
  isUnproved = false;
  readonly partition: number;
  readonly compared: number[] = [];
  result: Compared = { result: 'equal', at: 7 } as Compared;

  constructor(partition: number) {
    this.partition = partition;
  }

  async compare(): Promise<Compared> {
    this.compared.push(now);
    if (this.result.result === 'equal') this.isUnproved = false;
    // It is made anew.
    if (this.result.result === 'different') this.isUnproved = true;
    return this.result;
  }
}

/** Jitter, one after the other. */
let chances: readonly number[];
let chance: number;
let now: number;
let copies: Copy[];
let comparisons: Comparisons;

beforeEach(() => {
  now = 1_000_000;
  chances = [0.5];
  chance = 0;
  copies = [new Copy(0), new Copy(1)];
  comparisons = new Comparisons(
    () => copies as unknown as PartitionCopy[],
    6 * HOUR,
    () => undefined,
    { clock: () => now, chance: () => chances[chance++ % chances.length] as number },
  );
});

/** Lets time pass as an agent's timer does. */
async function pass(milliseconds: number): Promise<void> {
  const end = now + milliseconds;
  for (; now < end; now += STEP) await comparisons.tick();
}

const different = (at: number) =>
  ({ result: 'different', at, tables: ['note'], ranges: 1 }) as unknown as Compared;

test('each replica has its turn within an interval and a half, again and again', async () => {
  chances = [0, 0.999, 0.3, 0.7, 0.5];
  await pass(48 * HOUR);
  for (const { compared } of copies) {
    expect(compared.length).toBeGreaterThanOrEqual(48 / 9 - 1);
    expect(compared.length).toBeLessThanOrEqual(48 / 3 + 1);
  }
  expect(comparisons.counts).toMatchObject({ equal: copies.flatMap(({ compared }) => compared).length });
});

test('one that is not in sync waits until it is', async () => {
  const [copy] = copies as [Copy];
  copy.isInSync = false;
  await pass(12 * HOUR);
  expect(copy.compared).toEqual([]);
  copy.isInSync = true;
  await pass(STEP);
  expect(copy.compared).toHaveLength(1);
});

test('one that was loaded, or whose process was killed, is compared soon, once', async () => {
  const [copy] = copies as [Copy];
  await pass(8 * HOUR);
  const before = copy.compared.length;
  copy.isUnproved = true;
  await pass(1.5 * MINUTE + STEP);
  expect(copy.compared).toHaveLength(before + 1);
  await pass(2 * HOUR);
  expect(copy.compared).toHaveLength(before + 1);
});

test('what could not be compared is tried again soon', async () => {
  const [copy] = copies as [Copy];
  copy.result = { result: 'gone' };
  await pass(6 * HOUR);
  const tried = copy.compared.length;
  await pass(10 * MINUTE);
  expect(copy.compared.length - tried).toBeGreaterThanOrEqual(6);
});

test('a difference is told until that was heard; a replica that differs again is not made anew every minute', async () => {
  const [copy] = copies as [Copy];
  copy.result = different(8);
  await pass(6 * HOUR + 2 * MINUTE);
  expect(copy.compared).toHaveLength(2);
  const told = comparisons.untold;
  expect(told).toEqual([
    { partition: 0, at: 8, tables: ['note'] },
    { partition: 0, at: 8, tables: ['note'] },
  ]);
  await pass(2 * HOUR);
  expect(copy.compared).toHaveLength(2);
  comparisons.told(told.slice(0, 1));
  expect(comparisons.untold).toHaveLength(1);
});
