import { expect, test } from 'vitest';
import { inObject } from '../../workerd/object-scratch.ts';
import { checkPast, checkPastOf } from './as-of-property.ts';
import { CORPUS } from './corpus.ts';

test('the past of random histories is exact, and reading it leaves nothing', async () => {
  const coverage = await inObject('as-of', (scratch) => checkPast(scratch, 40));
  for (const count of Object.values(coverage)) expect(count).toBeGreaterThan(0);
});

test.each(Object.keys(CORPUS))('regression: %s', async (name) => {
  const history = CORPUS[name];
  if (history === undefined) return;
  const { moments } = await inObject(`as-of ${name}`, (scratch) =>
    scratch((port) => checkPastOf(port, history, { moments: 0, changed: 0 })),
  );
  expect(moments).toBeGreaterThan(0);
});
