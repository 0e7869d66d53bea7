import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestCluster } from '../cluster/cluster.ts';

/** Rows of reference tables go, or get other keys, while rows of partitioned tables refer to them: docs/sql.md. */

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start({ partitions: 4 });
});
afterAll(() => cluster.dispose());

/** Atoll's clauses cut out. */
const plain = (sql: string) => sql.replace(/\) (REFERENCE|PARTITION BY \([^)]*\))$/, ')');

async function create(...statements: string[]): Promise<DatabaseSync> {
  const sqlite = new DatabaseSync(':memory:');
  for (const sql of statements) {
    const { status, json } = await cluster.query(sql);
    expect([status, json.error]).toEqual([200, undefined]);
    sqlite.exec(plain(sql));
  }
  return sqlite;
}

type Statement = string | readonly [string, ...unknown[]];

async function run(...statements: Statement[]) {
  const wire = statements.map((each) =>
    typeof each === 'string' ? { sql: each } : { sql: each[0], args: each.slice(1) },
  );
  return wire.length === 1
    ? cluster.post('/v1/query', wire[0])
    : cluster.post('/v1/batch', { statements: wire });
}

/** The same in plain SQLite, in one transaction; its error, or null. */
function runPlain(sqlite: DatabaseSync, statements: readonly Statement[]): string | null {
  sqlite.exec('BEGIN');
  try {
    for (const each of statements) {
      const [sql, ...args] = typeof each === 'string' ? [each] : each;
      sqlite.prepare(sql).run(...(args as []));
    }
    sqlite.exec('COMMIT');
    return null;
  } catch (error) {
    sqlite.exec('ROLLBACK');
    return (error as Error).message;
  }
}

async function expectSame(sqlite: DatabaseSync, tables: readonly string[]): Promise<void> {
  for (const table of tables) {
    const columns = (sqlite.prepare(`PRAGMA table_info(${table})`).all() as { name: string }[]).map(
      ({ name }) => name,
    );
    const sql = `SELECT ${columns.join(', ')} FROM ${table} ORDER BY ${columns.join(', ')}`;
    const expected = sqlite
      .prepare(sql)
      .all()
      .map((row) => Object.values(row));
    const { rows } = (await cluster.query(sql)).json;
    expect([table, rows]).toEqual([table, expected]);
  }
}

/** Runs the same on both, which must agree. */
async function both(sqlite: DatabaseSync, tables: readonly string[], ...statements: Statement[]) {
  const expected = runPlain(sqlite, statements);
  const { status, json } = await run(...statements);
  const said = json.error === undefined ? null : `${json.error.code}: ${json.error.message}`;
  if (expected === null) expect([statements, status, said]).toEqual([statements, 200, null]);
  else {
    expect([statements, status, json.error.code]).toEqual([statements, 409, 'constraint']);
    expect(json.error.message).toContain(expected);
  }
  await expectSame(sqlite, tables);
  return json;
}

const LANDS = ['a', 'b', 'c', 'd', 'e', 'f', 'none'];

async function world(suffix: string, action: string, more = ''): Promise<[DatabaseSync, string[]]> {
  const [lands, towns] = [`lands${suffix}`, `towns${suffix}`];
  const sqlite = await create(
    `CREATE TABLE ${lands} (code TEXT PRIMARY KEY, name TEXT) REFERENCE`,
    `CREATE TABLE ${towns} (id INTEGER PRIMARY KEY, land TEXT DEFAULT 'none' REFERENCES ${lands} (code) ${action}, name TEXT${more}) PARTITION BY (id)`,
  );
  const filled = await run(
    ...LANDS.map((code) => [`INSERT INTO ${lands} VALUES (?, ?)`, code, `of ${code}`] as const),
    ...Array.from(
      { length: 24 },
      (_, i) => [`INSERT INTO ${towns} VALUES (?, ?, ?)`, i + 1, LANDS[i % 6], `t${i}`] as const,
    ),
  );
  expect([filled.status, filled.json.error]).toEqual([200, undefined]);
  for (const code of LANDS) sqlite.prepare(`INSERT INTO ${lands} VALUES (?, ?)`).run(code, `of ${code}`);
  for (let i = 0; i < 24; i++)
    sqlite.prepare(`INSERT INTO ${towns} VALUES (?, ?, ?)`).run(i + 1, LANDS[i % 6] ?? '', `t${i}`);
  return [sqlite, [lands, towns]];
}

