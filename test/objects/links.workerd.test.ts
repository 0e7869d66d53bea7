import { evictDurableObject } from 'cloudflare:test';
import { describe, expect, test } from 'vitest';
import { decodeCommit } from '../../src/core/log/encoding.ts';
import { decodeBatch } from '../../src/core/replication/shipping.ts';
import { OutsideHost, type OutsideLink } from '../workerd/outside-host.ts';
import { clusterName, partition, Router, tell } from '../workerd/router.ts';

const offer = (host: OutsideHost) => ({
  host: host.key.host,
  name: 'a test',
  publicKey: host.key.publicKey,
  addresses: [],
  database: clusterName(),
  history: null,
  time: Date.now(),
  freeBytes: 1e12,
  totalBytes: 2e12,
  cpuRating: 100,
});

const beat = (replicas: object[] = []) => ({
  time: Date.now(),
  freeBytes: 1e12,
  totalBytes: 2e12,
  heldBytes: 0,
  cpuRating: 100,
  latencies: { edge: 1 },
  replicas,
});

async function member(): Promise<{ host: OutsideHost; system: OutsideLink }> {
  const host = await OutsideHost.create(clusterName());
  const system = await host.dial(0);
  await system.call('join', offer(host));
  return { host, system };
}

/** Ids of the entries that come next, and the answer that they are durable. */
async function taken(link: OutsideLink): Promise<number[]> {
  const { head, data } = await link.event('append');
  const { entries } = decodeBatch(head, data);
  const headers = entries.map((entry) => decodeCommit(entry).header);
  const last = headers.at(-1);
  link.link.event('appended', {
    partition: link.partition,
    kind: 'appended',
    position: { commitId: last?.commitId, term: last?.term, timestamp: last?.timestamp, offset: 0 },
  });
  return headers.map(({ commitId }) => commitId);
}

describe('a host outside', () => {
  test('joins by the vote of the edge, and is told which replicas it shall have', async () => {
    await Router.found(2);
    const host = await OutsideHost.create(clusterName());
    const system = await host.dial(0);
    expect(await system.call('join', offer(host))).toMatchObject({ status: 'inactive', refusal: null });
    expect(await system.call('heartbeat', beat())).toMatchObject({ status: 'inactive', replicas: [0, 1, 2] });
    const inSync = [0, 1, 2].map((id) => ({ partition: id, matched: 5, leaderLast: 5, lagMs: 0 }));
    expect(await system.call('heartbeat', beat(inSync))).toMatchObject({ status: 'read' });
  });

  test('with another secret, or of another history, it is not let in', async () => {
    await Router.found(1);
    const stranger = await OutsideHost.create(clusterName(), 'a guess');
    await expect(stranger.dial(0)).rejects.toThrow(/secret/);
    const former = await OutsideHost.create(clusterName(), undefined, 'another-history');
    await expect(former.dial(0)).rejects.toThrow(/4409/);
  });

  test('is given nothing before it is a member, and nothing after it was removed', async () => {
    await Router.found(1);
    const host = await OutsideHost.create(clusterName());
    const link = await host.dial(1);
    await expect(link.call('snapshot-open', { partition: 1 })).rejects.toThrow(/no member/);
    await expect(link.call('status', {})).rejects.toThrow(/no member/);
    const { host: other, system } = await member();
    await system.call('snapshot-open', { partition: 0 });
    await tell(0, 'host-remove', { host: other.key.host });
    const again = await (await OutsideHost.create(clusterName())).dial(0);
    await expect(again.call('snapshot-open', { partition: 0 })).rejects.toThrow(/no member/);
  });

  test('follows the log, and goes on where it was after the object has slept', async () => {
    const router = await Router.found(1);
    await router.rows('CREATE TABLE note (id INTEGER PRIMARY KEY, owner TEXT) PARTITION BY (owner)');
    const { host } = await member();
    const link = await host.dial(1);
    const { snapshot } = await link.call('snapshot-open', { partition: 1 });
    const { commitId, term, timestamp } = snapshot.base;
    const at = { commitId, term, timestamp, offset: 0 };
    expect(await link.call('follow', { partition: 1, position: at })).toEqual({
      next: 'entries',
      last: commitId,
    });
    await router.rows('INSERT INTO note (owner) VALUES (?)', 'a');
    expect(await taken(link)).toEqual([commitId + 1]);

    await evictDurableObject(partition(1));
    await router.rows('INSERT INTO note (owner) VALUES (?)', 'b');
    await link.event('follow-again');
    const position = { ...at, commitId: commitId + 1 };
    expect((await link.call('follow', { partition: 1, position })).next).toMatch(/entries|snapshot/);
  });

  test('compares rows with the object’s, which goes on serving and counts anew after it has slept', async () => {
    const router = await Router.found(1);
    await router.rows('CREATE TABLE note (id INTEGER PRIMARY KEY, owner TEXT) PARTITION BY (owner)');
    // About 1.5 MB: some steps.
    for (let i = 0; i < 30; i++)
      await router.rows('INSERT INTO note (owner) VALUES (?)', `${i}`.repeat(25_000));
    const { host } = await member();
    const link = await host.dial(1);
    const { last: at } = await link.call('follow', { partition: 1, position: null });
    const question = [{ table: 'note', level: 0, index: 0 }];
    const counted = async (over: OutsideLink, between: () => Promise<unknown>) => {
      for (let asked = 1; ; asked++) {
        const reply = await over.call('compare', { partition: 1, at, question });
        if (reply.kind !== 'counting') return { asked, reply };
        await between();
      }
    };
    const quiet = await counted(link, () => scheduler.wait(10));
    expect(quiet.reply).toMatchObject({ kind: 'answer', digests: [expect.stringMatching(/^[0-9a-f]{32}$/)] });
    expect(quiet.asked).toBeGreaterThan(2);

    await evictDurableObject(partition(1));
    const busy = await counted(link, () => router.rows('INSERT INTO note (owner) VALUES (?)', 'more'));
    expect(busy.reply).toEqual(quiet.reply);
    expect(busy.asked).toBeGreaterThan(2);
    const other = await (await member()).host.dial(1);
    expect(await other.call('compare', { partition: 1, at: at + 1, question })).toEqual({ kind: 'busy' });
    const nowhere = [{ table: 'note', level: 1, index: 32 }];
    await expect(link.call('compare', { partition: 1, at, question: nowhere })).rejects.toThrow(/no node/);
  });

  test('asks the leader what any router may ask, but cannot speak for the system partition', async () => {
    const router = await Router.found(1);
    await router.rows('CREATE TABLE note (id INTEGER PRIMARY KEY, owner TEXT) PARTITION BY (owner)');
    const { host } = await member();
    const link = await host.dial(1);
    const { head, data } = await link.link.call('status', {}, { data: new TextEncoder().encode('{}') });
    expect(head).toEqual({ status: 200 });
    expect(JSON.parse(new TextDecoder().decode(data))).toMatchObject({ partition: 1, schema: 1 });
    for (const type of ['feed', 'prepare', 'prepare-many', 'transaction-ends'])
      await expect(link.call(type, { requests: [] })).rejects.toThrow(/no host sends/);
  });
});
