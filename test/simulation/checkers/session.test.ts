import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { History, Id, Transaction } from './history.ts';
import type { ListStep } from './list-history.ts';
import {
  anomaliesIn,
  below,
  expectFound,
  fail,
  forEachHistory,
  type Generator,
  info,
  momentOf,
  ok,
  pick,
} from './made-up.ts';
import { checkSessions } from './session.ts';

function append(value: Id, key: Id = 'x'): ListStep {
  return { kind: 'append', key, value };
}

function read(...values: Id[]): ListStep {
  return { kind: 'read', key: 'x', values };
}

function of(session: number, transaction: Transaction<ListStep>): Transaction<ListStep> {
  return { ...transaction, session };
}

function found(...history: History<ListStep>) {
  return anomaliesIn(checkSessions(history));
}

const ALL = of(9, ok(90, 91, read(1, 2, 3)));
/** By another session, one after another. */
const WRITES = [of(8, ok(0, 1, append(1))), of(8, ok(2, 3, append(2))), of(8, ok(4, 5, append(3)))];

test('a session may see the past of others, as long as it goes on', () => {
  expect(
    found(...WRITES, of(1, ok(10, 11, read())), of(1, ok(12, 13, read(1))), of(1, ok(14, 15, read(1))), ALL),
  ).toEqual([]);
});

test('read-your-writes: an acknowledged append is missing', () => {
  expect(found(...WRITES, of(8, ok(10, 11, read(1, 2))), ALL)).toEqual(['read-your-writes']);
  expect(found(...WRITES, of(7, ok(10, 11, read(1, 2))), ALL)).toEqual([]);
});

test('read-your-writes: an acknowledged append that nobody ever sees', () => {
  expect(found(of(1, ok(0, 1, append(1))), of(1, ok(2, 3, read())))).toEqual(['read-your-writes']);
});

test('read-your-writes: not of what failed or is unknown, or has not returned yet', () => {
  expect(found(of(1, fail(0, 1, append(1))), of(1, ok(2, 3, read())))).toEqual([]);
  expect(found(of(1, info(0, append(1))), of(1, ok(2, 3, read())))).toEqual([]);
  expect(found(of(1, ok(0, 2, append(1))), of(1, ok(2, 3, read())), of(2, ok(4, 5, read(1))))).toEqual([]);
});

test('monotonic-reads: an older state than before, at whatever host', () => {
  const reads = [of(1, ok(10, 11, read(1, 2))), of(1, ok(12, 13, read(1)))];
  expect(found(...WRITES, ...reads, ALL)).toEqual(['monotonic-reads']);
  const overlapping = [of(1, ok(10, 12, read(1, 2))), of(1, ok(12, 13, read(1)))];
  expect(found(...WRITES, ...overlapping, ALL)).toEqual([]);
});

test('monotonic-writes: appends in another order than the session made them', () => {
  const writes = [of(1, ok(0, 1, append(2))), of(1, ok(2, 3, append(1)))];
  expect(found(...writes, of(2, ok(4, 5, read(1, 2))))).toEqual(['monotonic-writes']);
  expect(found(...writes, of(2, ok(4, 5, read(2, 1))))).toEqual([]);
});

test('monotonic-writes: one of unknown outcome may come late, but not before what was acknowledged', () => {
  const late = [of(1, info(0, append(2))), of(1, ok(2, 3, append(1)))];
  expect(found(...late, of(2, ok(4, 5, read(1, 2))))).toEqual([]);
  const early = [of(1, ok(0, 1, append(2))), of(1, info(2, append(1)))];
  expect(found(...early, of(2, ok(4, 5, read(1, 2))))).toEqual(['monotonic-writes']);
});

test('incompatible-order: a read that is no state of the list', () => {
  expect(found(...WRITES, of(1, ok(10, 11, read(2))), ALL)).toEqual(['incompatible-order']);
});

test('each key has its own order', () => {
  const history = [of(1, ok(0, 1, append(1, 'y'))), of(1, ok(2, 3, read()))];
  expect(found(...history)).toEqual([]);
});

describe('followers that are behind, and sessions that carry what they have seen', () => {
  test('have no anomaly', () => {
    forEachHistory((g) => expect(checkSessions(workload(g, 40, null))).toEqual([]));
  });

  test('with one read of a state before what its session had seen or written', () => {
    let planted = 0;
    forEachHistory((g) => {
      const history = workload(g, 40, 20 + below(g, 20));
      const isPlanted = history.some(({ process }) => process === -1);
      fc.pre(isPlanted);
      planted++;
      expectFound(checkSessions(history), 'read-your-writes', 'monotonic-reads');
    });
    expect(planted).toBeGreaterThan(50);
  });
});

/** One list; each read shows any state not before its session's past, but the first that can from number `stale` on. */
function workload(g: Generator, count: number, stale: number | null): History<ListStep> {
  const list: Id[] = [];
  const sessions = Array.from({ length: 4 }, () => ({ seen: 0, busyUntil: Number.NEGATIVE_INFINITY }));
  const history: Transaction<ListStep>[] = [];
  let isStale = false;
  for (let number = 0; number < count; number++) {
    const moment = momentOf(number);
    const free = [...sessions.entries()].filter(([, { busyUntil }]) => busyUntil < moment);
    if (free.length === 0) continue;
    const [session, state] = pick(g, free);
    const called = Math.max(state.busyUntil + 1, moment - below(g, 40));
    const returned = moment + below(g, 40);
    state.busyUntil = returned;
    if (below(g, 2) === 0) {
      list.push(number);
      state.seen = list.length;
      history.push(of(session, ok(called, returned, append(number))));
      continue;
    }
    const isNow: boolean = stale !== null && number >= stale && !isStale && state.seen > 0;
    const length = isNow ? below(g, state.seen) : state.seen + below(g, list.length - state.seen + 1);
    if (!isNow) state.seen = length;
    isStale ||= isNow;
    history.push({
      ...of(session, ok(called, returned, read(...list.slice(0, length)))),
      process: isNow ? -1 : 0,
    });
  }
  return [...history, of(9, ok(momentOf(count + 10), momentOf(count + 11), read(...list)))];
}
