import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Forgetting } from '../../src/partition/forgetting.ts';
import { KEY_AHEAD_MS, KEY_RETENTION_MS, requestId } from '../../src/protocol/idempotency-key.ts';
import { LocalCluster } from '../harness/local-cluster.ts';

const DAY_ONE = 1_700_000_000_000;
let cluster: LocalCluster;
let forgetting: Forgetting;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: DAY_ONE });
  cluster = new LocalCluster(1);
  cluster.now = DAY_ONE;
  cluster.schema('CREATE TABLE t (k INTEGER PRIMARY KEY)');
  forgetting = new Forgetting(
    () => cluster.replica(1),
    () => null,
  );
});

afterEach(() => {
  vi.useRealTimers();
});

/** That many requests under keys of the first day. */
function write(count: number): void {
  for (let i = 0; i < count; i++) {
    const idempotency = { id: requestId(DAY_ONE, String(i)), hash: 'h', issuedMs: DAY_ONE };
    cluster.group([{ statements: [{ sql: 'DELETE FROM t WHERE k = 1' }], idempotency }]);
  }
}

const records = () => cluster.replica(1).port.query('SELECT count(*) FROM _atoll_requests').rows[0]?.[0];

test('records of requests go when it is time, some behind every so many writes, then behind each group until none is left', () => {
  write(300);
  forgetting.written(192);
  expect(records()).toBe(300);
  vi.setSystemTime(DAY_ONE + KEY_RETENTION_MS + KEY_AHEAD_MS + 10_000);
  forgetting.written(191);
  expect(records()).toBe(300);
  forgetting.written(1);
  expect(records()).toBe(172);
  forgetting.written(1);
  expect(records()).toBe(44);
  forgetting.written(1);
  expect(records()).toBe(0);
});
