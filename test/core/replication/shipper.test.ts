import { describe, expect, test } from 'vitest';
import type { CommitId, Timestamp } from '../../../src/base/brand.ts';
import { formatTimestamp } from '../../../src/core/clock/timestamp.ts';
import { purgeStep } from '../../../src/core/log/purge.ts';
import { readFollowers, removeFollower } from '../../../src/core/replica/followers.ts';
import { Follower } from '../../../src/core/replication/follower.ts';
import type { Position } from '../../../src/core/replication/position.ts';
import { INFLIGHT_MAX } from '../../../src/core/replication/progress.ts';
import {
  FAILED_PAUSE_MS,
  type Shipment,
  Shipper,
  UNANSWERED_MS,
} from '../../../src/core/replication/shipper.ts';
import { decodeBatch } from '../../../src/core/replication/shipping.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { copy, sent } from './copy.ts';
import { Leader } from './leader.ts';

const memory = () => new NodeSqlitePort(':memory:', { synchronous: 'OFF' });
const NOW = 1_700_000_000_000;

/** A leader with a table, and a follower that has all of it. */
function pair() {
  const leader = new Leader(memory());
  leader.change(['CREATE TABLE note (id INTEGER PRIMARY KEY, text)']);
  const follower = copy(leader.replica, memory());
  if (!(follower instanceof Follower)) throw new Error('gone');
  const shipper = new Shipper<string>(() => leader.replica, { batchBytes: 1 });
  const write = (count: number) => {
    for (let i = 0; i < count; i++) leader.commit(["INSERT INTO note(text) VALUES ('x')"]);
  };
  return { leader, follower, shipper, write };
}

/** The follower takes messages; gives its last answer. */
function take(follower: Follower, shipments: readonly Shipment<string>[]) {
  const answers = shipments.map((shipment) => {
    if (shipment.type !== 'append') throw new Error(shipment.type);
    return follower.append(decodeBatch(sent(shipment.head), shipment.data));
  });
  return answers.at(-1) ?? null;
}

const notes = (leader: Leader) =>
  readFollowers(leader.port).map(({ host, matched, state }) => ({ host, matched, state }));

