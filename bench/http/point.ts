import { median, type Row } from '../report.ts';
import { type BenchCluster, TOKEN } from './cluster.ts';
import { type LoadResult, runLoad } from './load.ts';

const ROUNDS = 5;
const TENANTS = 1000;

const SIDES = [
  { name: 'bare object', path: '/bare' },
  { name: 'D1', path: '/d1' },
  { name: 'Atoll', path: '/v1/query' },
] as const;

export interface PointLoad {
  /** Of each side in each round. */
  readonly requests: number;
  /** Requests in flight. */
  readonly connections: number;
}

/** Reads one row by key, and inserts one row, through the three sides in turn. */
export async function benchPoint(
  cluster: BenchCluster,
  { requests, connections }: PointLoad,
): Promise<Row[]> {
  await prepare(cluster, connections);
  const read = (index: number) =>
    JSON.stringify({
      sql: 'SELECT id, name, age FROM users WHERE tenant = ?',
      args: [`t${index % TENANTS}`],
    });
  const insert = (index: number) =>
    JSON.stringify({
      sql: 'INSERT INTO users (tenant, name, age) VALUES (?, ?, ?)',
      args: [`u${index}`, `name ${index}`, index % 90],
    });
  return [
    ...(await measure(cluster, 'read by key', { requests, connections }, read)),
    ...(await measure(cluster, 'insert', { requests, connections }, insert)),
  ];
}

async function prepare(cluster: BenchCluster, connections: number): Promise<void> {
  const columns = 'id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, name TEXT, age INTEGER';
  await cluster.query(`CREATE TABLE users (${columns}) PARTITION BY (tenant)`);
  await cluster.query('CREATE INDEX users_tenant ON users (tenant)');
  const url = new URL(`${cluster.url}/d1`);
  const one = (sql: string) =>
    runLoad({ url, connections: 1, requests: 1, body: () => JSON.stringify({ sql, args: [] }) });
  await one(`CREATE TABLE users (${columns})`);
  await one('CREATE INDEX users_tenant ON users (tenant)');
  const fill = (index: number) =>
    JSON.stringify({
      sql: 'INSERT INTO users (tenant, name, age) VALUES (?, ?, ?)',
      args: [`t${index}`, `name ${index}`, index % 90],
    });
  for (const { path } of SIDES) {
    await runLoad({
      url: new URL(cluster.url + path),
      connections,
      requests: TENANTS,
      body: fill,
      token: TOKEN,
    });
  }
}

async function measure(
  cluster: BenchCluster,
  what: string,
  { requests, connections }: PointLoad,
  body: (index: number) => string,
): Promise<Row[]> {
  const results = new Map<string, LoadResult[]>(SIDES.map(({ name }) => [name, []]));
  for (let round = 0; round <= ROUNDS; round++) {
    for (const { name, path } of SIDES) {
      const url = new URL(cluster.url + path);
      const offset = round * requests;
      const result = await runLoad({
        url,
        connections,
        requests,
        body: (index) => body(offset + index),
        token: TOKEN,
      });
      // The first round warms up.
      if (round > 0) results.get(name)?.push(result);
    }
  }
  const rate = (name: string) => median((results.get(name) ?? []).map((result) => result.requestsPerSecond));
  return SIDES.map(({ name }) => {
    const own = results.get(name) ?? [];
    return {
      what: `${what}: ${name}`,
      perSecond: rate(name),
      p50Ms: median(own.map((result) => result.p50Ms)),
      p99Ms: median(own.map((result) => result.p99Ms)),
      ratios:
        name === 'Atoll'
          ? { 'of bare': rate(name) / rate('bare object'), 'of D1': rate(name) / rate('D1') }
          : {},
    };
  });
}
