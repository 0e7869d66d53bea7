import { expect, test } from 'vitest';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { CASES, checkExact } from './port-contract.ts';

test.each(CASES)('node:sqlite $name', ({ run, gives }) => {
  expect(run(new NodeSqlitePort(':memory:'))).toEqual(gives);
});

test('node:sqlite binds and reads exact values', () => {
  checkExact(new NodeSqlitePort(':memory:'), 300);
});
