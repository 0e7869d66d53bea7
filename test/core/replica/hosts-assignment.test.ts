import { describe, expect, test } from 'vitest';
import { acceptHost, drainHost, removeHost } from '../../../src/core/replica/hosts.ts';
import { assignReplicas, partitionsOf } from '../../../src/core/replica/hosts-assignment.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { HostCluster, hostId } from './hosts-cluster.ts';

const found = (partitions?: number) => HostCluster.found(new NodeSqlitePort(':memory:'), partitions);

const HOSTS = ['a', 'b', 'c', 'd'].map(hostId);
const [A, B] = HOSTS as [string, string];

/** Learners of users' partitions: `[partition, hosts]`. */
function held(cluster: HostCluster): [number, string[]][] {
  return cluster.system.partitionIds().map((partition) => {
    const rows = cluster.rows(
      `SELECT host FROM atoll_replicas WHERE partition = ? AND role = 'learner' ORDER BY host`,
      partition,
    );
    return [partition, rows.map(([host]) => String(host))];
  });
}

function assign(cluster: HostCluster, wanted: number) {
  return assignReplicas(cluster.system, wanted, cluster.now);
}

function settled(partitions: number, wanted: number, hosts: readonly string[] = HOSTS): HostCluster {
  const cluster = found(partitions);
  cluster.join(...hosts);
  assign(cluster, wanted);
  cluster.beatInSync(...hosts);
  return cluster;
}

describe('replicas', () => {
  test('of partition 0 are everywhere, of users’ partitions as many as wanted', () => {
    const cluster = settled(8, 2);
    for (const [, hosts] of held(cluster)) expect(hosts).toHaveLength(2);
    expect(new Set(held(cluster).flatMap(([, hosts]) => hosts)).size).toBeGreaterThan(2);
    const system = cluster.rows(`SELECT host FROM atoll_replicas WHERE partition = 0 ORDER BY host`);
    expect(system).toEqual(HOSTS.map((host) => [host]));
    for (const host of HOSTS) expect(cluster.status(host)).toBe('read');
  });

  test('stay where they are as long as nothing happens, and nothing is logged', () => {
    const cluster = settled(8, 2);
    const before = cluster.commits;
    expect(assign(cluster, 2)).toEqual({ given: [], taken: [], drained: [] });
    expect(cluster.commits).toBe(before);
  });

  test('are fewer than wanted where hosts are fewer', () => {
    const cluster = settled(2, 3, [A]);
    expect(held(cluster)).toEqual([
      [1, [A]],
      [2, [A]],
    ]);
  });

  test('come before they go: a copy is taken only when those that are wanted are in sync', () => {
    const cluster = settled(8, 2, [A, B]);
    const newcomer = hostId('c');
    cluster.join(newcomer);
    const { given, taken } = assign(cluster, 2);
    expect(given.length).toBeGreaterThan(0);
    expect(taken).toEqual([]);
    for (const [, hosts] of held(cluster)) expect(hosts).toEqual(expect.arrayContaining([A, B]));
    cluster.beatInSync(A, B, newcomer);
    expect(assign(cluster, 2).taken).toHaveLength(given.length);
    for (const [, hosts] of held(cluster)) expect(hosts).toHaveLength(2);
  });

  test('that a host loads do not stop it from serving the others', () => {
    const cluster = settled(8, 1, [A, B]);
    removeHost(cluster.system, A, cluster.now);
    const { given } = assign(cluster, 1);
    expect(given.length).toBeGreaterThan(0);
    const others = partitionsOf(cluster.port, B).filter(
      (each) => !given.some(({ partition }) => partition === each),
    );
    cluster.beat(B, [
      ...others.map((partition) => ({ partition, matched: 9, leaderLast: 9, lagMs: 0 })),
      ...given.map(({ partition }) => ({ partition, matched: 0, leaderLast: 9, lagMs: 60_000 })),
    ]);
    expect(cluster.status(B)).toBe('read');
    const [info] = cluster.system.network().hosts;
    expect(info).toMatchObject({ host: B, loading: given.map(({ partition }) => partition) });
  });

  test('that a host says nothing of are lost: no other copy goes for their sake, until they are there again', () => {
    const cluster = settled(1, 2, [A, B]);
    const alive = { matched: 9, leaderLast: 9, lagMs: 0 };
    expect(cluster.beat(A, [{ partition: 0, ...alive }])).toMatchObject({ changed: true, status: 'read' });
    const progress = () =>
      cluster.rows('SELECT state, matched FROM atoll_replica_progress WHERE partition = 1 AND host = ?1', A);
    expect(progress()).toEqual([['loading', 0]]);
    drainHost(cluster.system, B, cluster.now);
    expect(assign(cluster, 2).taken).toEqual([]);
    cluster.beat(A, [
      { partition: 0, ...alive },
      { partition: 1, ...alive },
    ]);
    expect(progress()).toEqual([['in-sync', 9]]);
    expect(assign(cluster, 2).taken).toEqual([{ partition: 1, host: B }]);
    expect(cluster.beat(A, [{ partition: 1, ...alive }])).toMatchObject({ status: 'inactive' });
  });

  test('of a removed host go to others', () => {
    const cluster = settled(8, 2);
    removeHost(cluster.system, A, cluster.now);
    const { given } = assign(cluster, 2);
    expect(given.every(({ host }) => host !== A)).toBe(true);
    for (const [, hosts] of held(cluster)) expect(hosts).toHaveLength(2);
  });

  test('of a drained host go elsewhere first; then it serves nothing, until it is accepted again', () => {
    const cluster = settled(8, 2);
    const before = held(cluster).filter(([, hosts]) => hosts.includes(A)).length;
    expect(before).toBeGreaterThan(0);
    drainHost(cluster.system, A, cluster.now);
    expect(assign(cluster, 2)).toMatchObject({ taken: [], drained: [] });
    expect(cluster.status(A)).toBe('read');
    cluster.beatInSync(...HOSTS);
    expect(assign(cluster, 2)).toMatchObject({ drained: [A] });
    expect(held(cluster).some(([, hosts]) => hosts.includes(A))).toBe(false);
    cluster.beatInSync(A);
    expect(cluster.status(A)).toBe('inactive');
    expect(acceptHost(cluster.system, A, cluster.now)).toEqual({ kind: 'done', status: 'inactive' });
    expect(assign(cluster, 2).given.some(({ host }) => host === A)).toBe(true);
  });

  test('do not go to a host that has no room for them', () => {
    const cluster = found(4);
    cluster.join(A);
    const offered = cluster.propose(B, { freeBytes: 128 * 2 ** 20 });
    if (offered.kind === 'proposed') {
      cluster.vote(offered.ballot.proposal, true, ...offered.ballot.electorate);
    }
    assign(cluster, 2);
    expect(cluster.status(B)).toBe('inactive');
    expect(held(cluster).map(([, hosts]) => hosts)).toEqual([[A], [A], [A], [A]]);
  });
});
