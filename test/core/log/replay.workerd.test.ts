import { expect, test } from 'vitest';
import { inObject } from '../../workerd/object-scratch.ts';
import { CORPUS } from './corpus.ts';
import { checkHistory, checkReplay } from './replay-property.ts';

test('apply, undo and redo of random histories are exact', async () => {
  const coverage = await inObject('replay', (scratch) => checkReplay(scratch, 60));
  for (const count of Object.values(coverage)) expect(count).toBeGreaterThan(0);
});

test.each(Object.keys(CORPUS))('regression: %s', async (name) => {
  const history = CORPUS[name];
  if (history === undefined) return;
  const { commits } = await inObject(name, (scratch) => checkHistory(scratch, history));
  expect(commits).toBeGreaterThan(0);
});
