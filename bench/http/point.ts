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
  await createUsersOfD1(cluster);
  await createUsers(
    cluster,
    SIDES.map(({ path }) => path),
    connections,
  );
  return [
    ...(await measure(cluster, 'read by key', { requests, connections }, readUser)),
    ...(await measure(cluster, 'insert', { requests, connections }, insertUser)),
  ];
}

/** The body of a request that reads one user of those that {@link createUsers} has made. */
export function readUser(index: number): string {
  return JSON.stringify({
    sql: 'SELECT id, name, age FROM users WHERE tenant = ?',
    args: [`t${index % TENANTS}`],
  });
}

/** The body of a request that inserts one more. */
export function insertUser(index: number, tenants = 'u'): string {
  return JSON.stringify({
    sql: 'INSERT INTO users (tenant, name, age) VALUES (?, ?, ?)',
    args: [`${tenants}${index}`, `name ${index}`, index % 90],
  });
}

const COLUMNS = 'id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, name TEXT, age INTEGER';

/** The table in Atoll; and its first rows on the sides of these paths. */
export async function createUsers(
  cluster: BenchCluster,
  paths: readonly string[],
  connections: number,
): Promise<void> {
  await cluster.query(`CREATE TABLE users (${COLUMNS}) PARTITION BY (tenant)`);
  await cluster.query('CREATE INDEX users_tenant ON users (tenant)');
  for (const path of paths) {
    await runLoad({
      url: new URL(cluster.url + path),
      connections,
      requests: TENANTS,
      body: (index) => insertUser(index, 't'),
      token: TOKEN,
    });
  }
}

async function createUsersOfD1(cluster: BenchCluster): Promise<void> {
  const url = new URL(`${cluster.url}/d1`);
  const one = (sql: string) =>
    runLoad({ url, connections: 1, requests: 1, body: () => JSON.stringify({ sql, args: [] }) });
  await one(`CREATE TABLE users (${COLUMNS})`);
  await one('CREATE INDEX users_tenant ON users (tenant)');
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
