import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestCluster } from '../cluster/cluster.ts';

let cluster: TestCluster;
/** An account of each of two partitions. */
let first: { owner: string; partition: number };
let second: { owner: string; partition: number };

beforeAll(async () => {
  cluster = await TestCluster.start({ partitions: 3 });
  await cluster.query('CREATE TABLE accounts (owner TEXT PRIMARY KEY, amount INTEGER NOT NULL)');
  const homes = new Map<number, string>();
  for (let i = 0; homes.size < 2; i++) {
    const owner = `owner ${i}`;
    const { json } = await cluster.query('INSERT INTO accounts VALUES (?, 100)', [owner]);
    homes.set(json.plan.partition, owner);
  }
  [first, second] = [...homes].map(([partition, owner]) => ({ partition, owner })) as [
    typeof first,
    typeof second,
  ];
});
afterAll(() => cluster.dispose());

const ADD = 'UPDATE accounts SET amount = amount + ? WHERE owner = ?';

async function prepared(transaction: string, amount: number) {
  return cluster.rpc(first.partition, 'prepare', await prepare(transaction, amount));
}

async function prepare(transaction: string, amount: number, { owner } = first) {
  const { json } = await cluster.get('/v1/network');
  return {
    transaction,
    startedMs: Date.now(),
    anchor: second.partition,
    term: 1,
    time: '0000000000000000-p2',
    schema: json.schemaVersion ?? 1,
    system: 0,
    part: {
      partition: first.partition,
      epoch: 1,
      read: false,
      statements: [{ sql: ADD, args: [amount, owner] }],
    },
  };
}

async function amountOf({ owner }: { owner: string }, timeoutMs = 10_000): Promise<number> {
  const { json } = await cluster.query('SELECT amount FROM accounts WHERE owner = ?', [owner], { timeoutMs });
  return json.rows[0][0];
}

test('prepares that come together are each voted on; one that meets locks of another is told to come alone, and leaves nothing', async () => {
  const names = ['1', '2', '3', '4'].map((digit) => digit.repeat(32)) as [string, string, string, string];
  const before = await amountOf(first);
  const requests = [
    await prepare(names[0], 7),
    // Older than the first: it may wait for it.
    { ...(await prepare(names[1], 8)), startedMs: 1 },
    { ...(await prepare(names[2], 9)), schema: 1_000_000 },
    await prepare(names[3], Number.NaN, { ...first, owner: 'nobody' }),
  ];
  const { status, json } = await cluster.rpc(first.partition, 'prepare-many', { requests });
  expect(status).toBe(200);
  const [held, waits, behind, other] = json.answers;
  expect(held).toMatchObject({ vote: 'yes', read: false });
  expect([waits, behind]).toEqual([null, null]);
  // Without a row there is nothing to be changed; and NULL is no amount, of nobody.
  expect(other).toMatchObject({ vote: 'yes' });
  for (const [transaction, { preparedAt }] of [
    [names[0], held],
    [names[3], other],
  ])
    await cluster.rpc(first.partition, 'transaction-end', { transaction, commitTimestamp: preparedAt });
  expect(await amountOf(first)).toBe(before + 7);
  const again = await cluster.rpc(first.partition, 'prepare-many', {
    requests: [
      await prepare('5'.repeat(32), null as never),
      { ...(await prepare(names[1], 1)), startedMs: 1 },
    ],
  });
  expect(again.json.answers).toMatchObject([
    { error: { code: 'constraint', outcome: 'none', detail: { sqlite: 'SQLITE_CONSTRAINT_NOTNULL' } } },
    { vote: 'yes' },
  ]);
  await cluster.rpc(first.partition, 'transaction-end', { transaction: names[1], commitTimestamp: null });
  expect(await amountOf(first)).toBe(before + 7);
  await cluster.query(ADD, [-7, first.owner]);
});

