import { expect, test } from 'vitest';
import { checkSchemaChange, readFeed } from '../../src/core/replica/feed.ts';
import { FeedFollower } from '../../src/partition/feed-follower.ts';
import { LockWaits } from '../../src/partition/lock-waits.ts';
import type { Surroundings } from '../../src/partition/surroundings.ts';
import { LocalCluster } from '../harness/local-cluster.ts';

// Time stands still: whoever waits for it waits for ever.
const pause: Surroundings['pause'] = () => new Promise(() => undefined);

function held() {
  const cluster = new LocalCluster(1);
  const { system } = cluster;
  const replica = cluster.replica(1);
  const proposal = system.propose(['CREATE TABLE t (k TEXT PRIMARY KEY)'], cluster.now);
  if (proposal === null) throw new Error('it changes something');
  expect(checkSchemaChange(replica, proposal.proposal, proposal.change, cluster.now).kind).toBe('passed');
  const asked: string[] = [];
  const call = async (_database: string, _partition: number, type: string) => {
    asked.push(type);
    return { proposal: proposal.proposal, state: 'withdrawn' };
  };
  const peers = { call } as unknown as Surroundings['peers'];
  const feed = new FeedFollower(
    () => replica,
    { peers, pause } as unknown as Surroundings,
    new LockWaits(() => replica, pause),
  );
  return { cluster, system, replica, proposal, feed, asked };
}

test('whoever waits for a schema change goes on when it is published', async () => {
  const { cluster, system, replica, proposal, feed, asked } = held();
  const waiting = [feed.askFate(proposal.proposal, 200), feed.askFate(proposal.proposal, 200)];
  system.publish(proposal, cluster.now);
  await feed.follow(readFeed(system.replica, replica.systemIndex));
  await Promise.all(waiting);
  expect([replica.hold, asked]).toEqual([null, []]);
});

test('and when it is withdrawn', async () => {
  const { replica, proposal, feed, asked } = held();
  const waiting = feed.askFate(proposal.proposal, 200);
  feed.learnFate({ proposal: proposal.proposal, state: 'withdrawn' });
  await waiting;
  expect([replica.hold, asked]).toEqual([null, []]);
});
