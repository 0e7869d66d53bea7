import { median, type Row } from '../report.ts';
import { type BenchCluster, TOKEN } from './cluster.ts';
import { type LoadResult, runLoad } from './load.ts';

const ROUNDS = 5;
const CONNECTIONS = 16;
const STATEMENTS = 5;

/** What a value that is unique over partitions costs an insert; and what a transaction over several requests costs the same work. */
export async function benchConstraints(cluster: BenchCluster, requests: number): Promise<Row[]> {
  return [...(await benchUnique(cluster, requests)), ...(await benchInteractive(cluster, requests / 8))];
}

async function benchUnique(cluster: BenchCluster, requests: number): Promise<Row[]> {
  const sides = [
    { what: 'insert', table: 'guests', email: 'email TEXT' },
    { what: 'insert, UNIQUE over partitions', table: 'members', email: 'email TEXT UNIQUE' },
  ] as const;
  for (const { table, email } of sides)
    await cluster.query(
      `CREATE TABLE ${table} (id INTEGER PRIMARY KEY, town TEXT, ${email}) PARTITION BY (town)`,
    );
  const results = new Map<string, LoadResult[]>(sides.map(({ what }) => [what, []]));
  for (let round = 0; round <= ROUNDS; round++) {
    for (const { what, table } of sides) {
      const sql = `INSERT INTO ${table} (town, email) VALUES (?, ?)`;
      const result = await runLoad({
        url: new URL(`${cluster.url}/v1/query`),
        connections: CONNECTIONS,
        requests,
        body: (index) =>
          JSON.stringify({ sql, args: [`town ${index % 97}`, `${round}.${index}@example.com`] }),
        token: TOKEN,
      });
      // The first round warms up.
      if (round > 0) results.get(what)?.push(result);
    }
  }
  const rate = (what: string) => median((results.get(what) ?? []).map((each) => each.requestsPerSecond));
  return sides.map(({ what }, side) => ({
    what,
    perSecond: rate(what),
    p50Ms: median((results.get(what) ?? []).map((each) => each.p50Ms)),
    p99Ms: median((results.get(what) ?? []).map((each) => each.p99Ms)),
    ratios: side === 1 ? { 'of a plain insert': rate(what) / rate('insert') } : {},
  }));
}

async function benchInteractive(cluster: BenchCluster, transactions: number): Promise<Row[]> {
  const post = async (path: string, body: unknown): Promise<{ id: string }> => {
    const init = {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}` },
      body: JSON.stringify(body),
    };
    const reply = await fetch(`${cluster.url}${path}`, init);
    if (!reply.ok) throw new Error(`${path}: ${await reply.text()}`);
    return (await reply.json()) as { id: string };
  };
  await cluster.query(
    'CREATE TABLE steps (town TEXT, step INTEGER, PRIMARY KEY (town, step)) PARTITION BY (town)',
  );
  let town = 0;
  const statements = (name: string) =>
    Array.from({ length: STATEMENTS }, (_, step) => ({
      sql: 'INSERT INTO steps VALUES (?, ?)',
      args: [name, step],
    }));
  const sides = {
    [`batch of ${STATEMENTS} statements`]: (name: string) =>
      post('/v1/batch', { statements: statements(name) }),
    [`interactive transaction of ${STATEMENTS}`]: async (name: string) => {
      const { id } = await post('/v1/transactions', {});
      for (const statement of statements(name)) await post(`/v1/transactions/${id}/query`, statement);
      return post(`/v1/transactions/${id}/commit`, {});
    },
  };
  const times = new Map<string, number[]>(Object.keys(sides).map((what) => [what, []]));
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [what, run] of Object.entries(sides)) {
      const last = town + transactions;
      const started = performance.now();
      await Promise.all(
        Array.from({ length: CONNECTIONS }, async () => {
          while (town < last) await run(`town ${town++}`);
        }),
      );
      // The first round warms up.
      if (round > 0) times.get(what)?.push((performance.now() - started) / transactions);
    }
  }
  const [batch, interactive] = [...times].map(([what, each]) => ({ what, ms: median(each) }));
  return [batch, interactive].flatMap((side) =>
    side === undefined
      ? []
      : [
          {
            what: side.what,
            perSecond: 1000 / side.ms,
            ratios: side === batch ? {} : { 'time of the batch': side.ms / (batch?.ms ?? Number.NaN) },
          },
        ],
  );
}
