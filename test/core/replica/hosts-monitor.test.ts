import { describe, expect, test } from 'vitest';
import { present } from '../../../src/base/assert.ts';
import { CLOCK_SKEW_MAX_MS } from '../../../src/core/network/joining.ts';
import { EDGE, VOTING_MS } from '../../../src/core/network/votes.ts';
import { acceptHost, drainHost } from '../../../src/core/replica/hosts.ts';
import { assignReplicas, setReplicasWanted } from '../../../src/core/replica/hosts-assignment.ts';
import { AWAY_MS, RETURN_MS, SILENT_MS } from '../../../src/core/replica/hosts-monitor.ts';
import { hostsView } from '../../../src/core/replica/hosts-view.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { GB, HostCluster, hostId } from './hosts-cluster.ts';

const found = (partitions?: number) => HostCluster.found(new NodeSqlitePort(':memory:'), partitions);

const [A, B] = ['a', 'b'].map(hostId) as [string, string];

const inSync = (partition: number, matched = 7) => ({ partition, matched, leaderLast: matched, lagMs: 0 });
const lagging = (partition: number) => ({ partition, matched: 7, leaderLast: 90, lagMs: 60_000 });

function joined(...hosts: string[]): HostCluster {
  const cluster = found();
  cluster.join(...hosts);
  return cluster;
}

describe('a heartbeat', () => {
  test('turns a host that has caught up to read, and one that falls behind to inactive', () => {
    const cluster = joined(A);
    expect(cluster.beat(A, [lagging(0)])).toMatchObject({
      kind: 'heard',
      status: 'inactive',
      changed: false,
    });
    expect(cluster.beat(A, [inSync(0)])).toMatchObject({
      before: 'inactive',
      status: 'read',
      changed: true,
      partitions: [0],
    });
    expect(cluster.beat(A, [inSync(0)])).toMatchObject({ status: 'read', changed: false });
    expect(cluster.beat(A, [lagging(0)])).toMatchObject({ status: 'inactive', changed: true });
  });

  test('that tells of a replica unlike its leader’s is noted once, and the host serves when it has a new one', () => {
    const cluster = joined(A);
    cluster.beatInSync(A);
    const differing = [{ partition: 0, at: 5, tables: ['note', 'post'] }];
    const noted = () =>
      cluster.port.query(
        "SELECT host, status_before, status_after, reason FROM atoll_host_events WHERE event = 'differed'",
      ).rows;
    expect(cluster.beat(A, [], { differing })).toMatchObject({ status: 'inactive', changed: true });
    expect(cluster.beat(A, [])).toMatchObject({ status: 'inactive' });
    const note = [
      A,
      'read',
      'read',
      "its replica of partition 0 was not the leader's as of commit 5: note, post",
    ];
    expect(noted()).toEqual([note]);
    expect(cluster.beat(A, [inSync(0)], { differing })).toMatchObject({ status: 'read' });
    expect(noted()).toEqual([note]);
    // It was made anew before it could say so.
    expect(cluster.beat(A, [inSync(0)], { differing: [{ partition: 0, at: 6, tables: [] }] })).toMatchObject({
      status: 'read',
    });
    expect(noted()).toHaveLength(2);
    cluster.beat(A, [inSync(0)], { differing: [{ partition: 99, at: 6, tables: [] }] });
    expect(noted()).toHaveLength(2);
  });

  test('of a proposed host is heard, of a stranger is not', () => {
    const cluster = found();
    expect(cluster.beat(A, [])).toEqual({ kind: 'no-member', status: null });
    cluster.propose(A);
    expect(cluster.beat(A, [])).toMatchObject({ kind: 'heard', status: 'proposal', partitions: [] });
  });

  test('with a clock that is off takes the host out of service until the clock is right', () => {
    const cluster = joined(A);
    cluster.beatInSync(A);
    const time = cluster.now + 3_600_000;
    expect(cluster.beat(A, [inSync(0)], { time })).toEqual({
      kind: 'clock-off',
      status: 'inactive',
      skewMs: 3_600_000,
      limitMs: CLOCK_SKEW_MAX_MS,
    });
    expect(cluster.beat(A, [inSync(0)])).toMatchObject({ kind: 'heard', status: 'read' });
  });

  test('reports of partitions that the host shall not have are ignored', () => {
    const cluster = joined(A);
    cluster.beat(A, [inSync(0), inSync(2)]);
    expect(cluster.system.network().hosts).toMatchObject([{ host: A, replicas: [0], loading: [] }, {}]);
  });

  test('without news is not in the log; samples are, once in a while, and are no new network information', () => {
    const cluster = joined(A, B);
    cluster.beatInSync(A, B);
    const { version } = cluster.system.network();
    const before = cluster.commits;
    cluster.pass(60_000, A, B);
    expect(cluster.commits - before).toBe(6);
    expect(cluster.system.network().version).toBe(version);
    const seen = cluster.rows('SELECT seen_at FROM atoll_host_metrics');
    for (const [at] of seen) expect(cluster.now - Date.parse(String(at))).toBeLessThanOrEqual(10_000);
    cluster.beat(A, [lagging(0)]);
    expect(cluster.system.network().version).toBe(cluster.commits);
  });

  test('from a new address moves the host there', () => {
    const cluster = joined(A);
    cluster.beat(A, [inSync(0)], { addresses: ['https://new:1'] });
    expect(cluster.system.network().hosts[0]).toMatchObject({ addresses: ['https://new:1'] });
  });
});

