import { expect, test } from 'vitest';
import type { CommitId, Timestamp } from '../../../src/base/brand.ts';
import { finishCommit } from '../../../src/core/log/append.ts';
import { createLog, dropLog } from '../../../src/core/log/capture.ts';
import { addLayout, readLayouts } from '../../../src/core/log/layout.ts';
import { purgeStep } from '../../../src/core/log/purge.ts';
import { createLogTables } from '../../../src/core/log/tables.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { describeTable } from './describe-table.ts';
import { inputAt } from './replay-property.ts';

function createPort(): NodeSqlitePort {
  const port = new NodeSqlitePort(':memory:');
  createLogTables(port);
  port.query('CREATE TABLE a(x); CREATE TABLE b(y, z)');
  return port;
}

test('a layout whose number a rollback took back is not remembered', () => {
  const port = createPort();
  const a = describeTable(port, 'a', 1);
  const b = describeTable(port, 'b', 2);
  expect(() =>
    port.transaction(() => {
      addLayout(port, a);
      expect(readLayouts(port).get(1)?.table).toBe('a');
      throw new Error('rolled back');
    }),
  ).toThrow('rolled back');
  expect(readLayouts(port).size).toBe(0);
  addLayout(port, b);
  expect(readLayouts(port).get(1)).toMatchObject({ table: 'b', columns: ['rowid', 'y', 'z'] });
});

test('layouts are read once as long as they do not change', () => {
  const port = createPort();
  createLog(port, describeTable(port, 'a', 1));
  const layouts = readLayouts(port);
  expect(readLayouts(port)).toBe(layouts);
  dropLog(port, describeTable(port, 'a', 1).id);
  expect(readLayouts(port).get(1)?.current).toBe(false);
});

test('a retired layout goes with its last image, but never the newest one', () => {
  const port = createPort();
  const a = describeTable(port, 'a', 1);
  const numbers = () => [...readLayouts(port).keys()];
  for (let time = 1; time <= 3; time++) {
    createLog(port, a);
    port.query('INSERT INTO a VALUES (1)');
    finishCommit(port, inputAt(time));
    dropLog(port, a.id);
  }
  const purge = (before: number) => {
    const olderThan: Timestamp = inputAt(before).timestamp;
    while (purgeStep(port, { olderThan, bytesMax: 1e9, floor: 4 as CommitId }));
  };
  expect(numbers()).toEqual([1, 2, 3]);
  purge(2);
  expect(numbers()).toEqual([2, 3]);
  purge(9);
  expect(numbers()).toEqual([3]);
  expect(addLayout(port, a).layout).toBe(4);
});
