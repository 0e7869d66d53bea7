import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Stage } from './stage.ts';

export interface Step {
  readonly title: string;
  /** One sentence on why it is worth a look. */
  readonly why: string;
  run(stage: Stage): Promise<void>;
}

/** A step that is one statement. */
function query(title: string, why: string, sql: string): Step {
  return { title, why, run: (stage) => stage.query(sql) };
}

export const SCHEMA = [
  `CREATE TABLE countries (
  code TEXT PRIMARY KEY, name TEXT NOT NULL, continent TEXT, capital TEXT,
  population INTEGER, area_km2 INTEGER, currency TEXT
) REFERENCE`,
  `CREATE TABLE cities (
  id INTEGER PRIMARY KEY, country TEXT NOT NULL, name TEXT NOT NULL, region TEXT,
  lat REAL NOT NULL, lng REAL NOT NULL
) PARTITION BY (country)`,
  'CREATE INDEX cities_by_country ON cities (country, name)',
] as const;

export const STEPS: readonly Step[] = [
  query(
    'One key, one partition',
    'All cities of a country live together: the router hashes the key and asks that partition alone.',
    `SELECT name, lat, lng FROM cities
WHERE country = 'IS' ORDER BY lat DESC LIMIT 5`,
  ),
  query(
    'All of SQLite, next to the data',
    'A statement that stays in one partition runs there unchanged: common table expressions, windows, trigonometry.',
    `WITH home AS (SELECT radians(lat) AS lat, radians(lng) AS lng FROM cities
              WHERE country = 'FR' AND name = 'Paris' LIMIT 1),
     away AS (SELECT c.name, 6371 * acos(min(1, sin(home.lat) * sin(radians(c.lat)) +
                cos(home.lat) * cos(radians(c.lat)) * cos(radians(c.lng) - home.lng))) AS km
              FROM cities AS c, home WHERE c.country = 'FR')
SELECT rank() OVER (ORDER BY km DESC) AS place, name, round(km, 1) AS km_from_paris
FROM away ORDER BY km DESC LIMIT 5`,
  ),
  query(
    'Every partition at once',
    'Each partition folds all its rows into one, and only those travel to the router.',
    `SELECT count(*) AS cities, round(avg(lat), 3) AS mean_latitude,
       min(lat) AS southernmost, max(lat) AS northernmost
FROM cities`,
  ),
  query(
    'Group, filter groups, sort',
    'GROUP BY and HAVING over all partitions, with the semantics of one SQLite.',
    `SELECT country, count(*) AS cities FROM cities
GROUP BY country HAVING count(*) >= 5000
ORDER BY cities DESC`,
  ),
  query(
    'Join with a reference table',
    'Countries are in every partition whole, so the join runs where the cities are; only sums travel.',
    `SELECT k.continent, count(*) AS cities, count(DISTINCT k.code) AS countries
FROM cities AS c JOIN countries AS k ON k.code = c.country
GROUP BY k.continent ORDER BY cities DESC`,
  ),
  query(
    'The top of everything',
    'Each partition sends its own first five, and the router takes the first five of those.',
    `SELECT c.name, k.name AS country, c.lat
FROM cities AS c JOIN countries AS k ON k.code = c.country
ORDER BY c.lat DESC LIMIT 5`,
  ),
  query(
    'What does not match',
    'Real data has holes: places whose country the other package does not know.',
    `SELECT c.country AS code, count(*) AS cities
FROM cities AS c LEFT JOIN countries AS k ON k.code = c.country
WHERE k.code IS NULL GROUP BY c.country ORDER BY cities DESC, code`,
  ),
  {
    title: 'Write, and read it back',
    why: 'The id comes from a range that only this partition owns: unique in the cluster, with nobody to ask.',
    run: async (stage) => {
      await stage.query(`INSERT INTO cities (country, name, lat, lng)
VALUES ('IS', 'Atoll-on-Sea', 63.42, -19.01) RETURNING id, name`);
      await stage.query(`SELECT id, name, lat, lng FROM cities
WHERE country = 'IS' AND name LIKE 'Atoll%'`);
    },
  },
  {
    title: 'All or nothing',
    why: 'A batch is one transaction, whatever partitions it writes: its second statement fails in one, so its first has never happened in another.',
    run: async (stage) => {
      await stage.refusedBatch([
        `DELETE FROM cities WHERE country = 'IS'`,
        `INSERT INTO cities (country, name, lat, lng) VALUES ('NZ', NULL, 0, 0)`,
      ]);
      await stage.query(`SELECT count(*) AS still_there FROM cities WHERE country = 'IS'`);
    },
  },
  {
    title: 'What cannot be done right is not done',
    why: 'Every partition would count ten rows of its own, where one database counts ten in all: refused, with what to do instead.',
    run: (stage) => stage.refused(`DELETE FROM cities ORDER BY lat LIMIT 10`),
  },
  {
    title: 'Change the schema of all partitions',
    why: 'Tried on each partition first, then published to all; a failure on one would leave every one as it was.',
    run: async (stage) => {
      await stage.query(`ALTER TABLE cities ADD COLUMN twin TEXT DEFAULT 'none yet'`);
      await stage.query(`SELECT twin, count(*) AS cities FROM cities GROUP BY twin`);
    },
  },
  {
    title: 'Leave whenever you like',
    why: 'The export is plain SQL. Here it is loaded into an ordinary SQLite database and counted.',
    run: exportAndLoad,
  },
];

async function exportAndLoad(stage: Stage): Promise<void> {
  const startedAt = performance.now();
  const chunks: Uint8Array[] = [];
  for await (const chunk of await stage.client.export()) chunks.push(chunk);
  const dump = Buffer.concat(chunks);
  const file = join(stage.directory, 'export.sql');
  await writeFile(file, dump);
  stage.command('atoll export --out export.sql');
  stage.done(dump.length, performance.now() - startedAt);

  const sql = `SELECT (SELECT count(*) FROM cities) AS cities, (SELECT count(*) FROM countries) AS countries`;
  stage.command(`sqlite3 copy.db < export.sql && sqlite3 copy.db "SELECT …"`);
  const copyFile = join(stage.directory, 'copy.db');
  const copy = new DatabaseSync(copyFile);
  try {
    const loadedAt = performance.now();
    copy.exec(dump.toString());
    const row = copy.prepare(sql).get() as { cities: number; countries: number };
    stage.rows(
      ['cities', 'countries'],
      [[BigInt(row.cities), BigInt(row.countries)]],
      performance.now() - loadedAt,
    );
  } finally {
    copy.close();
    await rm(copyFile, { force: true });
  }
}
