import { median, type Row } from '../report.ts';
import { type BenchCluster, TOKEN } from './cluster.ts';
import { type LoadResult, runLoad } from './load.ts';

const ROUNDS = 5;
/** Accounts of each partition. */
const ACCOUNTS = 200;
const CONNECTIONS = 16;

/** Moves between accounts: in one partition, over two, over two with keys apart or partitions apart, and of one key. */
export async function benchTransactions(cluster: BenchCluster, requests: number): Promise<Row[]> {
  const homes = await accountsByPartition(cluster);
  const [first = [], second = [], third = [], fourth = []] = homes;
  const at = (names: readonly string[], index: number): string => names[index % names.length] as string;
  const sides: readonly { readonly name: string; readonly body: (index: number) => string }[] = [
    { name: 'batch in one partition', body: (i) => move(at(first, i), at(first, i + 1)) },
    { name: 'transfer over two', body: (i) => move(at(first, i), at(second, i + 1)) },
    {
      name: 'transfer, half of the clients over other partitions',
      body: (i) => (i % 2 === 0 ? move(at(first, i), at(second, i)) : move(at(third, i), at(fourth, i))),
    },
    { name: 'transfer of one contended key', body: (i) => move(at(first, 0), at(second, i)) },
  ];
  const results = new Map<string, LoadResult[]>(sides.map(({ name }) => [name, []]));
  const before = await retries(cluster);
  let contended = 0;
  for (let round = 0; round <= ROUNDS; round++) {
    for (const { name, body } of sides) {
      const count = name.endsWith('contended key') ? Math.ceil(requests / 8) : requests;
      const start = await retries(cluster);
      const result = await runLoad({
        url: new URL(`${cluster.url}/v1/batch`),
        connections: CONNECTIONS,
        requests: count,
        body: (index) => body(round * requests + index),
        token: TOKEN,
      });
      if (name.endsWith('contended key'))
        contended += ((await retries(cluster)) - start) / count / (ROUNDS + 1);
      // The first round warms up.
      if (round > 0) results.get(name)?.push(result);
    }
  }
  const rate = (name: string) => median((results.get(name) ?? []).map((result) => result.requestsPerSecond));
  const single = rate('batch in one partition');
  const together = rate('transfer over two');
  console.log(`conflicts that routers tried again: ${(await retries(cluster)) - before}`);
  return sides.map(({ name }) => {
    const own = results.get(name) ?? [];
    const ratios: Record<string, number> = {};
    if (name === 'transfer over two') ratios['of a batch in one (target 0.35)'] = together / single;
    if (name.startsWith('transfer, half'))
      ratios['the same partitions, of partitions apart (target 0.8)'] = together / rate(name);
    if (name.endsWith('contended key')) ratios['tries again each'] = contended;
    return {
      what: name,
      perSecond: rate(name),
      p50Ms: median(own.map((result) => result.p50Ms)),
      p99Ms: median(own.map((result) => result.p99Ms)),
      ratios,
    };
  });
}

export function move(from: string, to: string): string {
  const sql = 'UPDATE accounts SET amount = amount + ? WHERE name = ?';
  return JSON.stringify({
    statements: [
      { sql, args: [-1, from] },
      { sql, args: [1, to] },
    ],
  });
}

/** Names of accounts, by the partition that has them. */
export async function accountsByPartition(cluster: BenchCluster): Promise<string[][]> {
  await cluster.query('CREATE TABLE accounts (name TEXT PRIMARY KEY, amount INTEGER)');
  const homes = new Map<number, string[]>();
  for (let i = 0; [...homes.values()].filter((names) => names.length >= ACCOUNTS).length < 4; i++) {
    const reply = (await cluster.query('INSERT INTO accounts VALUES (?, 0)', [
      `account ${i}`,
    ])) as unknown as {
      plan: { partition: number };
    };
    const names = homes.get(reply.plan.partition) ?? [];
    homes.set(reply.plan.partition, [...names, `account ${i}`]);
  }
  return [...homes.values()];
}

async function retries({ url }: BenchCluster): Promise<number> {
  const reply = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } });
  return Number(/atoll_retries_total\{reason="conflict"\} (\d+)/.exec(await reply.text())?.[1] ?? 0);
}
