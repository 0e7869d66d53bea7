import { type AppearanceAnomaly, checkAppearances } from './appearances.ts';
import {
  assertWellFormed,
  type History,
  type Id,
  nameOf,
  type Transaction,
  type Violation,
} from './history.ts';
import { stepsOf, unfinished, type WholeRead, wholeReadsOf } from './whole-read.ts';

/** A row of the ledger, inserted in the transaction that moves the money. */
export interface Transfer {
  /** Of one transaction only. */
  readonly id: Id;
  readonly from: Id;
  readonly to: Id;
  readonly amount: number;
}

export interface CopiedBalance {
  readonly number: Id;
  readonly account: Id;
  readonly balance: number;
}

export type BankStep =
  /** A transfer that was refused, for lack of money, is `fail`. */
  | ({ readonly kind: 'transfer' } & Transfer)
  /** A copy of all balances, made by one statement. */
  | { readonly kind: 'copy'; readonly number: Id }
  /** Rows of copies. */
  | { readonly kind: 'read-copies'; readonly rows: readonly CopiedBalance[] }
  /** Both tables, read as of one moment. */
  | (WholeRead & { readonly balances: ReadonlyMap<Id, number>; readonly ledger: readonly Transfer[] });

export interface Bank {
  readonly initial: ReadonlyMap<Id, number>;
  readonly mayBeNegative: boolean;
}

/**
 * `sum`: money came or went. `negative`: an overdraft that transfers had to refuse. `accounts`: other accounts than there
 * are. `balance`: not what the ledger makes of the initial balance. `ledger`: a row is not what its transfer wrote. `copy`: it
 * has some accounts more or less often than once, or balances of several moments.
 */
export type BankAnomaly =
  | 'sum'
  | 'negative'
  | 'accounts'
  | 'balance'
  | 'ledger'
  | 'copy'
  | AppearanceAnomaly
  | 'unfinished';

/** Whether each read of everything shows whole transfers only, and each as often as its outcome says. */
export function checkBank(bank: Bank, history: History<BankStep>): Violation<BankAnomaly>[] {
  assertWellFormed(history);
  const transfers = stepsOf(history, 'transfer');
  const written = new Map(transfers.map(({ step }) => [step.id, step]));
  const lifetimes = transfers.map(({ by, step }) => ({ id: step.id, insertedBy: by, deletedBy: [] }));
  const reads = wholeReadsOf(history);
  const sights = reads.map(({ by, step }) => {
    return { by, isStrong: step.isStrong, ids: step.ledger.map(({ id }) => id) };
  });
  return [
    ...reads.flatMap(({ by, step }) => balanceAnomalies(bank, by, step.balances, step.ledger)),
    ...reads.flatMap(({ by, step }) => ledgerAnomalies(by, step.ledger, written)),
    ...checkAppearances(lifetimes, sights),
    ...stepsOf(history, 'read-copies').flatMap(({ by, step }) => {
      return by.outcome === 'ok' ? copyAnomalies(bank, by, step.rows) : [];
    }),
    ...unfinished(history),
  ];
}

function balanceAnomalies(
  { initial, mayBeNegative }: Bank,
  by: Transaction<BankStep>,
  balances: ReadonlyMap<Id, number>,
  ledger: readonly Transfer[],
): Violation<BankAnomaly>[] {
  const found: Violation<BankAnomaly>[] = [];
  const add = (anomaly: BankAnomaly, what: string): void => {
    found.push({ anomaly, message: `${nameOf(by)} saw ${what}` });
  };
  if (!isSame(new Set(initial.keys()), new Set(balances.keys()))) {
    add(
      'accounts',
      `the accounts ${[...balances.keys()].join(' ')}; there are ${[...initial.keys()].join(' ')}`,
    );
  }
  const [sum, expectedSum] = [total(balances), total(initial)];
  if (sum !== expectedSum) add('sum', `${sum} in all accounts together, not ${expectedSum}`);
  const expected = new Map(initial);
  for (const { from, to, amount } of ledger) {
    expected.set(from, (expected.get(from) ?? 0) - amount);
    expected.set(to, (expected.get(to) ?? 0) + amount);
  }
  for (const [account, balance] of balances) {
    if (balance < 0 && !mayBeNegative) add('negative', `${balance} in account ${account}`);
    if (balance !== expected.get(account)) {
      add(
        'balance',
        `${balance} in account ${account}, where the ledger it saw makes ${expected.get(account)}`,
      );
    }
  }
  return found;
}

function ledgerAnomalies(
  by: Transaction<BankStep>,
  ledger: readonly Transfer[],
  written: ReadonlyMap<Id, Transfer>,
): Violation<BankAnomaly>[] {
  return ledger.flatMap(({ id, from, to, amount }) => {
    const transfer = written.get(id);
    const isWritten = transfer?.from === from && transfer.to === to && transfer.amount === amount;
    // What nobody wrote is judged with the appearances.
    if (isWritten || transfer === undefined) return [];
    return [
      {
        anomaly: 'ledger',
        message: `${nameOf(by)} saw ${id} as ${amount} from ${from} to ${to}: not what was written`,
      },
    ];
  });
}

function copyAnomalies(
  { initial }: Bank,
  by: Transaction<BankStep>,
  rows: readonly CopiedBalance[],
): Violation<BankAnomaly>[] {
  return [...Map.groupBy(rows, ({ number }) => number)].flatMap(([number, copied]) => {
    const balances = new Map(copied.map(({ account, balance }) => [account, balance]));
    const isWhole =
      copied.length === initial.size && isSame(new Set(initial.keys()), new Set(balances.keys()));
    if (isWhole && total(balances) === total(initial)) return [];
    const shown = copied.map(({ account, balance }) => `${account} ${balance}`).join(', ');
    return [{ anomaly: 'copy', message: `${nameOf(by)} saw copy ${number} as ${shown}` }];
  });
}

function total(balances: ReadonlyMap<Id, number>): number {
  return [...balances.values()].reduce((sum, balance) => sum + balance, 0);
}

function isSame(a: ReadonlySet<Id>, b: ReadonlySet<Id>): boolean {
  return a.size === b.size && a.isSubsetOf(b);
}
