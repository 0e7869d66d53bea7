import { expect, test } from 'vitest';
import { RETENTION_MS } from '../../../src/core/log/purge.ts';
import { readHead } from '../../../src/core/log/tables.ts';
import { forgetOldEntries } from '../../../src/core/replica/retention.ts';
import { System } from '../../../src/core/replica/system.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';

const HOUR_ONE = 10 * RETENTION_MS;

function systemWithWrites(): System {
  const settings = {};
  const system = System.found(
    new NodeSqlitePort(':memory:'),
    { database: 'main', history: 'h', partitions: 1, settings },
    1,
  );
  for (let i = 0; i < 5; i++) system.confirmCreated(1 as never, HOUR_ONE + i);
  return system;
}

test('entries older than the retention are forgotten, younger ones stay', () => {
  const { replica } = systemWithWrites();
  const { lastCommitId } = readHead(replica.port);
  forgetOldEntries(replica, HOUR_ONE + RETENTION_MS, null, 10);
  expect(readHead(replica.port)).toMatchObject({ firstCommitId: 2, lastCommitId });
  forgetOldEntries(replica, HOUR_ONE + 2 * RETENTION_MS, null, 10);
  expect(readHead(replica.port)).toMatchObject({ firstCommitId: lastCommitId + 1, lastCommitId });
});

test('what another partition may still need is kept, however old', () => {
  const { replica } = systemWithWrites();
  forgetOldEntries(replica, HOUR_ONE + 2 * RETENTION_MS, 3, 10);
  expect(readHead(replica.port).firstCommitId).toBe(4);
});
