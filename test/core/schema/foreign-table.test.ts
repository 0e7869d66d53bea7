import { expect, test } from 'vitest';
import { System } from '../../../src/core/replica/system.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';

test('a table that the host keeps in the file is neither shown nor in the way of schema changes', () => {
  const port = new NodeSqlitePort(':memory:');
  const system = System.found(port, { database: 'main', history: 'h', partitions: 1, settings: {} }, 1);
  port.query('CREATE TABLE __host_object_name (name TEXT)');
  const proposal = system.propose(['CREATE TABLE t (k TEXT PRIMARY KEY)', 'CREATE INDEX i ON t (k)'], 2);
  expect(proposal?.change.catalogue.tables.map((table) => table.name)).toEqual(['t']);
});
