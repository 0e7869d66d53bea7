import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { History, Id } from './history.ts';
import { checkListAppend } from './list-append.ts';
import { isStrictlySerializable, randomOutcomes } from './list-by-force.ts';
import type { ListStep } from './list-history.ts';
import { listWorkload } from './list-model.ts';
import { anomaliesIn, below, expectFound, fail, forEachHistory, info, ok, pick } from './made-up.ts';

function append(key: Id, value: Id): ListStep {
  return { kind: 'append', key, value };
}

function read(key: Id, ...values: Id[]): ListStep {
  return { kind: 'read', key, values };
}

function found(...history: History<ListStep>) {
  return anomaliesIn(checkListAppend(history));
}

describe('what a single read shows', () => {
  test('two reads neither of which continues the other', () => {
    const writes = [ok(0, 1, append('x', 1)), ok(0, 1, append('x', 2))];
    expect(found(...writes, ok(2, 3, read('x', 1, 2)), ok(2, 3, read('x', 2)))).toContain(
      'incompatible-order',
    );
  });

  test('an element twice', () => {
    expect(found(ok(0, 1, append('x', 1)), ok(2, 3, read('x', 1, 1)))).toEqual(['duplicate']);
  });

  test('an element that nobody appended, or only to another key', () => {
    expect(found(ok(0, 1, append('y', 1)), ok(2, 3, read('x', 1)))).toEqual(['unwritten']);
  });

  test('G1a: an element of a failed transaction', () => {
    expect(found(fail(0, 1, append('x', 1)), ok(2, 3, read('x', 1)))).toEqual(['G1a']);
  });

  test('G1b: a state in the middle of another transaction', () => {
    const history = [
      ok(0, 9, append('x', 1), append('x', 2)),
      ok(0, 9, read('x', 1)),
      ok(10, 11, read('x', 1, 2)),
    ];
    expect(found(...history)).toContain('G1b');
  });

  test.each([[[2, 1]], [[2]], [[1, 3, 2]]])(
    'scattered: two appends of one transaction, read as %j',
    (values) => {
      const writes = [ok(0, 9, append('x', 1), append('x', 2)), ok(0, 9, append('x', 3))];
      expect(found(...writes, ok(10, 11, read('x', ...values)))).toContain('scattered');
    },
  );

  test.each<{ name: string; steps: ListStep[] }>([
    { name: 'without its own append', steps: [append('x', 2), read('x', 1)] },
    { name: 'with its own append not at the end', steps: [append('x', 2), read('x', 2, 1)] },
    { name: 'with more than the read before', steps: [read('x'), read('x', 1)] },
    { name: 'with less than the read before', steps: [read('x', 1), append('x', 2), read('x', 2)] },
    { name: 'with an append that comes later', steps: [read('x', 1, 2), append('x', 2)] },
  ])('internal: a read $name', ({ steps }) => {
    expect(found(ok(0, 1, append('x', 1)), ok(2, 3, ...steps))).toContain('internal');
  });

  test('nothing is wrong with a transaction that sees its own appends', () => {
    const steps = [read('x', 1), append('x', 2), read('x', 1, 2), append('x', 3), read('x', 1, 2, 3)];
    expect(found(ok(0, 1, append('x', 1)), ok(2, 3, ...steps), ok(4, 5, read('x', 1, 2, 3)))).toEqual([]);
  });
});

describe('cycles', () => {
  test('G0: writes of two transactions in different orders at two keys', () => {
    const writes = [ok(0, 9, append('x', 1), append('y', 1)), ok(0, 9, append('x', 2), append('y', 2))];
    expect(found(...writes, ok(10, 11, read('x', 1, 2), read('y', 2, 1)))).toContain('G0');
  });

  test('G1c: each has seen the other', () => {
    const history = [ok(0, 9, append('x', 1), read('y', 2)), ok(0, 9, append('y', 2), read('x', 1))];
    expect(found(...history)).toEqual(['G1c']);
  });

  // P. Alvaro and K. Kingsbury, Elle (VLDB 2020): found in TiDB.
  test('G-single: the third append comes between a read and the own append of the same transaction', () => {
    const history = [
      ok(-9, -8, append(34, 2)),
      ok(-7, -6, append(34, 1)),
      ok(0, 9, read(34, 2, 1), append(36, 5), append(34, 4)),
      ok(0, 9, append(34, 5)),
      ok(0, 9, read(34, 2, 1, 5, 4)),
    ];
    expect(found(...history)).toEqual(['G-single']);
  });

  // The same paper's first example: only that the last transaction's append must come after what others saw closes the cycle.
  test('G-single: an append that no read shows is after all that reads show', () => {
    const history = [
      ok(0, 1, append(253, 1), append(255, 2), append(255, 3), append(256, 1), append(256, 2)),
      ok(2, 9, append(255, 8), read(253, 1)),
      ok(2, 9, append(256, 4), read(255, 2, 3, 8), read(256, 1, 2, 4), read(253, 1)),
      ok(2, 9, append(250, 10), read(253, 1), read(255, 2, 3), append(256, 3)),
    ];
    expect(found(...history)).toEqual(['G-single']);
  });

  test('G-single: half of a transaction is seen', () => {
    const history = [ok(0, 9, append('x', 1), append('y', 1)), ok(0, 9, read('x', 1), read('y'))];
    expect(found(...history, ok(10, 11, read('y', 1)))).toEqual(['G-single']);
  });

  test('G-single: an append that nobody ever saw comes after all that was seen', () => {
    const history = [ok(0, 9, append('x', 1), append('y', 1)), ok(0, 9, read('x', 1), read('y'))];
    expect(found(...history)).toEqual(['G-single']);
  });

  test('G2: each misses what the other writes', () => {
    const history = [ok(0, 9, read('x'), append('y', 1)), ok(0, 9, read('y'), append('x', 1))];
    expect(found(...history, ok(10, 11, read('x', 1), read('y', 1)))).toEqual(['G2']);
  });

  test('G2: a lost update; both read a list whole and append to it, and only one append is seen', () => {
    const history = [ok(0, 9, read('x'), append('x', 1)), ok(0, 9, read('x'), append('x', 2))];
    expect(found(...history, ok(10, 11, read('x', 1)))).toContain('G2');
  });

  // Long fork: two readers disagree about which of two independent writes was first.
  test('G2: two reads that see two writes in different orders', () => {
    const writes = [ok(0, 9, append('x', 1)), ok(0, 9, append('y', 1))];
    expect(found(...writes, ok(0, 9, read('x', 1), read('y')), ok(0, 9, read('x'), read('y', 1)))).toEqual([
      'G2',
    ]);
  });
});

