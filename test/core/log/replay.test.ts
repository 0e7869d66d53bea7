import { expect, test } from 'vitest';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { CORPUS } from './corpus.ts';
import { checkHistory, checkReplay, type Scratch } from './replay-property.ts';

const scratch: Scratch = (body) => {
  const port = new NodeSqlitePort(':memory:', { synchronous: 'OFF' });
  try {
    return body(port);
  } finally {
    port.close();
  }
};

test('apply, undo and redo of random histories are exact', () => {
  const coverage = checkReplay(scratch, 150);
  for (const count of Object.values(coverage)) expect(count).toBeGreaterThan(0);
});

test.each(Object.keys(CORPUS))('regression: %s', (name) => {
  const history = CORPUS[name];
  if (history !== undefined) expect(checkHistory(scratch, history).commits).toBeGreaterThan(0);
});
