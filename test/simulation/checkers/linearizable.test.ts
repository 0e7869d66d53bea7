import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { History, Id, Transaction } from './history.ts';
import { checkLinearizable, type RegisterStep } from './linearizable.ts';
import {
  around,
  below,
  type Fate,
  fail,
  fateOf,
  forEachHistory,
  type Generator,
  info,
  ok,
  pick,
} from './made-up.ts';

function read(value: Id | null, key: Id = 'x'): RegisterStep {
  return { kind: 'read', key, value };
}

function write(value: Id, key: Id = 'x'): RegisterStep {
  return { kind: 'write', key, value };
}

function swap(expected: Id | null, value: Id, swapped = true): RegisterStep {
  return { kind: 'compare-and-set', key: 'x', expected, value, swapped };
}

function outcome(...history: History<RegisterStep>) {
  return checkLinearizable(history).outcome;
}

describe('one register', () => {
  test('a read of the last write, of either of two that overlap it, and of nothing at first', () => {
    expect(outcome(ok(0, 1, read(null)), ok(2, 3, write(1)), ok(4, 5, read(1)))).toBe('linearizable');
    const overlapping = [ok(0, 1, write(1)), ok(2, 9, write(2))];
    expect(outcome(...overlapping, ok(3, 4, read(1)), ok(5, 6, read(2)))).toBe('linearizable');
    expect(outcome(...overlapping, ok(3, 4, read(2)), ok(5, 6, read(1)))).toBe('violation');
  });

  test('a stale read', () => {
    expect(outcome(ok(0, 1, write(1)), ok(2, 3, write(2)), ok(4, 5, read(1)))).toBe('violation');
  });

  test('a read of what nobody wrote, and of what failed', () => {
    expect(outcome(ok(0, 1, write(1)), ok(2, 3, read(2)))).toBe('violation');
    expect(outcome(fail(0, 1, write(1)), ok(2, 3, read(1)))).toBe('violation');
  });

  test('what happens at equal times is concurrent', () => {
    expect(outcome(ok(0, 2, write(1)), ok(2, 3, read(null)))).toBe('linearizable');
  });

  test('another value at first', () => {
    expect(checkLinearizable([ok(0, 1, read(7))], 7).outcome).toBe('linearizable');
    expect(checkLinearizable([ok(0, 1, read(null))], 7).outcome).toBe('violation');
  });
});

describe('compare-and-set', () => {
  test('swaps what is there, and refuses what is not', () => {
    const history = [
      ok(0, 1, write(1)),
      ok(2, 3, swap(1, 2)),
      ok(4, 5, swap(1, 3, false)),
      ok(6, 7, read(2)),
    ];
    expect(outcome(...history)).toBe('linearizable');
  });

  test('two that swap the same value', () => {
    expect(outcome(ok(0, 1, write(1)), ok(2, 9, swap(1, 2)), ok(2, 9, swap(1, 3)))).toBe('violation');
  });

  test('a refusal says that something else was there', () => {
    expect(outcome(ok(0, 1, write(1)), ok(2, 3, swap(1, 2, false)))).toBe('violation');
  });

  test('of unknown outcome: swapped, refused or not run', () => {
    const unknown = [ok(0, 1, write(1)), info(2, swap(1, 2))];
    expect(outcome(...unknown, ok(4, 5, read(2)))).toBe('linearizable');
    expect(outcome(...unknown, ok(4, 5, read(1)))).toBe('linearizable');
    expect(outcome(...unknown, ok(4, 5, write(3)), ok(6, 7, read(2)))).toBe('violation');
  });
});

describe('unknown outcomes', () => {
  test('a write takes effect at any later time, or never, but once', () => {
    const unknown = [ok(0, 1, write(1)), info(2, write(2))];
    expect(outcome(...unknown, ok(4, 5, read(1)))).toBe('linearizable');
    expect(outcome(...unknown, ok(4, 5, read(1)), ok(6, 7, read(2)))).toBe('linearizable');
    expect(outcome(...unknown, ok(4, 5, read(2)), ok(6, 7, read(1)))).toBe('violation');
    expect(outcome(...unknown, ok(4, 5, read(2)), ok(6, 7, write(3)), ok(8, 9, read(2)))).toBe('violation');
  });

  test('a read says nothing', () => {
    expect(outcome(ok(0, 1, write(1)), info(2, read(9)))).toBe('linearizable');
  });
});

describe('a budget that is exhausted', () => {
  // Twelve writes at once, of which the reads after them show that none was last: all orders are tried.
  const hard = [
    ...Array.from({ length: 12 }, (_, i) => ok(0, 100, write(i))),
    ...Array.from({ length: 12 }, (_, i) => ok(0, 100, read(i))),
    ok(200, 201, read('other')),
  ];

  test('is no pass and no violation', () => {
    const verdict = checkLinearizable(hard, null, 10_000);
    expect(verdict).toMatchObject({ outcome: 'budget exhausted', steps: 10_000 });
    expect(verdict.messages).toEqual(['key x: 25 operations, no verdict after 10000 steps']);
  });

  test('hides no violation of another key', () => {
    const history = [...hard, ok(0, 1, write(1, 'y')), ok(2, 3, read(2, 'y'))];
    expect(checkLinearizable(history, null, 10_000).outcome).toBe('violation');
  });
});

