import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Bank, type BankStep, checkBank, type Transfer } from './bank.ts';
import type { History, Transaction } from './history.ts';
import {
  anomaliesIn,
  around,
  atTheEnd,
  below,
  expectFound,
  fail,
  fateOf,
  forEachHistory,
  type Generator,
  info,
  ok,
  pick,
} from './made-up.ts';

const BANK: Bank = {
  initial: new Map([
    ['a', 10],
    ['b', 10],
  ]),
  mayBeNegative: false,
};

function transfer(id: number, from: string, to: string, amount: number): BankStep & Transfer {
  return { kind: 'transfer', id, from, to, amount };
}

const FIRST = transfer(1, 'a', 'b', 3);

function readAll(balances: Record<string, number>, ledger: readonly Transfer[], isStrong = true): BankStep {
  return { kind: 'read-all', isStrong, balances: new Map(Object.entries(balances)), ledger };
}

function found(...history: History<BankStep>) {
  return anomaliesIn(checkBank(BANK, history));
}

describe('a read of everything', () => {
  test('before a transfer, during it and after it', () => {
    const history = [
      ok(0, 1, readAll({ a: 10, b: 10 }, [])),
      ok(2, 9, FIRST),
      ok(3, 4, readAll({ a: 10, b: 10 }, [])),
      ok(5, 6, readAll({ a: 7, b: 13 }, [FIRST])),
    ];
    expect(found(...history, ok(10, 11, readAll({ a: 7, b: 13 }, [FIRST])))).toEqual([]);
  });

  test('sum: half of a transfer', () => {
    const history = [ok(2, 9, FIRST), ok(3, 4, readAll({ a: 7, b: 10 }, [FIRST]))];
    expect(found(...history, ok(10, 11, readAll({ a: 7, b: 13 }, [FIRST])))).toEqual(['balance', 'sum']);
  });

  test('balance: a ledger and balances of different moments', () => {
    const history = [ok(2, 9, FIRST), ok(3, 4, readAll({ a: 10, b: 10 }, [FIRST]))];
    expect(found(...history, ok(10, 11, readAll({ a: 7, b: 13 }, [FIRST])))).toEqual(['balance']);
  });

  test('negative: where it is forbidden', () => {
    const much = transfer(1, 'a', 'b', 11);
    const history = [ok(0, 1, much), ok(2, 3, readAll({ a: -1, b: 21 }, [much]))];
    expect(found(...history)).toEqual(['negative']);
    expect(checkBank({ ...BANK, mayBeNegative: true }, history)).toEqual([]);
  });

  test('accounts: one is missing', () => {
    expect(found(ok(2, 3, readAll({ a: 20 }, [])))).toContain('accounts');
  });

  test('ledger: a row of another amount than was written', () => {
    const history = [ok(0, 1, FIRST), ok(2, 3, readAll({ a: 6, b: 14 }, [{ ...FIRST, amount: 4 }]))];
    expect(found(...history)).toEqual(['ledger']);
  });

  test('doubled: a transfer that is applied twice', () => {
    expect(found(ok(0, 1, FIRST), ok(2, 3, readAll({ a: 4, b: 16 }, [FIRST, FIRST])))).toEqual(['doubled']);
  });

  test('balance: a transfer that is applied twice with one row', () => {
    expect(found(ok(0, 1, FIRST), ok(2, 3, readAll({ a: 4, b: 16 }, [FIRST])))).toEqual(['balance']);
  });
});

describe('outcomes', () => {
  test('lost: acknowledged, and not there', () => {
    expect(found(ok(0, 1, FIRST), ok(2, 3, readAll({ a: 10, b: 10 }, [])))).toEqual(['lost']);
  });

  test('failed: refused, and there', () => {
    expect(found(fail(0, 1, FIRST), ok(2, 3, readAll({ a: 7, b: 13 }, [FIRST])))).toEqual(['failed']);
    expect(found(fail(0, 1, FIRST), ok(2, 3, readAll({ a: 10, b: 10 }, [])))).toEqual([]);
  });

  test('unknown: there or not, but not twice', () => {
    expect(found(info(0, FIRST), ok(2, 3, readAll({ a: 7, b: 13 }, [FIRST])))).toEqual([]);
    expect(found(info(0, FIRST), ok(2, 3, readAll({ a: 10, b: 10 }, [])))).toEqual([]);
    expect(found(info(0, FIRST), ok(2, 3, readAll({ a: 4, b: 16 }, [FIRST, FIRST])))).toEqual(['doubled']);
  });

  test('unwritten: a row that nobody wrote', () => {
    expect(found(ok(2, 3, readAll({ a: 7, b: 13 }, [FIRST])))).toEqual(['unwritten']);
  });

  test('a weaker read may be of the past, as a whole', () => {
    const end = ok(20, 21, readAll({ a: 7, b: 13 }, [FIRST]));
    expect(found(ok(0, 1, FIRST), ok(2, 3, readAll({ a: 10, b: 10 }, [], false)), end)).toEqual([]);
    expect(found(ok(0, 1, FIRST), ok(2, 3, readAll({ a: 7, b: 10 }, [], false)), end)).toContain('sum');
  });
});