describe('real time', () => {
  test('a read that misses what was acknowledged before its call', () => {
    const history = [ok(0, 1, append('x', 1)), ok(2, 3, read('x'))];
    expect(found(...history, ok(4, 5, read('x', 1)))).toEqual(['realtime']);
  });

  test('what happens at equal times is concurrent', () => {
    expect(found(ok(0, 2, append('x', 1)), ok(2, 3, read('x')), ok(4, 5, read('x', 1)))).toEqual([]);
  });

  test('it holds over others between', () => {
    const between = Array.from({ length: 5 }, (_, i) => ok(2 + 2 * i, 3 + 2 * i, append(`y${i}`, 1)));
    const history = [ok(0, 1, append('x', 1)), ...between, ok(20, 21, read('x'))];
    expect(found(...history, ok(30, 31, read('x', 1)))).toEqual(['realtime']);
  });

  test('an acknowledged append that a last read does not show is lost', () => {
    expect(found(ok(0, 1, append('x', 1)), ok(2, 3, read('x')))).toEqual(['realtime']);
  });
});

describe('unknown outcomes', () => {
  test('an append that nobody saw need not have happened', () => {
    expect(found(info(0, append('x', 1)), ok(2, 3, read('x')))).toEqual([]);
  });

  test('it may take effect long after its call', () => {
    expect(found(info(0, append('x', 1)), ok(2, 3, read('x')), ok(4, 5, read('x', 1)))).toEqual([]);
  });

  test('once seen it has happened, all of it', () => {
    const half = [info(0, append('x', 1), append('y', 1)), ok(2, 3, read('x', 1), read('y'))];
    expect(found(...half)).toEqual(['G-single']);
  });

  test('its reads count once it has happened', () => {
    const history = [
      ok(0, 1, append('x', 1)),
      info(2, read('x'), append('y', 1)),
      ok(3, 4, read('y', 1), read('x', 1)),
    ];
    expect(found(...history)).toEqual(['realtime']);
    expect(found(...history.slice(0, 2), ok(3, 4, read('y'), read('x', 1)))).toEqual([]);
  });
});

test('the report says in words who is before whom, and why', () => {
  const history = [ok(0, 9, append('x', 1), append('y', 1)), ok(0, 9, read('x', 1), read('y'))];
  expect(checkListAppend(history)).toEqual([
    {
      anomaly: 'G-single',
      message: [
        "T1 is before T0: it did not see T0's append of 1 to y",
        'T0 is before T1, which saw its append of 1 to x',
        'where',
        '  T1 = process 0 [0, 9] ok: read x as [1], read y as []',
        '  T0 = process 0 [0, 9] ok: append 1 to x, append 1 to y',
      ].join('\n'),
    },
  ]);
});

test('the shortest cycle is reported', () => {
  const ring = Array.from({ length: 6 }, (_, i) => ok(0, 9, append(`a${i}`, 1), read(`a${(i + 1) % 6}`, 1)));
  const pair = [ok(0, 9, append('x', 1), read('y', 2)), ok(0, 9, append('y', 2), read('x', 1))];
  const [violation] = checkListAppend([...ring, ...pair]);
  expect(violation?.anomaly).toBe('G1c');
  expect(violation?.message.match(/is before/g)).toHaveLength(2);
});

test('an element that is appended twice is a defect of the workload', () => {
  expect(() => checkListAppend([ok(0, 1, append('x', 1)), ok(2, 3, append('x', 1))])).toThrow('again');
});

