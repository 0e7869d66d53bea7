import { expect, test } from 'vitest';
import { RETENTION_MS } from '../../../src/core/log/purge.ts';
import { readHead } from '../../../src/core/log/tables.ts';
import { FOLLOWER_BYTES_MAX } from '../../../src/core/replica/followers.ts';
import { READ_HOLD_MS } from '../../../src/core/replica/open-reads.ts';
import {
  forgetOldEntries,
  heldAtMost,
  measureLog,
  readRetention,
  setRetention,
} from '../../../src/core/replica/retention.ts';
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

test('a retention that is set counts instead, and travels in the log', () => {
  const { replica } = systemWithWrites();
  expect(readRetention(replica.port)).toEqual({ milliseconds: RETENTION_MS, bytes: 268_435_456 });
  setRetention(replica, { milliseconds: 2 * RETENTION_MS }, HOUR_ONE + 10);
  setRetention(replica, { bytes: 5_000_000 }, HOUR_ONE + 11);
  expect(readRetention(replica.port)).toEqual({ milliseconds: 2 * RETENTION_MS, bytes: 5_000_000 });
  forgetOldEntries(replica, HOUR_ONE + 2 * RETENTION_MS, null, 10);
  expect(readHead(replica.port).firstCommitId).toBe(2);
  setRetention(replica, { milliseconds: 60_000 }, HOUR_ONE + 12);
  const { lastCommitId } = readHead(replica.port);
  forgetOldEntries(replica, HOUR_ONE + 60_010, null, 10);
  // What sets it is younger than a minute.
  expect(readHead(replica.port).firstCommitId).toBe(lastCommitId - 2);
});

test('what the next page of an open read needs is kept, for a while', () => {
  const { replica } = systemWithWrites();
  const { port } = replica;
  const at = String(port.query('SELECT timestamp FROM _atoll_commits WHERE commit_id = 3').rows[0]?.[0]);
  setRetention(replica, { milliseconds: 60_000 }, HOUR_ONE + 20);
  const late = HOUR_ONE + RETENTION_MS - READ_HOLD_MS - 1_000;
  replica.openReads.note(at as never, late);
  replica.openReads.note('~' as never, late + 1_000);
  forgetOldEntries(replica, late, null, 10);
  expect(readHead(port).firstCommitId).toBe(4);
  const { lastCommitId } = readHead(port);
  expect(measureLog(replica, late, null).held).toEqual({ followers: 0, reads: lastCommitId - 3, feed: 0 });
  forgetOldEntries(replica, late + READ_HOLD_MS - 1, null, 10);
  expect(readHead(port).firstCommitId).toBe(4);
  forgetOldEntries(replica, late + READ_HOLD_MS, null, 10);
  expect(readHead(port).firstCommitId).toBe(lastCommitId + 1);
});

test('nothing older than the bound is kept for pages', () => {
  expect(heldAtMost({ milliseconds: 60_000, bytes: 1 })).toEqual({
    milliseconds: RETENTION_MS,
    bytes: FOLLOWER_BYTES_MAX,
  });
  const { replica } = systemWithWrites();
  const { lastCommitId } = readHead(replica.port);
  const late = HOUR_ONE + RETENTION_MS + 100;
  replica.openReads.note('', late);
  forgetOldEntries(replica, late, null, 10);
  expect(readHead(replica.port).firstCommitId).toBe(lastCommitId + 1);
});
