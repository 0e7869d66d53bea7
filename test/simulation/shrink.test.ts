import { expect, test } from 'vitest';
import { commandOf, runOf } from './command.ts';
import { FailedRun, type Run, wholeRun } from './run.ts';
import { shrink } from './shrink.ts';

const PLAN = Array.from({ length: 100 }, (_, at) => ({ at, name: `fault ${at}`, happen: () => undefined }));

function failure(message: string): FailedRun {
  return new FailedRun(new Error(message), { plan: PLAN, workload: 'w', clients: 6, history: [] });
}

test('what does not matter is left out, and another failure does not count', async () => {
  const run = async ({ without, operations, clients }: Run): Promise<FailedRun | null> => {
    if (without.has(90)) return failure('other: something else');
    const fails = ![17, 63].some((number) => without.has(number)) && operations >= 5 && clients >= 2;
    return fails ? failure('sum: 3') : null;
  };
  const { run: least, runs } = await shrink(wholeRun(7), failure('sum: 1'), run);
  expect(
    PLAN.keys()
      .filter((number) => !least.without.has(number))
      .toArray(),
  ).toEqual([17, 63, 90]);
  expect([least.operations, least.clients]).toEqual([8, 2]);
  expect(runs).toBeLessThan(120);
});

test('a command says which run it repeats', () => {
  const run: Run = { seed: 7, without: new Set([3, 0, 1, 2, 9]), operations: 8, clients: 2 };
  const command = commandOf(run, '');
  expect(command).toBe('npm run simulate -- --from 7 --seeds 1 --without 0-3,9 --operations 8 --clients 2');
  expect(runOf(7, { without: '0-3,9', operations: '8', clients: '2' })).toEqual(run);
  expect(runOf(7, { without: '', operations: '', clients: '' })).toEqual(wholeRun(7));
});