test('small histories are judged as by trying all orders, where a last read shows every key', () => {
  const seen = { good: 0, bad: 0 };
  forEachHistory((g) => {
    const history = randomOutcomes(g);
    const isGood = isStrictlySerializable(history);
    seen[isGood ? 'good' : 'bad']++;
    expect(checkListAppend(history).length === 0, JSON.stringify(history)).toBe(isGood);
  }, 3000);
  expect(Math.min(seen.good, seen.bad)).toBeGreaterThan(300);
});

describe('an execution one by one, as clients see it', () => {
  test('has no anomaly', () => {
    forEachHistory((g) => expect(checkListAppend(listWorkload(g, 40))).toEqual([]));
  });

  test('with a stale read', () => {
    forEachHistory((g) => {
      const history = listWorkload(g, 25);
      // Reads that must see an element, by their index, and how much is left of them without it.
      const candidates = history.flatMap((reader, i) =>
        reader.outcome !== 'ok' || reader.steps.some(({ kind }) => kind === 'append')
          ? []
          : reader.steps.flatMap((step, j) => {
              const values = (step.kind === 'read' && step.values) || [];
              return values.flatMap((value, length) => {
                const writer = history.find(({ steps }) =>
                  steps.some((each) => each.kind === 'append' && each.value === value),
                );
                return writer !== undefined && writer.returned < reader.called ? [{ i, j, length }] : [];
              });
            }),
      );
      fc.pre(candidates.length > 0);
      const { i, j, length } = pick(g, candidates);
      const changed = history.map((each, index) => ({
        ...each,
        steps: each.steps.map((step, k) =>
          index === i && k === j && step.kind === 'read'
            ? { ...step, values: step.values?.slice(0, length) ?? null }
            : step,
        ),
      }));
      expectFound(checkListAppend(changed), 'G-single', 'realtime', 'internal', 'G2');
    });
  });

  test('with an acknowledged append that is lost', () => {
    forEachHistory((g) => {
      const history = listWorkload(g, 25);
      const acknowledged = history.flatMap(({ outcome, steps }) =>
        outcome === 'ok' ? steps.flatMap((step) => (step.kind === 'append' ? [step.value] : [])) : [],
      );
      fc.pre(acknowledged.length > 0);
      const lost = pick(g, acknowledged);
      const changed = history.map((each) => ({
        ...each,
        steps: each.steps.map((step) =>
          step.kind === 'read'
            ? { ...step, values: step.values?.filter((value) => value !== lost) ?? null }
            : step,
        ),
      }));
      expectFound(checkListAppend(changed), 'G0', 'G1c', 'G-single', 'realtime', 'internal', 'G2');
    });
  });

  test('with an append that is applied twice', () => {
    forEachHistory((g) => {
      const history = listWorkload(g, 25);
      const last = history.at(-1);
      const full = last?.steps.filter((step) => step.kind === 'read' && (step.values ?? []).length > 0) ?? [];
      fc.pre(full.length > 0);
      const step = pick(g, full);
      const changed = history.map((each) =>
        each !== last
          ? each
          : {
              ...each,
              steps: each.steps.map((other) =>
                other === step && other.kind === 'read'
                  ? { ...other, values: [...(other.values ?? []), pick(g, other.values ?? [])] }
                  : other,
              ),
            },
      );
      expectFound(checkListAppend(changed), 'duplicate');
    });
  });

  test('with a fractured read', () => {
    forEachHistory((g) => {
      const history = listWorkload(g, 15);
      const both = [append('p', 'half'), append('q', 'half')];
      const length = below(g, 3);
      const before = Array.from({ length }, (_, i) =>
        ok(-100 + 2 * i, -99 + 2 * i, append('p', i), append('q', i)),
      );
      const values = Array.from({ length }, (_, i) => i);
      const fractured = [
        ok(0, below(g, 100), ...both),
        ok(-20, below(g, 100), read('p', ...values, 'half'), read('q', ...values)),
      ];
      expectFound(checkListAppend([...before, ...fractured, ...history]), 'G-single');
    });
  });
});

test('ten thousand transactions are judged at once, and a stale read among them is found', () => {
  const history: ReturnType<typeof ok<ListStep>>[] = [];
  const lists = new Map<Id, Id[]>();
  for (let i = 0; i < 10_000; i++) {
    const round = Math.floor(i / 100) * 5;
    const [key, other] = [round + (i % 5), round + ((i * 7 + 3) % 5)];
    const list = lists.get(other) ?? [];
    const steps = [read(other, ...list), append(key, i)];
    lists.set(key, [...(lists.get(key) ?? []), i]);
    history.push(ok(i * 10 - ((i * 37) % 90), i * 10 + ((i * 53) % 90), ...steps));
  }
  history.push(ok(200_000, 200_001, ...[...lists].map(([key, list]) => read(key, ...list))));
  expect(checkListAppend(history)).toEqual([]);
  const stale = history.map((each, i) =>
    i === 7777 ? { ...each, steps: [read(each.steps[0]?.key ?? 0), ...each.steps.slice(1)] } : each,
  );
  expectFound(checkListAppend(stale), 'realtime', 'G-single');
});
