import { expect, test } from 'vitest';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { checkReplication } from './replication-property.ts';
import { checkSource } from './source-property.ts';

function memory(): NodeSqlitePort {
  return new NodeSqlitePort(':memory:', { synchronous: 'OFF' });
}

test('a follower becomes equal to its leader, whatever happens to messages', () => {
  const coverage = checkReplication((body) => {
    const ports: NodeSqlitePort[] = [memory()];
    const open = () => {
      const port = memory();
      ports.push(port);
      return port;
    };
    try {
      return body({ leader: ports[0] as NodeSqlitePort, follower: open });
    } finally {
      for (const port of ports) port.close();
    }
  }, 100);
  for (const count of Object.values(coverage)) expect(count).toBeGreaterThan(0);
});

test('a leader sends its rows as of one commit, and its entries', () => {
  const coverage = checkSource((body) => {
    const port = memory();
    try {
      return body(port);
    } finally {
      port.close();
    }
  }, 60);
  for (const count of Object.values(coverage)) expect(count).toBeGreaterThan(0);
});