test('each key is a register of its own', () => {
  const history = [
    ok(0, 1, write(1, 'x')),
    ok(2, 3, write(2, 'y')),
    ok(4, 5, read(1, 'x')),
    ok(4, 5, read(2, 'y')),
  ];
  expect(outcome(...history)).toBe('linearizable');
});

test('transactions over several keys are refused: registers cannot judge them', () => {
  expect(() => checkLinearizable([ok(0, 1, read(1), read(2))])).toThrow('one step');
});

test('the report names the operation that nothing explains', () => {
  const { messages } = checkLinearizable([ok(0, 1, write(1)), ok(2, 3, swap(1, 2)), ok(4, 5, read(1))]);
  expect(messages).toEqual([
    'key x: no order explains process 0 [4, 5] ok reading 1; the longest has 2 operations before it and leaves 2',
  ]);
});

test('small histories are judged as by trying all orders', () => {
  const seen = { good: 0, bad: 0 };
  forEachHistory((g) => {
    const history = Array.from({ length: 2 + below(g, 5) }, () => anything(g));
    const isGood = isLinearizable(history, null);
    seen[isGood ? 'good' : 'bad']++;
    expect(outcome(...history), JSON.stringify(history)).toBe(isGood ? 'linearizable' : 'violation');
  }, 3000);
  expect(Math.min(seen.good, seen.bad)).toBeGreaterThan(300);
});

describe('an execution one by one, as clients see it', () => {
  test('is linearizable', () => {
    forEachHistory((g) => expect(checkLinearizable(workload(g, 60)).outcome).toBe('linearizable'));
  });

  test('with a stale read is not', () => {
    forEachHistory((g) => {
      const history = workload(g, 40);
      const reads = history.filter(({ steps, outcome }) => steps[0]?.kind === 'read' && outcome === 'ok');
      fc.pre(reads.length > 0);
      const read = pick(g, reads);
      // Before any other operation was called, the register cannot have held what the read now says.
      const changed = history.map((each) =>
        each === read ? { ...each, steps: [{ ...each.steps[0], value: -1 }] } : each,
      );
      expect(checkLinearizable(changed as History<RegisterStep>).outcome).toBe('violation');
    });
  });

  test('with an acknowledged write that a later read does not show, or anything after it, is not', () => {
    forEachHistory((g) => {
      const history = workload(g, 30);
      const last = 30 * 10 + 100;
      const lost = [ok(last, last + 1, write('lost')), ok(last + 2 + below(g, 9), last + 20, read(null))];
      expect(checkLinearizable([...history, ...lost]).outcome).toBe('violation');
    });
  });
});

test('a long history of few clients takes few steps', () => {
  const history: Transaction<RegisterStep>[] = [];
  for (let i = 0; i < 3000; i++) {
    const value = Math.floor(i / 2);
    history.push(
      ok(i * 10 - ((i * 37) % 30), i * 10 + ((i * 53) % 30), i % 2 === 0 ? write(value) : read(value)),
    );
  }
  const verdict = checkLinearizable(history);
  expect(verdict.outcome).toBe('linearizable');
  expect(verdict.steps).toBeLessThan(100_000);
});

/** An operation that may look right beside others. */
function anything(g: Generator): Transaction<RegisterStep> {
  const outcome = pick(g, ['ok', 'ok', 'ok', 'ok', 'info', 'fail'] as const);
  const called = below(g, 10);
  const returned = outcome === 'info' ? Number.POSITIVE_INFINITY : called + below(g, 8);
  const step = pick(g, [
    read(pick(g, [null, 1, 2])),
    read(pick(g, [1, 2])),
    write(1 + below(g, 2)),
    write(1 + below(g, 2)),
    swap(pick(g, [null, 1, 2]), 1 + below(g, 2), below(g, 3) > 0),
  ]);
  return { process: 0, session: 0, called, returned, outcome, steps: [step] };
}

/** By the definition. */
function isLinearizable(history: readonly Transaction<RegisterStep>[], state: Id | null): boolean {
  const left = history.filter(({ outcome }) => outcome !== 'fail');
  if (left.every(({ outcome }) => outcome === 'info')) return true;
  return left.some((next) => {
    if (left.some((other) => other.returned < next.called)) return false;
    const [step] = next.steps;
    const rest = left.filter((each) => each !== next);
    if (step?.kind === 'write') return isLinearizable(rest, step.value);
    if (step?.kind === 'read') {
      return (next.outcome === 'info' || step.value === state) && isLinearizable(rest, state);
    }
    if (step === undefined) return false;
    const swaps = step.expected === state;
    if (next.outcome === 'ok' && step.swapped !== swaps) return false;
    return isLinearizable(rest, swaps ? step.value : state);
  });
}

const ALWAYS_OK: Fate = { outcome: 'ok', isApplied: true };

/** With few unknown outcomes: each may come anywhere later, which multiplies the orders. */
function workload(g: Generator, count: number): Transaction<RegisterStep>[] {
  let state: Id | null = null;
  let unknown = 0;
  return Array.from({ length: count }, (_, number) => {
    const drawn = fateOf(g);
    const { outcome, isApplied } = drawn.outcome === 'info' && ++unknown > 4 ? ALWAYS_OK : drawn;
    const value = below(g, 5);
    const expected = below(g, 2) === 0 ? state : below(g, 5);
    const step = pick(g, [read(state), write(value), swap(expected, value, expected === state)]);
    if (isApplied && step.kind === 'write') state = value;
    if (isApplied && step.kind === 'compare-and-set' && step.swapped) state = value;
    return around(g, number, outcome, [step]);
  });
}
