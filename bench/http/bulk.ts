import { ReadableStream } from 'node:stream/web';
import { median, type Row } from '../report.ts';
import { type BenchCluster, TOKEN } from './cluster.ts';

const ROUNDS = 5;
/** Blocks of a body that is streamed, so that the generator's memory stays small. */
const BLOCK_ROWS = 5_000;

/** Imports `rows` rows over HTTP into all partitions, a new table each round. The last one is left for reading. */
export async function benchImport(cluster: BenchCluster, rows: number): Promise<Row[]> {
  const rates: number[] = [];
  const blocks = lines(rows);
  for (let round = 0; round <= ROUNDS; round++) {
    await cluster.query('DROP TABLE IF EXISTS visits');
    await cluster.query(
      'CREATE TABLE visits (tenant TEXT NOT NULL, page INTEGER, ms REAL) PARTITION BY (tenant)',
    );
    const started = performance.now();
    await importAll(cluster, blocks);
    // The first round warms up.
    if (round > 0) rates.push(rows / ((performance.now() - started) / 1000));
  }
  const { rows: counted } = await cluster.query('SELECT count(*) FROM visits');
  if (counted[0]?.[0] !== rows) throw new Error(`imported ${counted[0]?.[0]} rows of ${rows}`);
  return [{ what: `import, ${rows.toLocaleString('en')} rows`, perSecond: median(rates), ratios: {} }];
}

async function importAll({ url }: BenchCluster, blocks: readonly string[]): Promise<void> {
  const reply = await fetch(`${url}/v1/import/visits`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/x-ndjson' },
    body: ReadableStream.from(blocks.map((block) => new TextEncoder().encode(block))),
    duplex: 'half',
  } as RequestInit);
  const text = await reply.text();
  if (!reply.ok) throw new Error(text);
}

/**
 * Scattered: where buckets follow each other in a cycle, as row numbers modulo 10 do, the processor foresees the one
 * object's sort, but not that of a hash partition, whose rows are others. Squares modulo a prime are irregular.
 */
function pageOf(row: number): number {
  return (row * row) % PAGES;
}
const PAGES = 1_000_003;

function lines(rows: number): string[] {
  const blocks: string[] = [];
  for (let from = 0; from < rows; from += BLOCK_ROWS) {
    const until = Math.min(rows, from + BLOCK_ROWS);
    let block = '';
    for (let row = from; row < until; row++) {
      block += `{"tenant":"t${(row * 7919) % 5000}","page":${pageOf(row)},"ms":${(row % 1000) / 8 + 0.0625}}\n`;
    }
    blocks.push(block);
  }
  return blocks;
}

const AGGREGATE =
  'SELECT page % 10 AS bucket, count(*) AS n, sum(ms) AS total, max(page) AS newest FROM visits GROUP BY page % 10';

/** An aggregate over all rows, in four partitions and in one bare object: one workerd is one core, so the work adds up. */
export async function benchScatter(cluster: BenchCluster, rows: number): Promise<Row[]> {
  await bare(cluster, 'DROP TABLE IF EXISTS visits');
  await bare(cluster, 'CREATE TABLE visits (tenant TEXT NOT NULL, page INTEGER, ms REAL)');
  await bare(
    cluster,
    `INSERT INTO visits WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ${rows})
     SELECT 't' || ((i * 7919) % 5000), i * i % ${PAGES}, (i % 1000) / 8.0 + 0.0625 FROM n`,
  );
  const times: { one: number[]; four: number[] } = { one: [], four: [] };
  for (let round = 0; round <= ROUNDS; round++) {
    const one = await timed(() => bare(cluster, AGGREGATE));
    const four = await timed(() => cluster.query(AGGREGATE));
    if (round === 0) continue;
    times.one.push(one);
    times.four.push(four);
  }
  const [one, four] = [median(times.one), median(times.four)];
  const what = `aggregate over ${rows.toLocaleString('en')} rows`;
  return [
    {
      what: `${what}: bare object`,
      perSecond: 1000 / one,
      p50Ms: one,
      p99Ms: Math.max(...times.one),
      ratios: {},
    },
    {
      what: `${what}: Atoll`,
      perSecond: 1000 / four,
      p50Ms: four,
      p99Ms: Math.max(...times.four),
      ratios: { 'time of bare': four / one },
    },
  ];
}

export async function timed(task: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await task();
  return performance.now() - started;
}

export async function bare({ url }: BenchCluster, sql: string): Promise<unknown> {
  const reply = await fetch(`${url}/bare`, { method: 'POST', body: JSON.stringify({ sql, args: [] }) });
  const text = await reply.text();
  if (!reply.ok) throw new Error(text);
  return JSON.parse(text);
}