describe('rows that refer to rows of reference tables', () => {
  test.each([
    ['1', ''],
    ['2', 'ON DELETE RESTRICT ON UPDATE RESTRICT'],
    ['3', 'ON DELETE CASCADE ON UPDATE CASCADE'],
    ['4', 'ON DELETE SET NULL ON UPDATE SET NULL'],
    ['5', 'ON DELETE SET DEFAULT ON UPDATE SET DEFAULT'],
    ['6', 'ON DELETE CASCADE'],
    ['7', 'ON UPDATE CASCADE'],
  ])('are kept as SQLite keeps them (%s: %s)', async (suffix, action) => {
    const [sqlite, tables] = await world(suffix, action);
    const [lands, towns] = tables as [string, string];
    const does = (...statements: Statement[]) => both(sqlite, tables, ...statements);
    const gone = await does([`DELETE FROM ${lands} WHERE code = ?`, 'a']);
    if (gone.error === undefined)
      expect([gone.rowsAffected, gone.plan.kind, gone.plan.partitions]).toEqual([1, 'transaction', [0]]);
    await does([`UPDATE ${lands} SET code = ? WHERE code = ?`, 'bb', 'b']);
    await does(`UPDATE ${lands} SET code = upper(code) WHERE code IN ('c', 'd')`);
    await does([`INSERT OR REPLACE INTO ${lands} VALUES (?, ?)`, 'e', 'again']);
    await does([
      `INSERT INTO ${lands} VALUES (?, ?) ON CONFLICT (code) DO UPDATE SET code = excluded.name`,
      'f',
      'ff',
    ]);
    await does(`UPDATE ${lands} SET name = 'other', code = code`);
    // Nobody refers to it.
    await does(`INSERT INTO ${lands} VALUES ('z', 'z')`);
    await does(`UPDATE ${lands} SET code = 'zz' WHERE code = 'z'`);
    await does(`DELETE FROM ${lands} WHERE code = 'zz'`);
    await does(`DELETE FROM ${towns} WHERE id > 4`);
    await does(`DELETE FROM ${lands}`);
  });

  test('rows that refer go before, in the same batch', async () => {
    const [sqlite, tables] = await world('10', '');
    const [lands, towns] = tables as [string, string];
    await both(
      sqlite,
      tables,
      [`DELETE FROM ${towns} WHERE land = ?`, 'a'],
      [`UPDATE ${towns} SET land = ? WHERE land = ?`, 'c', 'b'],
      [`DELETE FROM ${lands} WHERE code IN (?, ?)`, 'a', 'b'],
    );
    await both(
      sqlite,
      tables,
      [`DELETE FROM ${towns} WHERE land = ? AND id > 10`, 'c'],
      [`DELETE FROM ${lands} WHERE code = ?`, 'c'],
    );
    const later = await run(
      [`DELETE FROM ${lands} WHERE code = ?`, 'd'],
      [`DELETE FROM ${towns} WHERE land = ?`, 'd'],
    );
    expect([later.status, later.json.error.code]).toEqual([400, 'unsupported']);
    expect(later.json.error.message).toMatch(/statements\[1\] uses "towns10"/);
    await expectSame(sqlite, tables);
  });

  test('what foreign keys change is not used beside it', async () => {
    const [sqlite, tables] = await world('11', 'ON DELETE CASCADE');
    const [lands, towns] = tables as [string, string];
    const takes = [`DELETE FROM ${lands} WHERE code = ?`, 'a'] as const;
    for (const statements of [
      [`SELECT count(*) FROM ${towns}`, takes],
      [`DELETE FROM ${towns} WHERE id = 1`, takes],
      [takes, `SELECT count(*) FROM ${towns}`],
    ] as const) {
      const { status, json } = await run(...statements);
      expect([status, json.error.code, json.error.outcome]).toEqual([400, 'unsupported', 'none']);
    }
    await expectSame(sqlite, tables);
  });

  test('rows move, when the partition key is what refers', async () => {
    const sqlite = await create(
      'CREATE TABLE zones (code TEXT PRIMARY KEY, name TEXT) REFERENCE',
      `CREATE TABLE spots (zone TEXT REFERENCES zones (code) ON DELETE SET NULL ON UPDATE CASCADE, n INTEGER, name TEXT UNIQUE,
         PRIMARY KEY (zone, n)) PARTITION BY (zone)`,
    );
    const tables = ['zones', 'spots'];
    const codes = ['p', 'q', 'r', 's', 't', 'u', 'v', 'w'];
    await both(
      sqlite,
      tables,
      ...codes.map((code) => ['INSERT INTO zones VALUES (?, ?)', code, code] as const),
      ...codes.flatMap((code, i) =>
        [1, 2].map((n) => ['INSERT INTO spots VALUES (?, ?, ?)', code, n + 2 * i, `${code}${n}`] as const),
      ),
    );
    await both(sqlite, tables, "UPDATE zones SET code = code || 'x'");
    await both(sqlite, tables, "DELETE FROM zones WHERE code IN ('px', 'qx', 'rx')");
    // The index over partitions has followed.
    await both(sqlite, tables, ['INSERT INTO spots VALUES (?, ?, ?)', 'sx', 100, 'p1']);
    await both(sqlite, tables, ['DELETE FROM spots WHERE name = ?', 'p1']);
    await both(sqlite, tables, ['INSERT INTO spots VALUES (?, ?, ?)', 'sx', 100, 'p1']);
  });

  test('further foreign keys act, over partitions too, and triggers fire', async () => {
    const sqlite = await create(
      'CREATE TABLE makers (id INTEGER PRIMARY KEY, name TEXT) REFERENCE',
      'CREATE TABLE brands (id INTEGER PRIMARY KEY, maker INTEGER REFERENCES makers ON DELETE CASCADE) REFERENCE',
      `CREATE TABLE goods (sku TEXT PRIMARY KEY, brand INTEGER REFERENCES brands ON DELETE CASCADE, n INTEGER)`,
      `CREATE TABLE sold (sku TEXT REFERENCES goods ON DELETE CASCADE, n INTEGER, PRIMARY KEY (sku, n))`,
      'CREATE TABLE likes (who TEXT PRIMARY KEY, sku TEXT REFERENCES goods ON DELETE SET NULL) PARTITION BY (who)',
      'CREATE TABLE graves (sku TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID',
      'CREATE TRIGGER buried AFTER DELETE ON goods BEGIN INSERT INTO graves VALUES (OLD.sku, OLD.n); END',
    );
    const tables = ['makers', 'brands', 'goods', 'sold', 'likes', 'graves'];
    await both(
      sqlite,
      tables,
      "INSERT INTO makers VALUES (1, 'one'), (2, 'two')",
      'INSERT INTO brands VALUES (10, 1), (11, 1), (20, 2)',
    );
    for (let i = 0; i < 12; i++) {
      await both(sqlite, [], ['INSERT INTO goods VALUES (?, ?, ?)', `s${i}`, [10, 11, 20][i % 3], i]);
      await both(sqlite, [], ['INSERT INTO sold VALUES (?, ?)', `s${i}`, i]);
      await both(sqlite, [], ['INSERT INTO likes VALUES (?, ?)', `w${i}`, `s${i}`]);
    }
    await both(sqlite, tables, 'DELETE FROM makers WHERE id = 1');
    expect(sqlite.prepare('SELECT count(*) AS n FROM goods').get()).toEqual({ n: 4 });
  });

  test('keys compare as the reference table does', async () => {
    const sqlite = await create(
      'CREATE TABLE tones (name TEXT COLLATE NOCASE UNIQUE, n INTEGER PRIMARY KEY) REFERENCE',
      `CREATE TABLE notes (id INTEGER PRIMARY KEY, tone TEXT REFERENCES tones (name) ON DELETE CASCADE ON UPDATE CASCADE,
         n TEXT REFERENCES tones (n) ON DELETE CASCADE)`,
    );
    const tables = ['tones', 'notes'];
    await both(sqlite, tables, "INSERT INTO tones VALUES ('Do', 1), ('Re', 2), ('Mi', 3)");
    for (let i = 1; i <= 8; i++)
      await both(
        sqlite,
        [],
        ['INSERT INTO notes VALUES (?, ?, ?)', i, i % 2 === 0 ? 'dO' : 'RE', i % 4 === 0 ? '3' : null],
      );
    await both(sqlite, tables, "UPDATE tones SET name = 'DO' WHERE n = 1");
    await both(sqlite, tables, "UPDATE tones SET name = 'Fa' WHERE n = 2");
    await both(sqlite, tables, 'DELETE FROM tones WHERE n = 3');
    await both(sqlite, tables, 'DELETE FROM tones WHERE n = 1');
  });

  test('a key has it done once, and EXPLAIN tells', async () => {
    const [sqlite, tables] = await world('12', 'ON DELETE SET NULL');
    const [lands] = tables as [string, string];
    const request = {
      sql: `DELETE FROM ${lands} WHERE code = ? RETURNING name`,
      args: ['a'],
      idempotencyKey: `${Date.now()}-${'5'.repeat(22)}`,
    };
    runPlain(sqlite, [[`DELETE FROM ${lands} WHERE code = ?`, 'a']]);
    for (const _ of [1, 2]) {
      const { status, json } = await cluster.post('/v1/query', request);
      expect([status, json.rows, json.rowsAffected]).toEqual([200, [['of a']], 1]);
      await expectSame(sqlite, tables);
    }
    const { rows } = (await cluster.query(`EXPLAIN DELETE FROM ${lands}`)).json;
    expect(rows).toContainEqual(['rows may refer to it', 'towns12: all partitions take part']);
    expect(rows).toContainEqual(['foreign keys then change', 'towns12']);
    // Nothing is asked of the others for what nobody may refer to.
    const other = await cluster.query(`UPDATE ${lands} SET name = 'x'`);
    expect([other.status, other.json.plan.kind]).toEqual([200, 'route']);
  });

  test('what fails in one partition is done in none', async () => {
    const [sqlite, tables] = await world('13', 'ON DELETE SET NULL', ', CHECK (land IS NOT NULL OR id <> 7)');
    const [lands] = tables as [string, string];
    await both(sqlite, tables, `DELETE FROM ${lands} WHERE code = 'a'`);
    await both(sqlite, tables, `DELETE FROM ${lands} WHERE code = 'b'`);
  });

  test('none is left alone by those who come meanwhile', async () => {
    const [, tables] = await world('14', 'ON DELETE CASCADE');
    const [lands, towns] = tables as [string, string];
    const work: Promise<unknown>[] = [];
    const outcomes = new Map<string, number>();
    for (let i = 0; i < 120; i++) {
      const code = LANDS[i % 3];
      const statement: Statement =
        i % 6 === 5
          ? [`DELETE FROM ${lands} WHERE code = ?`, code]
          : i % 6 === 2
            ? [`INSERT INTO ${lands} VALUES (?, 'new') ON CONFLICT DO NOTHING`, code]
            : i % 6 === 0
              ? [`UPDATE ${towns} SET land = ? WHERE id = ?`, code, (i % 24) + 1]
              : [`INSERT INTO ${towns} VALUES (?, ?, 'new')`, 1000 + i, code];
      work.push(
        run(statement).then(({ status, json }) => {
          const key = status === 200 ? 'done' : json.error.code;
          outcomes.set(key, (outcomes.get(key) ?? 0) + 1);
        }),
      );
      if (i % 12 === 11) await Promise.all(work.splice(0));
    }
    expect([...outcomes.keys()].filter((key) => key !== 'done' && key !== 'constraint')).toEqual([]);
    expect(outcomes.get('done')).toBeGreaterThan(20);
    const orphans = `SELECT t.id FROM ${towns} AS t LEFT JOIN ${lands} AS l ON l.code = t.land WHERE l.code IS NULL`;
    expect((await cluster.query(orphans)).json.rows).toEqual([]);
  });
});
