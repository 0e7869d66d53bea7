import { expect, test } from 'vitest';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { checkPast, checkPastOf } from './as-of-property.ts';
import { CORPUS } from './corpus.ts';
import type { Scratch } from './replay-property.ts';

const scratch: Scratch = (body) => {
  const port = new NodeSqlitePort(':memory:', { synchronous: 'OFF' });
  try {
    return body(port);
  } finally {
    port.close();
  }
};

test('the past of random histories is exact, and reading it leaves nothing', () => {
  const coverage = checkPast(scratch, 100);
  for (const count of Object.values(coverage)) expect(count).toBeGreaterThan(0);
});

test.each(Object.keys(CORPUS))('regression: %s', (name) => {
  const history = CORPUS[name];
  if (history === undefined) return;
  expect(scratch((port) => checkPastOf(port, history, { moments: 0, changed: 0 })).moments).toBeGreaterThan(
    0,
  );
});