describe('a prepare whose anchor does not know the attempt', () => {
  test('keeps others from its key, not from other keys, and is aborted without anybody asking', async () => {
    const before = await amountOf(first);
    const vote = await prepared('a'.repeat(32), 7);
    expect(vote.json).toMatchObject({ vote: 'yes', read: false });
    const { json: network } = await cluster.get('/v1/network');
    const { inDoubt } = network.partitions.find(
      (each: { partition: number }) => each.partition === first.partition,
    );
    expect(inDoubt).toMatchObject([
      { transaction: 'a'.repeat(32), anchor: second.partition, decided: false },
    ]);
    const metrics = (await cluster.get('/metrics?wake=yes')).text;
    expect(metrics).toContain(`atoll_transactions_in_doubt{partition="${first.partition}"} 1`);
    const busy = await cluster.post('/v1/query', {
      sql: 'SELECT amount FROM accounts WHERE owner = ?',
      args: [first.owner],
      timeoutMs: 200,
    });
    // On a busy machine the router's time is over before the answer is there.
    expect(['503 busy none', '504 timeout none']).toContain(
      `${busy.status} ${busy.json.error?.code} ${busy.json.error?.outcome}`,
    );
    expect(await amountOf(second)).toBe(100);
    expect(await amountOf(first)).toBe(before);
  });

  test('outlives its object, and is settled by the next one', async () => {
    const before = await amountOf(first);
    expect((await prepared('b'.repeat(32), 7)).json.vote).toBe('yes');
    await cluster.reset(first.partition);
    expect(await amountOf(first)).toBe(before);
  });

  test('is applied once when its end comes, and an end that comes late or twice does nothing', async () => {
    const before = await amountOf(first);
    const transaction = 'c'.repeat(32);
    const { preparedAt } = (await prepared(transaction, 7)).json;
    const end = { transaction, commitTimestamp: preparedAt };
    await Promise.all([1, 2, 3].map(() => cluster.rpc(first.partition, 'transaction-end', end)));
    expect(await amountOf(first)).toBe(before + 7);
    await cluster.rpc(first.partition, 'transaction-end', { transaction, commitTimestamp: null });
    expect(await amountOf(first)).toBe(before + 7);
  });
});

test('kills of workerd in the middle of transfers lose and double nothing', async () => {
  await cluster.query(
    'CREATE TABLE ledger (owner TEXT, transfer TEXT, change INTEGER, PRIMARY KEY (owner, transfer))',
  );
  await cluster.query('ALTER TABLE ledger PARTITION BY (owner)');
  const fate = new Map<string, 'ok' | 'fail' | 'info'>();
  let running = true;
  const client = async (name: string): Promise<void> => {
    for (let i = 0; running; i++) {
      const transfer = `${name} ${i}`;
      const statements = [
        { sql: ADD, args: [-1, first.owner] },
        { sql: ADD, args: [1, second.owner] },
        { sql: 'INSERT INTO ledger VALUES (?, ?, -1)', args: [first.owner, transfer] },
        { sql: 'INSERT INTO ledger VALUES (?, ?, 1)', args: [second.owner, transfer] },
      ];
      fate.set(transfer, 'info');
      const reply = await cluster.post('/v1/batch', { statements, timeoutMs: 5_000 }).catch(() => null);
      if (reply?.status === 200) fate.set(transfer, 'ok');
      else if (reply?.json.error?.outcome === 'none') fate.set(transfer, 'fail');
    }
  };
  const clients = Promise.all(['a', 'b', 'c', 'd'].map(client));
  const acknowledged = () => [...fate.values()].filter((outcome) => outcome === 'ok').length;
  for (let kill = 0; kill < 4; kill++) {
    const before = acknowledged();
    while (acknowledged() < before + 10) await new Promise((resolve) => setTimeout(resolve, 5));
    if (kill % 2 === 0) await cluster.kill();
    else await cluster.reset(kill === 1 ? first.partition : second.partition);
  }
  running = false;
  await clients;
  const rows = await cluster.rows('SELECT transfer, count(*), sum(change) FROM ledger GROUP BY transfer');
  for (const [, count, sum] of rows) expect([count, sum]).toEqual([2, 0]);
  const applied = new Set(rows.map(([transfer]) => transfer));
  for (const [transfer, outcome] of fate) {
    if (outcome === 'ok') expect(applied.has(transfer), transfer).toBe(true);
    if (outcome === 'fail') expect(applied.has(transfer), transfer).toBe(false);
  }
  const [a, b] = [await amountOf(first), await amountOf(second)];
  const changes = await cluster.rows('SELECT owner, sum(change) FROM ledger GROUP BY owner');
  const changeOf = Object.fromEntries(changes) as Record<string, number>;
  expect(b).toBe(100 + (changeOf[second.owner] as number));
  expect(a).toBe(100 + 7 + (changeOf[first.owner] as number));
});
