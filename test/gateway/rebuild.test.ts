import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newIdempotencyKey } from '../../src/client/index.ts';
import { TestCluster } from '../cluster/cluster.ts';
import { BesideSqlite, send } from '../transactions/beside-sqlite.ts';

/** Tables that are rebuilt, with the statements that migration tools send for it: docs/sql.md, Schema changes. */

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start({ partitions: 4 });
});
afterAll(() => cluster.dispose());

/** What each tool makes of: `name` becomes NOT NULL, and there is a column more. `t`: the table; `refers`: a clause of its own. */
const TOOLS: Readonly<Record<string, (t: string, refers: string) => string[]>> = {
  'drizzle-kit': (t, refers) => [
    'PRAGMA foreign_keys=OFF;',
    `CREATE TABLE \`__new_${t}\` (
	\`id\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	\`land\` text,
	\`name\` text NOT NULL,
	\`age\` integer DEFAULT 3${refers}
);`,
    `INSERT INTO \`__new_${t}\`("id", "land", "name") SELECT "id", "land", "name" FROM \`${t}\`;`,
    `DROP TABLE \`${t}\`;`,
    `ALTER TABLE \`__new_${t}\` RENAME TO \`${t}\`;`,
    'PRAGMA foreign_keys=ON;',
    `CREATE UNIQUE INDEX \`${t}_name_unique\` ON \`${t}\` (\`name\`);`,
  ],
  prisma: (t, refers) => [
    'PRAGMA defer_foreign_keys=ON',
    'PRAGMA foreign_keys=OFF',
    `CREATE TABLE "new_${t}" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "land" TEXT,
    "name" TEXT NOT NULL,
    "age" INTEGER DEFAULT 3${refers}
)`,
    `INSERT INTO "new_${t}" ("id", "land", "name") SELECT "id", "land", "name" FROM "${t}"`,
    `DROP TABLE "${t}"`,
    `ALTER TABLE "new_${t}" RENAME TO "${t}"`,
    `CREATE UNIQUE INDEX "${t}_name_key" ON "${t}"("name")`,
    'PRAGMA foreign_key_check',
    'PRAGMA foreign_keys=ON',
    'PRAGMA defer_foreign_keys=OFF',
  ],
  knex: (t, refers) => [
    'PRAGMA foreign_keys = OFF',
    `CREATE TABLE \`_knex_temp_alter1\` (\`id\` integer not null primary key autoincrement, \`land\` varchar(255), \`name\` varchar(255) not null, \`age\` integer default 3${refers})`,
    `INSERT INTO "_knex_temp_alter1" ("id", "land", "name") SELECT "id", "land", "name" FROM "${t}"`,
    `DROP TABLE "${t}"`,
    `ALTER TABLE "_knex_temp_alter1" RENAME TO "${t}"`,
    'PRAGMA foreign_keys = ON',
    `CREATE UNIQUE INDEX "${t}_name" ON "${t}" ("name")`,
  ],
};