describe('silence', () => {
  test('makes a host inactive, and heartbeats that show it in sync make it read again', () => {
    const cluster = joined(A, B);
    cluster.beatInSync(A, B);
    const turns = cluster.pass(SILENT_MS + 5_000, B);
    expect(turns).toEqual([{ host: A, event: 'silent', before: 'read', after: 'inactive' }]);
    cluster.beatInSync(A);
    expect([A, B].map((host) => cluster.status(host))).toEqual(['read', 'read']);
  });

  test('that goes on makes it unavailable; it must answer several times to be trusted again', () => {
    const cluster = joined(A, B);
    cluster.beatInSync(A, B);
    cluster.pass(5 * 60_000, B);
    expect(cluster.status(A)).toBe('unavailable');
    expect(cluster.rows('SELECT outcome, count FROM atoll_reliability WHERE host = ?', A)).toEqual([
      ['timeout', 5],
    ]);
    cluster.restart();
    cluster.beatInSync(A);
    expect(cluster.status(A)).toBe('unavailable');
    cluster.pass(20_000, A, B);
    expect(cluster.status(A)).toBe('read');
  });

  test('beyond the threshold costs the membership', () => {
    const cluster = joined(A, B);
    cluster.beatInSync(A, B);
    cluster.pass(60_000, B);
    cluster.now += AWAY_MS;
    cluster.pass(10_000, B);
    expect(cluster.status(A)).toBe('removed');
    expect(cluster.rows('SELECT id_start FROM atoll_host_profiles WHERE host = ?', A)).toEqual([[null]]);
    expect(cluster.rows('SELECT * FROM atoll_replicas WHERE host = ?', A)).toEqual([]);
    expect(cluster.beat(A, [inSync(0)])).toEqual({ kind: 'no-member', status: 'removed' });
    expect(cluster.status(B)).toBe('read');
  });

  test('that a system partition finds when it comes back is no reason before hosts could find it', () => {
    const cluster = joined(A);
    cluster.beatInSync(A);
    cluster.pass(60_000);
    cluster.now += AWAY_MS;
    cluster.restart();
    cluster.pass(RETURN_MS - 5_000);
    expect(cluster.status(A)).toBe('unavailable');
    cluster.pass(5_000);
    expect(cluster.status(A)).toBe('removed');
  });

  test('of the system partition itself costs nobody the membership', () => {
    const cluster = joined(A, B);
    cluster.beatInSync(A, B);
    cluster.monitor.save(cluster.now);
    cluster.now += 2 * AWAY_MS;
    cluster.restart();
    cluster.pass(RETURN_MS + 10_000, B);
    expect(cluster.status(A)).toBe('unavailable');
    cluster.beatInSync(A);
    cluster.pass(60_000, A, B);
    expect([A, B].map((host) => cluster.status(host))).toEqual(['read', 'read']);
  });

  test('is judged by samples after a restart, which are not as new as heartbeats', () => {
    const cluster = joined(A);
    cluster.beatInSync(A);
    cluster.monitor.save(cluster.now);
    cluster.restart();
    expect(cluster.pass(SILENT_MS + 10_000)).toEqual([]);
    expect(cluster.pass(5_000)).toMatchObject([{ host: A, event: 'silent' }]);
  });

  test('of voters ends a proposal', () => {
    const cluster = found();
    cluster.propose(A);
    expect(cluster.pass(VOTING_MS)).toEqual([
      { host: A, event: 'refused', before: 'proposal', after: 'refused' },
    ]);
  });
});

test('calls that fail make a host unavailable, calls that succeed bring it back', () => {
  const cluster = joined(A);
  cluster.beatInSync(A);
  const call = (answered: boolean) => cluster.monitor.called(A, answered, cluster.now, 0.5);
  expect([call(false), call(false), call(false)]).toEqual([null, null, null]);
  expect(call(false)).toMatchObject({ event: 'unreliable', before: 'read', after: 'unavailable' });
  expect([call(true), call(true)]).toMatchObject([null, { event: 'reliable', after: 'inactive' }]);
  cluster.beatInSync(A);
  expect(cluster.status(A)).toBe('read');
});

