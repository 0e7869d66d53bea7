import { median, type Row } from '../report.ts';
import { bare, timed } from './bulk.ts';
import type { BenchCluster } from './cluster.ts';

const ROUNDS = 5;

/** What migration tools send to give `visits` a column that ALTER TABLE cannot. */
const STATEMENTS = [
  'CREATE TABLE new_visits (tenant TEXT NOT NULL, page INTEGER NOT NULL, ms REAL CHECK (ms >= 0))',
  'INSERT INTO new_visits (tenant, page, ms) SELECT tenant, page, ms FROM visits',
  'DROP TABLE visits',
  'ALTER TABLE new_visits RENAME TO visits',
];

/** A table rebuilt with its rows, in four partitions and in one bare object, which does not try it first: after {@link benchScatter}, with its rows. */
export async function benchRebuild(cluster: BenchCluster, rows: number): Promise<Row[]> {
  const times: { one: number[]; four: number[] } = { one: [], four: [] };
  for (let round = 0; round <= ROUNDS; round++) {
    const one = await timed(async () => {
      for (const sql of STATEMENTS) await bare(cluster, sql);
    });
    const four = await timed(() => cluster.batch(STATEMENTS));
    if (round === 0) continue;
    times.one.push(one);
    times.four.push(four);
  }
  const [one, four] = [median(times.one), median(times.four)];
  const what = `table of ${rows.toLocaleString('en')} rows rebuilt`;
  return [
    { what: `${what}: bare object`, perSecond: (rows / one) * 1000, ratios: {} },
    { what: `${what}: Atoll`, perSecond: (rows / four) * 1000, ratios: { 'time of bare': four / one } },
  ];
}