describe.each(Object.keys(TOOLS))('as %s does it', (tool) => {
  const statements = TOOLS[tool] as (t: string, refers: string) => string[];
  const suffix = tool.replaceAll('-', '_');

  test.each([
    ['cascade', 'PARTITION BY (id)', 'ON DELETE CASCADE ON UPDATE CASCADE'],
    ['null', 'PARTITION BY (id)', 'ON DELETE SET NULL'],
    ['restrict', 'PARTITION BY (id)', 'ON DELETE RESTRICT'],
    ['far', 'PARTITION BY (land)', 'ON DELETE CASCADE'],
    ['copy', 'REFERENCE', 'ON DELETE CASCADE'],
  ])('all rows stay, and those that refer to them (%s)', async (name, place, action) => {
    const [lands, people, posts] = ['lands', 'people', 'posts'].map((table) => `${table}_${name}_${suffix}`);
    const beside = await BesideSqlite.create(
      cluster,
      `CREATE TABLE ${lands} (code TEXT PRIMARY KEY) REFERENCE`,
      `CREATE TABLE ${people} (id INTEGER PRIMARY KEY, land TEXT REFERENCES ${lands}, name TEXT UNIQUE) ${place}`,
      `CREATE TABLE ${posts} (id INTEGER PRIMARY KEY, person INTEGER REFERENCES ${people} (id) ${action}, body TEXT)`,
    );
    await beside.both(...['a', 'b', 'c'].map((code) => [`INSERT INTO ${lands} VALUES (?)`, code] as const));
    const rows = Array.from({ length: 20 }, (_, i) => i + 1);
    await beside.both(
      ...rows.map((i) => [`INSERT INTO ${people} VALUES (?, ?, ?)`, i, 'abc'[i % 3], `n${i}`] as const),
    );
    await beside.both(
      ...rows.map((i) => [`INSERT INTO ${posts} VALUES (?, ?, ?)`, 100 + i, (i % 7) + 1, `b${i}`] as const),
    );
    const refers = `, FOREIGN KEY (land) REFERENCES ${lands}(code)`;
    const answer = await beside.migrate(...statements(people as string, refers));
    expect(answer.results.length).toBe(statements('', '').length);
    // All of it holds again.
    await beside.both(`DELETE FROM ${people} WHERE id = 3`);
    await beside.both(`DELETE FROM ${people} WHERE id = 20`);
    await beside.both([`INSERT INTO ${people} (id, name) VALUES (?, ?)`, 21, 'n5']);
    await beside.both([`INSERT INTO ${people} (id, name) VALUES (?, ?)`, 22, null]);
    await beside.both([`INSERT INTO ${people} (id, land, name) VALUES (?, ?, ?)`, 23, 'nowhere', 'x']);
    await beside.both([`INSERT INTO ${people} (id, land, name) VALUES (?, ?, ?)`, 24, 'a', 'x']);
    await beside.both([`INSERT INTO ${posts} VALUES (?, ?, ?)`, 200, 77, 'x']);
    await beside.both(`DELETE FROM ${lands} WHERE code = 'b'`);
  });
});

test('a table whose rows do not all fit stays as it was', async () => {
  await cluster.query('CREATE TABLE fits (k INTEGER PRIMARY KEY, v)');
  for (const k of [1, 2, 3, 4, 5])
    await cluster.query('INSERT INTO fits VALUES (?, ?)', [k, k === 4 ? null : k]);
  const { status, json } = await send(
    cluster,
    'PRAGMA foreign_keys = OFF',
    'CREATE TABLE new_fits (k INTEGER PRIMARY KEY, v NOT NULL)',
    'INSERT INTO new_fits SELECT * FROM fits',
    'DROP TABLE fits',
    'ALTER TABLE new_fits RENAME TO fits',
    'PRAGMA foreign_keys = ON',
  );
  expect([status, json.error.code, json.error.outcome]).toEqual([409, 'constraint', 'none']);
  expect(json.error.message).toContain('NOT NULL constraint failed: new_fits.v');
  await cluster.query('INSERT INTO fits VALUES (6, NULL)');
  expect((await cluster.query('SELECT count(*) FROM fits')).json.rows).toEqual([[6]]);
});

describe('foreign keys are not switched off', () => {
  test('by themselves', async () => {
    const { status, json } = await send(cluster, 'PRAGMA foreign_keys = OFF');
    expect([status, json.error.code]).toEqual([400, 'forbidden-statement']);
    expect(json.error.message).toContain('in one batch with the schema changes');
  });

  test('for other statements', async () => {
    await cluster.query('CREATE TABLE others (k INTEGER PRIMARY KEY)');
    for (const other of [
      'DELETE FROM others',
      'INSERT INTO others VALUES (1)',
      'SELECT 1',
      'PRAGMA user_version',
    ]) {
      const { status, json } = await send(
        cluster,
        'PRAGMA foreign_keys = OFF',
        'CREATE TABLE more (k)',
        other,
      );
      expect([other, status]).toEqual([other, 400]);
      expect(json.error.message).toMatch(/^statements\[\d\]/);
    }
  });

  test('under a key, whose record would be nowhere', async () => {
    const { status, json } = await cluster.post('/v1/batch', {
      statements: [{ sql: 'PRAGMA foreign_keys = OFF' }, { sql: 'CREATE TABLE more (k)' }],
      idempotencyKey: newIdempotencyKey(),
    });
    expect([status, json.error.code]).toEqual([400, 'unsupported']);
    expect(json.error.message).toContain('leave idempotencyKey out');
  });
});
