import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  BEHIND_LAG_MS,
  hasCaughtUp,
  IN_SYNC_LAG_MS,
  type ReplicaState,
  replicaStateAfter,
} from '../../../src/core/network/heartbeat.ts';
import { freeHostRange, HOST_IDS, HOST_IDS_START } from '../../../src/core/network/host-ranges.ts';
import {
  bytesNeeded,
  CLOCK_SKEW_MAX_MS,
  HOSTS_MAX,
  type HostOffer,
  type JoiningContext,
  type JoiningRefusal,
  judgeOffer,
  PROPOSE_AGAIN_FIRST_MS,
  PROPOSE_AGAIN_MAX_MS,
  proposeAgainMs,
} from '../../../src/core/network/joining.ts';
import { IDENTIFIER_LIMIT, initialRanges } from '../../../src/core/schema/identifier-range.ts';

const NOW = 1_000_000_000;

const OFFER: HostOffer = {
  host: '0123456789abcdef',
  name: null,
  publicKey: 'k',
  addresses: [],
  database: 'main',
  history: null,
  time: NOW,
  freeBytes: bytesNeeded(1000),
  totalBytes: 2 ** 40,
  cpuRating: 100,
};

const CONTEXT: JoiningContext = {
  database: 'main',
  history: 'h',
  now: NOW,
  knownKey: null,
  retryAt: null,
  others: 0,
  neededBytes: bytesNeeded(1000),
};

describe('an offer to join', () => {
  test.each([
    [{}, {}, null],
    [{ history: 'h' }, {}, null],
    [{}, { knownKey: 'k' }, null],
    [{}, { retryAt: NOW }, null],
    [{ time: NOW + CLOCK_SKEW_MAX_MS }, {}, null],
    [{}, { knownKey: 'other' }, 'another-key'],
    [{ database: 'other' }, {}, 'other-database'],
    [{ history: 'other' }, {}, 'other-history'],
    [{ time: NOW + CLOCK_SKEW_MAX_MS + 1 }, {}, 'clock-off'],
    [{ time: NOW - 3_600_000 }, {}, 'clock-off'],
    [{ freeBytes: bytesNeeded(1000) - 1 }, {}, 'no-space'],
    [{}, { others: HOSTS_MAX }, 'too-many-hosts'],
    [{}, { retryAt: NOW + 1 }, 'too-early'],
    // Whoever has taken an id learns nothing else.
    [{ history: 'other', freeBytes: 0 }, { knownKey: 'other' }, 'another-key'],
  ] satisfies [Partial<HostOffer>, Partial<JoiningContext>, JoiningRefusal | null][])(
    '%j to a cluster with %j: %s',
    (offer, context, expected) => {
      expect(judgeOffer({ ...OFFER, ...offer }, { ...CONTEXT, ...context })).toBe(expected);
    },
  );

  test('waits longer after each refusal, up to a bound', () => {
    expect(proposeAgainMs(1)).toBe(PROPOSE_AGAIN_FIRST_MS);
    expect(proposeAgainMs(2)).toBe(2 * PROPOSE_AGAIN_FIRST_MS);
    expect(proposeAgainMs(1000)).toBe(PROPOSE_AGAIN_MAX_MS);
  });
});

describe('a replica of a host', () => {
  const report = (lagMs: number, matched = 1) => ({ partition: 1, matched, leaderLast: 9, lagMs });

  test('is in sync from a small lag on until a large one', () => {
    expect(replicaStateAfter('loading', report(IN_SYNC_LAG_MS + 1))).toBe('loading');
    expect(replicaStateAfter('loading', report(IN_SYNC_LAG_MS))).toBe('in-sync');
    expect(replicaStateAfter('in-sync', report(BEHIND_LAG_MS))).toBe('in-sync');
    expect(replicaStateAfter('in-sync', report(BEHIND_LAG_MS + 1))).toBe('behind');
    expect(replicaStateAfter('behind', report(IN_SYNC_LAG_MS + 1))).toBe('behind');
    expect(replicaStateAfter('behind', report(0))).toBe('in-sync');
  });

  test('of a partition in which nothing was ever written is in sync', () => {
    expect(replicaStateAfter('loading', { ...report(0, 0), leaderLast: 0 })).toBe('in-sync');
  });

  test('that has nothing is not in sync, whatever lag it has worked out', () => {
    expect(replicaStateAfter('loading', report(0, 0))).toBe('loading');
  });

  test.each([
    [{}, false, false],
    [{ 0: 'loading' }, true, false],
    [{ 0: 'in-sync' }, false, true],
    [{ 0: 'in-sync', 3: 'loading' }, false, false],
    [{ 0: 'in-sync', 3: 'loading' }, true, true],
    [{ 0: 'in-sync', 3: 'behind' }, true, false],
    [{ 3: 'in-sync' }, true, false],
  ] satisfies [Record<number, ReplicaState>, boolean, boolean][])(
    '%j of a host, has served before: %s, has caught up: %s',
    (states, before, expected) => {
      const map = new Map(Object.entries(states).map(([id, state]) => [Number(id), state]));
      expect(hasCaughtUp(map, before)).toBe(expected);
    },
  );
});

describe('identifier ranges of hosts', () => {
  test('lie above all that a new database gives its partitions', () => {
    expect(initialRanges(5, HOST_IDS_START).at(-1)?.end).toBe(HOST_IDS_START);
    expect(freeHostRange(initialRanges(5, HOST_IDS_START))).toEqual({
      start: HOST_IDS_START,
      end: HOST_IDS_START + HOST_IDS,
    });
  });

  test('are none where partitions have been given everything', () => {
    expect(freeHostRange(initialRanges(3))).toBeNull();
    expect(freeHostRange([{ start: HOST_IDS_START, end: IDENTIFIER_LIMIT }])).toBeNull();
  });

  test('never overlap, and a range that was given back is given again', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { maxLength: 40 }), (steps) => {
        const taken: { start: number; end: number }[] = [];
        for (const step of steps) {
          if (step > 14 && taken.length > 0) taken.splice(step % taken.length, 1);
          const range = freeHostRange(taken);
          if (range === null) throw new Error('there are thousands');
          expect(taken.every(({ start, end }) => range.end <= start || end <= range.start)).toBe(true);
          expect(range.end).toBeLessThanOrEqual(HOST_IDS_START + (taken.length + 1) * HOST_IDS);
          taken.push(range);
        }
      }),
    );
  });
});
