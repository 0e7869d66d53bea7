import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { Random } from '../harness/random.ts';
import { QuietCluster } from '../simulation/quiet-cluster.ts';
import { expectSameRows, runPlain } from './beside-plain.ts';
import { schemaOf, shapeOf, stepOf } from './random-steps.ts';

/**
 * Tables are rebuilt as migration tools do it (create, copy, drop, rename, foreign keys off), between statements that do what foreign
 * keys say; beside plain SQLite, to which the same is done.
 */

const seeds = (process.env.REBUILD_SEEDS ?? '1-6').split('-').map(Number);

test('tables that are rebuilt have the rows that they have in SQLite, and so have those that refer to them', async () => {
  const seen = { rebuilt: 0, ok: 0, constraint: 0 };
  for (let seed = seeds[0] ?? 1; seed <= (seeds[1] ?? 1); seed++) await compare(seed, seen);
  if (process.env.REBUILD_SEEDS !== undefined) process.stderr.write(`${JSON.stringify(seen)}\n`);
  expect(seen.rebuilt).toBeGreaterThan(30);
  expect(seen.ok).toBeGreaterThan(100);
  expect(seen.constraint).toBeGreaterThan(20);
});

/** Children that live with their parents, and such as refer to reference tables: there SQLite itself knows the keys. */
function localSchema(random: Random): string[] {
  const action = () => random.pick(['NO ACTION', 'RESTRICT', 'CASCADE', 'SET NULL']);
  const on = () => `ON DELETE ${action()} ON UPDATE ${action()}`;
  return random.pick([
    () => [
      'CREATE TABLE p (id TEXT PRIMARY KEY, n INTEGER) REFERENCE',
      `CREATE TABLE c (id TEXT PRIMARY KEY, p TEXT REFERENCES p (id) ${on()}, n INTEGER) REFERENCE`,
      `CREATE TABLE g (id TEXT PRIMARY KEY, p TEXT REFERENCES c ${on()}, n INTEGER) /*atoll PARTITION BY (id) */`,
    ],
    () => [
      'CREATE TABLE p (id TEXT PRIMARY KEY, n INTEGER) /*atoll PARTITION BY (id) */',
      `CREATE TABLE c (id TEXT, p TEXT REFERENCES p (id) ON DELETE ${action()}, n INTEGER, PRIMARY KEY (id, p)) /*atoll PARTITION BY (p) */`,
      `CREATE TABLE g (id TEXT PRIMARY KEY, p TEXT REFERENCES p ${on()}, n INTEGER) /*atoll PARTITION BY (id) */`,
    ],
  ])();
}

/** The statements that make `definition`'s table anew, a column wider, and its definition then. */
function rebuildOf(
  random: Random,
  definition: string,
  place: number,
): { statements: string[]; definition: string } {
  const table = definition.slice('CREATE TABLE '.length)[0] as string;
  const said = random.chance(0.5) ? definition : definition.replace(/ (REFERENCE|\/\*.*\*\/)$/, '');
  const wider = random.chance(0.5)
    ? said.replace(/( \(id TEXT[^,]*,)/, `$1 x${place} INT DEFAULT ${place},`)
    : said;
  const names = columnsOf(definition);
  const list = random.chance(0.5) || wider !== said ? ` (${names.join(', ')})` : '';
  const from = random.pick([
    `${names.join(', ')} FROM ${table}`,
    `${names.map((name) => `o."${name}"`).join(', ')} FROM ${table} AS o`,
  ]);
  const copied = list === '' && random.chance(0.5) ? `* FROM ${table}` : from;
  const statements = [
    wider.replace(`CREATE TABLE ${table}`, `CREATE TABLE "__new_${table}"`),
    `INSERT INTO "__new_${table}"${list} SELECT ${copied}`,
    `DROP TABLE ${table}`,
    `ALTER TABLE "__new_${table}" RENAME TO ${table}`,
  ];
  const clause = / (REFERENCE|\/\*.*\*\/)$/.exec(definition)?.[0] ?? '';
  return { statements, definition: wider.endsWith(clause) ? wider : `${wider}${clause}` };
}

function columnsOf(definition: string): string[] {
  const plain = new DatabaseSync(':memory:');
  plain.exec(plainOf(definition));
  const table = definition.slice('CREATE TABLE '.length)[0];
  return plain
    .prepare(`SELECT name FROM pragma_table_info('${table}')`)
    .all()
    .map(({ name }) => String(name));
}

const plainOf = (sql: string) => sql.replace(/ REFERENCE$/, '');

async function compare(seed: number, seen: Record<'rebuilt' | 'ok' | 'constraint', number>): Promise<void> {
  const random = new Random(seed);
  const cluster = await QuietCluster.open(seed, 3);
  const plain = new DatabaseSync(':memory:');
  plain.exec('PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = ON');
  const schema = random.chance(0.5) ? schemaOf(random) : localSchema(random);
  const shape = shapeOf(schema);
  const definitions = [...schema];
  const history = [...schema];
  for (const sql of schema) {
    plain.exec(plainOf(sql));
    await cluster.query(sql);
  }
  for (let i = 0; i < 60; i++) {
    if (random.chance(0.15)) {
      const chosen = definitions.map((_, place) => place).filter(() => random.chance(0.5));
      const statements = chosen.flatMap((place) => {
        const rebuild = rebuildOf(random, definitions[place] as string, i);
        definitions[place] = rebuild.definition;
        return rebuild.statements;
      });
      if (statements.length === 0) continue;
      const all = ['PRAGMA foreign_keys = OFF', ...statements, 'PRAGMA foreign_keys = ON'];
      history.push(...all);
      const { status, json } = await cluster.batch(...all.map((sql) => [sql] as const));
      expect([status, json.error], history.join('\n')).toEqual([200, undefined]);
      for (const sql of all) plain.exec(plainOf(sql));
      seen.rebuilt += chosen.length;
    } else {
      const { sql, args } = stepOf(random, shape);
      const { status, json } = await cluster.ask(sql, args);
      const code = status === 200 ? 'ok' : json.error.code;
      history.push(`seed ${seed}: ${sql} ${JSON.stringify(args)} → ${code} ${json.error?.message ?? ''}`);
      if (code !== 'ok' && code !== 'constraint') {
        expect(['key-change', 'unsupported', 'needs-global-index'], history.join('\n')).toContain(code);
        continue;
      }
      seen[code as 'ok' | 'constraint']++;
      const wanted = runPlain(plain, { sql, args });
      expect(wanted, history.join('\n')).toMatch(code === 'ok' ? /^ok$/ : /constraint failed/);
    }
    await expectSameRows(cluster, plain, history.join('\n'));
  }
  await cluster.checkIndexes();
}
