import type { Random } from '../../harness/random.ts';
import { type Bank, type BankStep, checkBank, type Transfer } from '../checkers/bank.ts';
import type { Operation } from '../client.ts';
import { rebuild } from './rebuild.ts';
import { AGO_MS, type RequestWorkload } from './workload.ts';

const ACCOUNTS = ['ann', 'bob', 'cy', 'dee', 'eve'];
const INITIAL = 20;

/**
 * Money moves between accounts of different partitions; each transfer leaves a row in a ledger of another partition. Now and then all balances are copied, each
 * within its own partition.
 */
export function bank(): RequestWorkload<BankStep> {
  const bank: Bank = { initial: new Map(ACCOUNTS.map((name) => [name, INITIAL])), mayBeNegative: false };
  let transfers = 0;
  let copies = 0;
  return {
    name: 'bank',
    interactive: true,
    decisive: ['execute', 'transaction-ends'],
    setUp: [
      [
        {
          sql: 'CREATE TABLE accounts (name TEXT PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0))',
        },
      ],
      [
        {
          sql: 'CREATE TABLE ledger (id INTEGER PRIMARY KEY, number INTEGER, source TEXT, target TEXT, amount INTEGER)',
        },
      ],
      [
        {
          sql: 'CREATE TABLE copies (place TEXT, name TEXT, number INTEGER, balance INTEGER) PARTITION BY (place)',
        },
      ],
      ACCOUNTS.map((name) => ({ sql: 'INSERT INTO accounts VALUES (?, ?)', args: [name, INITIAL] })),
    ],
    schemaPausesMs: [5, 20, 100],
    schemaChanges: [
      rebuild(
        'accounts',
        'balance INTEGER NOT NULL CHECK (balance >= 0), name TEXT PRIMARY KEY, CHECK (balance % 5 <> 3)',
        'name, balance',
      ),
      rebuild(
        'accounts',
        'name TEXT PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0)',
        'name, balance',
      ),
      // Refused while there is such a balance; and there may be none on its way, in what is prepared.
      'ALTER TABLE accounts ADD COLUMN one INTEGER CHECK (balance % 5 <> 1)',
      'ALTER TABLE accounts DROP COLUMN one',
      'ALTER TABLE accounts ADD COLUMN two INTEGER CHECK (balance % 5 <> 2)',
      'ALTER TABLE accounts DROP COLUMN two',
      'CREATE INDEX ledger_source ON ledger (source)',
      'ALTER TABLE accounts ADD COLUMN three INTEGER CHECK (balance % 5 <> 3)',
      'ALTER TABLE accounts DROP COLUMN three',
      'ALTER TABLE accounts ADD COLUMN four INTEGER CHECK (balance % 5 <> 4)',
      'ALTER TABLE accounts DROP COLUMN four',
      'ALTER TABLE accounts ADD COLUMN five INTEGER CHECK (balance % 5 <> 0)',
      'ALTER TABLE accounts ADD COLUMN note TEXT',
    ],
    next: (random) => {
      if (random.chance(0.1)) return readSum(random.pick(AGO_MS));
      if (random.chance(0.2)) return readSum(null);
      if (random.chance(0.15)) return random.chance(0.7) ? copy(++copies, random.pick(COPIES)) : readCopies();
      return random.chance(0.2) ? readAll() : transfer(random, ++transfers);
    },
    final: readAll,
    check: (history) => checkBank(bank, history),
  };
}

function transfer(random: Random, id: number): Operation<BankStep> {
  const from = random.pick(ACCOUNTS);
  const to = random.pick(ACCOUNTS.filter((name) => name !== from));
  const amount = 1 + random.below(9);
  const statements = [
    { sql: 'UPDATE accounts SET balance = balance - ? WHERE name = ?', args: [amount, from] },
    { sql: 'UPDATE accounts SET balance = balance + ? WHERE name = ?', args: [amount, to] },
    {
      sql: 'INSERT INTO ledger (number, source, target, amount) VALUES (?, ?, ?, ?)',
      args: [id, from, to, amount],
    },
  ];
  return {
    path: '/v1/batch',
    body: { statements },
    steps: () => [{ kind: 'transfer', id, from, to, amount }],
  };
}

/** Of all balances, as rows that stay where their accounts are, that move, and that are read first and put together. */
const COPIES = [
  'SELECT name, name, ?1, balance FROM accounts',
  "SELECT ?1 || ' of ' || name, name, ?1, balance FROM accounts",
  "SELECT 'copy ' || ?1 || name, name, ?1, balance FROM accounts ORDER BY balance LIMIT 9",
];

function copy(number: number, select: string): Operation<BankStep> {
  const sql = `INSERT INTO copies ${select}`;
  return {
    path: '/v1/batch',
    body: { statements: [{ sql, args: [number] }] },
    steps: () => [{ kind: 'copy', number }],
  };
}

function readCopies(): Operation<BankStep> {
  return {
    path: '/v1/query',
    body: { sql: 'SELECT number, name, balance FROM copies' },
    steps: (results) => {
      const [rows = []] = results ?? [];
      const copied = rows.map(([number, account, balance]) => ({
        number: Number(number),
        account: String(account),
        balance: Number(balance),
      }));
      return [{ kind: 'read-copies', rows: copied }];
    },
  };
}

/** One read over all partitions, certified and not locked: balances alone, with the ledger that they came from. */
function readSum(agoMs: number | null): Operation<BankStep> {
  const sql = `SELECT 'account', name, balance, NULL, NULL FROM accounts
    UNION ALL SELECT 'transfer', number, source, target, amount FROM ledger`;
  return {
    path: '/v1/query',
    body: { sql },
    ...(agoMs !== null && { agoMs }),
    steps: (results) => {
      const [rows = []] = results ?? [];
      const of = (kind: string) => rows.filter((row) => row[0] === kind).map((row) => row.slice(1));
      return [wholeRead(of('account'), of('transfer'), agoMs === null)];
    },
  };
}

function readAll(): Operation<BankStep> {
  const statements = [
    { sql: 'SELECT name, balance FROM accounts' },
    { sql: 'SELECT number, source, target, amount FROM ledger' },
  ];
  return {
    path: '/v1/batch',
    body: { statements },
    steps: (results) => {
      const [accounts = [], ledger = []] = results ?? [];
      return [wholeRead(accounts, ledger, true)];
    },
  };
}

function wholeRead(
  accounts: readonly unknown[][],
  ledger: readonly unknown[][],
  isStrong: boolean,
): BankStep {
  return {
    kind: 'read-all',
    isStrong,
    balances: new Map(accounts.map(([name, balance]) => [String(name), Number(balance)])),
    ledger: ledger.map(
      ([id, from, to, amount]): Transfer => ({
        id: Number(id),
        from: String(from),
        to: String(to),
        amount: Number(amount),
      }),
    ),
  };
}