test('a history that no read of everything ends is not passed', () => {
  expect(found(ok(0, 1, readAll({ a: 10, b: 10 }, [])), ok(2, 3, FIRST))).toEqual(['unfinished']);
  expect(found(ok(2, 3, FIRST), ok(4, 5, readAll({ a: 7, b: 13 }, [FIRST], false)))).toEqual(['unfinished']);
  expect(found(ok(2, 3, FIRST), ok(3, 5, readAll({ a: 7, b: 13 }, [FIRST])))).toEqual(['unfinished']);
});

describe('an execution one by one, as clients see it', () => {
  test('has no anomaly', () => {
    forEachHistory((g) => expect(checkBank(ACCOUNTS, workload(g, 40))).toEqual([]));
  });

  test('with a doubled transfer', () => {
    forEachHistory((g) => {
      const history = workload(g, 30);
      const rows = ledgerOf(history.at(-1)).filter(({ from, to }) => from !== to);
      fc.pre(rows.length > 0);
      const twice = pick(g, rows);
      const both = below(g, 2) === 0;
      // With a row of its own, or in the balances alone.
      const changed = withLastRead(history, (balances, ledger) => ({
        balances: moved(balances, twice),
        ledger: both ? [...ledger, twice] : ledger,
      }));
      expectFound(checkBank(ACCOUNTS, changed), 'doubled', 'balance');
    });
  });

  test('with a lost transfer', () => {
    forEachHistory((g) => {
      const history = workload(g, 30);
      const acknowledged = history.flatMap(({ outcome, steps: [step] }) =>
        outcome === 'ok' && step?.kind === 'transfer' ? [step] : [],
      );
      fc.pre(acknowledged.length > 0);
      const { id, from, to, amount } = pick(g, acknowledged);
      const changed = withLastRead(history, (balances, ledger) => ({
        balances: moved(balances, { id, from: to, to: from, amount }),
        ledger: ledger.filter((row) => row.id !== id),
      }));
      expectFound(checkBank(ACCOUNTS, changed), 'lost');
    });
  });

  test('with a fractured read', () => {
    forEachHistory((g) => {
      const history = workload(g, 30);
      const rows = ledgerOf(history.at(-1)).filter(({ from, to }) => from !== to);
      fc.pre(rows.length > 0);
      const { from, amount } = pick(g, rows);
      const changed = withLastRead(history, (balances, ledger) => {
        return { balances: new Map(balances).set(from, (balances.get(from) ?? 0) + amount), ledger };
      });
      expectFound(checkBank(ACCOUNTS, changed), 'sum');
    });
  });
});

const ACCOUNTS: Bank = {
  initial: new Map([0, 1, 2, 3].map((account) => [account, 20])),
  mayBeNegative: false,
};

function workload(g: Generator, count: number): History<BankStep> {
  let balances = ACCOUNTS.initial;
  let ledger: readonly Transfer[] = [];
  const look = (isStrong: boolean): BankStep => ({ kind: 'read-all', isStrong, balances, ledger });
  const history: Transaction<BankStep>[] = [];
  for (let number = 0; number < count; number++) {
    if (below(g, 3) === 0) {
      history.push(around(g, number, 'ok', [look(below(g, 3) > 0)]));
      continue;
    }
    const row = { id: number, from: below(g, 4), to: below(g, 4), amount: 1 + below(g, 9) };
    const isRefused = (balances.get(row.from) ?? 0) < row.amount;
    const { outcome, isApplied } = isRefused ? { outcome: 'fail' as const, isApplied: false } : fateOf(g);
    if (isApplied) {
      balances = moved(balances, row);
      ledger = [...ledger, row];
    }
    history.push(around(g, number, outcome, [{ kind: 'transfer', ...row }]));
  }
  return [...history, atTheEnd(count, look(true))];
}

function moved(balances: Bank['initial'], { from, to, amount }: Transfer): Bank['initial'] {
  const after = new Map(balances).set(from, (balances.get(from) ?? 0) - amount);
  return after.set(to, (after.get(to) ?? 0) + amount);
}

function ledgerOf(transaction: Transaction<BankStep> | undefined): readonly Transfer[] {
  const [step] = transaction?.steps ?? [];
  return step?.kind === 'read-all' ? step.ledger : [];
}

function withLastRead(
  history: History<BankStep>,
  change: (
    balances: Bank['initial'],
    ledger: readonly Transfer[],
  ) => Pick<BankStep & { kind: 'read-all' }, 'balances' | 'ledger'>,
): History<BankStep> {
  return history.map((each, i) => ({
    ...each,
    steps: each.steps.map((step) =>
      i === history.length - 1 && step.kind === 'read-all'
        ? { ...step, ...change(step.balances, step.ledger) }
        : step,
    ),
  }));
}