describe('a leader ships its log', () => {
  test('first to find out whether the follower is where it says, then without waiting', () => {
    const { leader, follower, shipper, write } = pair();
    write(3);
    expect(shipper.follow('link', 'h', follower.position(), NOW).next).toBe('entries');
    const first = shipper.messages(NOW);
    expect(first).toHaveLength(1);
    const answer = take(follower, first);
    if (answer === null) throw new Error('no answer');
    shipper.answered('link', 'h', answer, NOW);
    const rest = shipper.messages(NOW);
    expect(rest).toHaveLength(2);
    take(follower, rest);
    expect(follower.position().commitId).toBe(leader.replica.last.commit);
    expect(shipper.messages(NOW)).toEqual([]);
  });

  test('and knows whether there may be more to send', () => {
    const { follower, shipper, write } = pair();
    shipper.follow('link', 'h', follower.position(), NOW);
    expect(shipper.isBehind).toBe(true);
    expect(shipper.messages(NOW)).toEqual([]);
    expect(shipper.isBehind).toBe(false);
    write(INFLIGHT_MAX + 3);
    const answer = take(follower, shipper.messages(NOW));
    if (answer === null) throw new Error('no answer');
    shipper.answered('link', 'h', answer, NOW);
    // All that is allowed to be under way; then the follower does not answer while the log grows.
    const first = shipper.messages(NOW);
    expect(first).toHaveLength(INFLIGHT_MAX);
    write(1);
    expect(shipper.messages(NOW)).toEqual([]);
    expect(shipper.isBehind).toBe(true);
    const late = take(follower, first);
    if (late === null) throw new Error('no answer');
    shipper.answered('link', 'h', late, NOW);
    expect(shipper.isBehind).toBe(true);
    expect(shipper.messages(NOW)).toHaveLength(3);
    expect(shipper.isBehind).toBe(false);
    // One that it had lost sight of while nobody followed, and the log grew.
    shipper.forget('link');
    write(1);
    shipper.follow('other link', 'h', late.position, NOW);
    expect(shipper.isBehind).toBe(true);
  });

  test('and notes where a follower is without asking its file each time', () => {
    const { leader, follower, shipper, write } = pair();
    shipper.follow('link', 'h', follower.position(), NOW);
    const begun = leader.replica.last.commit;
    const step = (now: number): void => {
      write(1);
      const answer = take(follower, shipper.messages(now));
      if (answer === null) throw new Error('no answer');
      shipper.answered('link', 'h', answer, now);
    };
    step(NOW + 1);
    step(NOW + 1_999);
    expect(notes(leader)).toEqual([{ host: 'h', matched: begun, state: 'following' }]);
    step(NOW + 2_000);
    expect(notes(leader)).toEqual([{ host: 'h', matched: begun + 3, state: 'following' }]);
    // The log did not wait for it, for a time: it is noted anew, with the next one that is due.
    leader.port.query("UPDATE _atoll_followers SET state = 'resync'");
    step(NOW + 4_000);
    expect(notes(leader)).toEqual([{ host: 'h', matched: begun + 4, state: 'following' }]);
  });

  test('and sends again what nobody has answered', () => {
    const { follower, shipper, write } = pair();
    write(1);
    shipper.follow('link', 'h', follower.position(), NOW);
    expect(shipper.messages(NOW)).toHaveLength(1);
    expect(shipper.messages(NOW + UNANSWERED_MS - 1)).toEqual([]);
    expect(shipper.messages(NOW + UNANSWERED_MS)).toHaveLength(1);
  });

  test('later, to one that could not write', () => {
    const { follower, shipper, write } = pair();
    write(1);
    shipper.follow('link', 'h', follower.position(), NOW);
    shipper.messages(NOW);
    shipper.answered('link', 'h', { kind: 'failed', position: follower.position() }, NOW);
    expect(shipper.messages(NOW)).toEqual([]);
    expect(shipper.dueAt).toBe(NOW + FAILED_PAUSE_MS);
    expect(shipper.messages(NOW + FAILED_PAUSE_MS)).toHaveLength(1);
    expect(shipper.dueAt).toBe(null);
  });

  test('and reads what several followers need next once', () => {
    const { follower, shipper, write } = pair();
    write(1);
    for (const link of ['a', 'b']) shipper.follow(link, link, follower.position(), NOW);
    const [a, b] = shipper.messages(NOW);
    if (a?.type !== 'append' || b?.type !== 'append') throw new Error('two batches');
    expect([a.link, b.link]).toEqual(['a', 'b']);
    expect(a.data).toBe(b.data);
  });
});

describe('what the leader notes of a follower', () => {
  test('is what it has for certain', () => {
    const { leader, follower, shipper, write } = pair();
    const { commitId } = follower.position();
    shipper.follow('link', 'h', follower.position(), NOW);
    expect(notes(leader)).toEqual([{ host: 'h', matched: commitId, state: 'following' }]);
    write(1);
    const answer = take(follower, shipper.messages(NOW));
    if (answer === null) throw new Error('no answer');
    shipper.answered('link', 'h', answer, NOW + 10_000);
    expect(notes(leader)).toEqual([{ host: 'h', matched: commitId + 1, state: 'following' }]);
    expect(shipper.matched).toEqual(new Map([['h', commitId + 1]]));
  });

  test('is nothing once the host has lost its disk', () => {
    const { leader, follower, shipper } = pair();
    shipper.follow('link', 'h', follower.position(), NOW);
    expect(shipper.follow('link', 'h', null, NOW).next).toBe('snapshot');
    expect(notes(leader)).toEqual([{ host: 'h', matched: 0, state: 'resync' }]);
    expect(shipper.matched.size).toBe(0);
  });

  test('keeps the log from a snapshot on, also when that is resumed', () => {
    const { leader, shipper } = pair();
    const { base, start } = shipper.openSnapshot('h', NOW);
    const kept = [{ host: 'h', matched: base.commitId, state: 'snapshot' }];
    expect(notes(leader)).toEqual(kept);
    shipper.follow('link', 'h', null, NOW + 10_000);
    expect(shipper.snapshotPage('h', base.commitId, start, NOW + 10_000)).not.toBe('gone');
    expect(notes(leader)).toEqual(kept);
  });
});

