import { median, type Row } from '../report.ts';
import { type BenchCluster, TOKEN } from './cluster.ts';
import { type LoadResult, runLoad } from './load.ts';

/** Requests of one side before the other one's turn: short, so that what else the machine does meets both. */
const TURN = 20;
const ROWS = 200;

const SIDES = [
  { name: 'per partition', consistency: 'eventual' },
  { name: 'certified', consistency: 'strong' },
] as const;

const QUERIES = [
  { what: 'scatter, count(*)', sql: 'SELECT count(*) FROM seats' },
  { what: `scatter, ${ROWS} rows in order`, sql: 'SELECT id, hall, guest FROM seats ORDER BY id' },
] as const;

/** A read of all partitions while nobody writes: what its second round costs. One request at a time. */
export async function benchCertified(cluster: BenchCluster, requests: number): Promise<Row[]> {
  await cluster.query(
    'CREATE TABLE seats (id INTEGER PRIMARY KEY, hall TEXT, guest TEXT) PARTITION BY (hall)',
  );
  for (let row = 0; row < ROWS; row++) {
    await cluster.query('INSERT INTO seats (hall, guest) VALUES (?, ?)', [`hall ${row}`, `guest ${row}`]);
  }
  const rows: Row[] = [];
  for (const { what, sql } of QUERIES) rows.push(...(await measure(cluster, what, sql, requests)));
  return rows;
}

async function measure(cluster: BenchCluster, what: string, sql: string, requests: number): Promise<Row[]> {
  const url = new URL(`${cluster.url}/v1/query`);
  const results = new Map<string, LoadResult[]>(SIDES.map(({ name }) => [name, []]));
  for (let turn = 0; turn <= requests / TURN; turn++) {
    for (const { name, consistency } of SIDES) {
      const body = JSON.stringify({ sql, consistency });
      const result = await runLoad({ url, connections: 1, requests: TURN, body: () => body, token: TOKEN });
      // The first turn warms up.
      if (turn > 0) results.get(name)?.push(result);
    }
  }
  const p50 = (name: string) => median((results.get(name) ?? []).map(({ p50Ms }) => p50Ms));
  return SIDES.map(({ name }) => ({
    what: `${what}: ${name}`,
    perSecond: 1000 / p50(name),
    p50Ms: p50(name),
    p99Ms: Math.max(...(results.get(name) ?? []).map(({ p99Ms }) => p99Ms)),
    ratios: name === 'certified' ? { 'time of per partition': p50(name) / p50('per partition') } : {},
  }));
}
