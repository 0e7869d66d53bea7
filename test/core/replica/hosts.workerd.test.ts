import { env, runInDurableObject } from 'cloudflare:test';
import { expect, test } from 'vitest';
import { removeHost } from '../../../src/core/replica/hosts.ts';
import { assignReplicas } from '../../../src/core/replica/hosts-assignment.ts';
import { hostsView } from '../../../src/core/replica/hosts-view.ts';
import { ObjectSqlitePort } from '../../../src/objects/sqlite-port.ts';
import { HostCluster, hostId } from './hosts-cluster.ts';

test('hosts join, are voted on, hold replicas, fall silent and leave in an object as on Node', async () => {
  const namespace = (env as { STORAGE: DurableObjectNamespace }).STORAGE;
  const [a, b] = [hostId('a'), hostId('b')];
  await runInDurableObject(namespace.get(namespace.idFromName('hosts')), (_, state) => {
    const cluster = HostCluster.found(new ObjectSqlitePort(state.storage));
    cluster.join(a, b);
    expect(assignReplicas(cluster.system, 2, cluster.now).given).toHaveLength(6);
    cluster.beatInSync(a, b);
    expect([a, b].map((host) => cluster.status(host))).toEqual(['read', 'read']);
    cluster.pass(60_000, b);
    expect([a, b].map((host) => cluster.status(host))).toEqual(['unavailable', 'read']);
    cluster.restart();
    cluster.pass(60_000, b);
    cluster.monitor.save(cluster.now);
    const { hosts } = hostsView(cluster.system, cluster.monitor, cluster.now);
    expect(hosts.map(({ host, votes }) => [host, Object.values(votes)])).toEqual([
      ['edge', []],
      [a, [true]],
      [b, [true]],
    ]);
    removeHost(cluster.system, a, cluster.now);
    expect(cluster.system.network().hosts).toMatchObject([
      { host: b, status: 'read', replicas: [0, 1, 2, 3], loading: [] },
      { host: 'edge' },
    ]);
  });
});