describe('a follower that cannot go on', () => {
  test('is told to follow again when what it needs was forgotten meanwhile', () => {
    const { leader, follower, shipper, write } = pair();
    shipper.follow('link', 'h', follower.position(), NOW);
    write(3);
    const olderThan = formatTimestamp({ milliseconds: 2 ** 45, counter: 0, node: 'p1' });
    const floor = (leader.replica.last.commit + 1) as CommitId;
    purgeStep(leader.port, { olderThan, bytesMax: 0, floor });
    expect(shipper.messages(NOW)).toEqual([{ link: 'link', type: 'follow-again', head: { partition: 1 } }]);
    expect(shipper.isIdle).toBe(true);
    expect(shipper.follow('link', 'h', follower.position(), NOW).next).toBe('snapshot');
  });

  test('has another log: it gets nothing until it follows again', () => {
    const { follower, shipper, write } = pair();
    write(1);
    const position = follower.position();
    shipper.follow('link', 'h', position, NOW);
    shipper.messages(NOW);
    shipper.answered('link', 'h', { kind: 'diverged', position }, NOW);
    expect(shipper.messages(NOW + UNANSWERED_MS)).toEqual([]);
    const stray: Position = { ...position, term: 99 as Position['term'] };
    expect(shipper.follow('link', 'h', stray, NOW).next).toBe('snapshot');
  });

  test('has to follow again after the leader has slept: an answer alone gets nothing, and leaves nothing', () => {
    const { leader, follower, write } = pair();
    write(1);
    const woken = new Shipper<string>(() => leader.replica);
    const position = follower.position();
    for (const kind of ['appended', 'diverged'] as const)
      expect(woken.answered('link', 'stranger', { kind, position }, NOW)).toBe(false);
    expect(woken.messages(NOW)).toEqual([]);
    expect(readFollowers(leader.replica.port)).toEqual([]);
    expect(woken.follow('link', 'h', position, NOW).next).toBe('entries');
    expect(take(follower, woken.messages(NOW))?.kind).toBe('appended');
  });

  test('of a host that was removed gets nothing, and is noted again when it is back', () => {
    const { leader, follower, shipper, write } = pair();
    const { port } = leader.replica;
    const position = follower.position();
    shipper.follow('link', 'h', position, NOW);
    expect(readFollowers(port)).toMatchObject([{ host: 'h', state: 'following' }]);
    write(1);
    removeFollower(port, 'h');
    shipper.dismiss('h');
    expect(shipper.messages(NOW)).toEqual([]);
    expect(shipper.answered('link', 'h', { kind: 'appended', position }, NOW)).toBe(false);
    expect(readFollowers(port)).toEqual([]);
    shipper.follow('other link', 'h', position, NOW);
    expect(readFollowers(port)).toMatchObject([{ host: 'h', state: 'following' }]);
  });

  test('is made anew when its last entry is another one of the same term', () => {
    const { follower, shipper, write } = pair();
    write(1);
    shipper.follow('link', 'h', follower.position(), NOW);
    take(follower, shipper.messages(NOW));
    const position = follower.position();
    expect(shipper.follow('link', 'h', position, NOW).next).toBe('entries');
    const other = { ...position, timestamp: `1${position.timestamp.slice(1)}` as Timestamp };
    expect(shipper.follow('link', 'h', other, NOW).next).toBe('snapshot');
  });
});