test('a host whose failures were not written down before a restart comes back with its next answer', () => {
  const cluster = joined(A);
  for (let failed = 0; failed < 4; failed++) cluster.monitor.called(A, false, cluster.now, 0.5);
  expect(cluster.status(A)).toBe('unavailable');
  cluster.restart();
  cluster.beatInSync(A);
  cluster.beatInSync(A);
  expect(cluster.status(A)).toBe('read');
});

test('runs of answered and unanswered calls are kept, and outlive a restart', () => {
  const cluster = joined(A);
  for (const answered of [false, false, true, false, true]) {
    cluster.now += 1_000;
    cluster.monitor.called(A, answered, cluster.now, 0.5);
  }
  cluster.monitor.save(cluster.now);
  const before = cluster.monitor.reliabilityOf(A);
  expect(before?.history.map(({ outcome, count }) => [outcome, count])).toEqual([
    ['timeout', 2],
    ['success', 1],
    ['timeout', 1],
    ['success', 1],
  ]);
  cluster.restart();
  expect(cluster.monitor.reliabilityOf(A)).toEqual(before);
});

describe('the view of hosts', () => {
  test('shows the newest of everything, before it is in the tables', () => {
    const cluster = joined(A, B);
    setReplicasWanted(cluster.system, 1, cluster.now);
    cluster.beat(A, [inSync(0, 3)], { latencies: { [EDGE]: 30 } });
    cluster.beat(B, [inSync(0, 5)], { latencies: { [EDGE]: 40, [A]: 50, stranger: 1 } });
    const view = hostsView(cluster.system, cluster.monitor, cluster.now);
    const last = cluster.commits;
    expect(view).toMatchObject({ version: cluster.system.network().version, replicas: 1 });
    expect(view.hosts).toMatchObject([
      {
        host: EDGE,
        kind: 'edge',
        status: 'write',
        distanceMs: 0,
        latencies: { [A]: 30, [B]: 40 },
        replicas: [
          { partition: 0, role: 'leader', matched: last },
          { partition: 1 },
          { partition: 2 },
          { partition: 3 },
        ],
      },
      {
        host: A,
        status: 'read',
        reason: null,
        draining: false,
        addresses: [`http://${A}:1`],
        distanceMs: 30,
        direction: 0,
        freeBytes: 90 * GB,
        cpuRating: 100,
        unreliability: 0,
        latencies: { [EDGE]: 30, [B]: 50 },
        votes: { [EDGE]: true },
        replicas: [
          { partition: 0, role: 'learner', state: 'in-sync', matched: 3, lagEntries: last - 3, lagMs: 0 },
        ],
        responsibility: [{ partition: 0, confirmed: 3, awaitingPurge: 2 }],
      },
      {
        host: B,
        direction: expect.closeTo(Math.PI / 2),
        responsibility: [{ partition: 0, confirmed: 5, awaitingPurge: 0 }],
      },
    ]);
  });

  test('shows nothing of a replica that was taken from a host and is given back, until it is loaded', () => {
    const cluster = joined(A, B);
    const give = () => assignReplicas(cluster.system, 2, cluster.now);
    const first = () => {
      const { hosts } = hostsView(cluster.system, cluster.monitor, cluster.now);
      const { replicas, responsibility } = present(
        hosts.find(({ host }) => host === A),
        'a member',
      );
      const row = cluster.rows(
        'SELECT state, matched FROM atoll_replica_progress WHERE host = ?1 AND partition = 1',
        A,
      );
      return [replicas[1], responsibility[1], row];
    };
    give();
    cluster.beatInSync(A, B);
    const before = first();
    expect(before).toMatchObject([
      { partition: 1, state: 'in-sync', matched: 7 },
      { confirmed: 7 },
      [['in-sync', 7]],
    ]);
    cluster.beat(A, [inSync(0), inSync(1, 9), inSync(2), inSync(3)]);
    drainHost(cluster.system, A, cluster.now);
    give();
    acceptHost(cluster.system, A, cluster.now);
    give();
    cluster.monitor.save(cluster.now);
    expect(first()).toMatchObject([
      { partition: 1, state: 'loading', matched: 0 },
      { partition: 1, confirmed: 0 },
      [['loading', 0]],
    ]);
    cluster.beatInSync(A);
    expect(first()).toEqual(before);
  });

  test('shows after a restart what was sampled', () => {
    const cluster = joined(A);
    cluster.beatInSync(A);
    cluster.monitor.save(cluster.now);
    const { hosts } = hostsView(cluster.system, cluster.monitor, cluster.now);
    cluster.restart();
    const again = hostsView(cluster.system, cluster.monitor, cluster.now).hosts;
    expect(again).toEqual(hosts);
  });
});
