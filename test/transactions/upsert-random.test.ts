import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { Random } from '../harness/random.ts';
import { QuietCluster } from '../simulation/quiet-cluster.ts';

/**
 * Upserts, OR IGNORE and REPLACE on tables whose UNIQUE and PRIMARY KEY do not contain the partition key: the row in the way may be
 * anywhere. Against plain SQLite, statement by statement.
 */

const TABLES = [
  {
    name: 'users',
    sql: 'CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT COLLATE NOCASE UNIQUE, name TEXT NOT NULL, n INTEGER DEFAULT 7 CHECK (n < 100))',
    place: '',
  },
  {
    name: 'members',
    sql: `CREATE TABLE members (tenant TEXT, number INTEGER, email TEXT DEFAULT 'none', handle INTEGER, code TEXT, n REAL DEFAULT 1,
      twice AS (n * 2), PRIMARY KEY (tenant, number), UNIQUE (email), UNIQUE (handle, code), UNIQUE (tenant, n))`,
    place: ' PARTITION BY (tenant)',
  },
  {
    name: 'pages',
    sql: 'CREATE TABLE pages (tenant TEXT, slug TEXT PRIMARY KEY, body TEXT, n INTEGER) WITHOUT ROWID',
    place: ' PARTITION BY (tenant)',
  },
  {
    name: 'bare',
    sql: 'CREATE TABLE bare (owner TEXT, code NUMERIC UNIQUE, v)',
    place: ' PARTITION BY (owner)',
  },
] as const;

type Value = string | number | null;

interface Statement {
  readonly sql: string;
  readonly args: Value[];
}

const TENANTS = ['ash', 'bell', 'corn', 'dune', 'elm', 'fir'];

function statementOf(random: Random): Statement {
  const args: Value[] = [];
  const value = (each: Value): string => {
    if (each === null && random.chance(0.5)) return 'NULL';
    args.push(each);
    return '?';
  };
  const rows = (row: () => string) =>
    Array.from({ length: random.pick([1, 1, 1, 2, 3]) }, () => `(${row()})`).join(', ');
  const email = () => value(random.pick(['a@x', 'b@x', 'c@x', 'A@X', 'd@x', null]));
  const n = () => value(random.pick([1, 2, 3, 4, 100]));
  const returning = random.chance(0.6);
  const what = random.below(8);
  const head = random.pick(['INSERT OR IGNORE INTO', 'INSERT OR REPLACE INTO', 'REPLACE INTO']);
  const tail = (columns: string) => (returning ? ` RETURNING ${columns}` : '');
  const upserts = (target: string, sets: readonly string[]) =>
    random.pick([
      ' ON CONFLICT DO NOTHING',
      ` ON CONFLICT (${target}) DO NOTHING`,
      ...sets.flatMap((set) => [
        ` ON CONFLICT (${target}) DO UPDATE SET ${set}`,
        ` ON CONFLICT (${target}) DO UPDATE SET ${set} WHERE excluded.n >= 2`,
      ]),
    ]);
  const insert = (
    into: string,
    values: string,
    target: string,
    sets: readonly string[],
    shown: string,
  ): string => {
    const plain = random.chance(0.5);
    const body = `${into} VALUES ${values}`;
    return plain
      ? `${head} ${body}${tail(shown)}`
      : `INSERT INTO ${body}${upserts(target, sets)}${tail(shown)}`;
  };
  const id = () => value(1 + random.below(8));
  if (what < 3) {
    const name = () => value(random.pick(['ann', 'bob', null]));
    const values = rows(() => `${id()}, ${email()}, ${name()}, ${n()}`);
    const sets = [
      'name = excluded.name, n = users.n + excluded.n',
      "n = n + 1, name = name || '+' || excluded.email",
      'email = excluded.name',
      "n = (excluded.email = 'A@x') + (users.email = excluded.email)",
    ];
    return { sql: insert('users (id, email, name, n)', values, 'email', sets, '*'), args };
  }
  if (what < 5) {
    const tenant = () => value(random.pick(TENANTS));
    const handle = () => value(random.pick([1, 2, '3', null]));
    const values = rows(
      () =>
        `${tenant()}, ${value(random.below(3))}, ${email()}, ${handle()}, ${value(random.pick(['x', 'y', 1]))}, ${n()}`,
    );
    const target = random.pick(['email', 'handle, code', 'code, handle']);
    const sets = [
      'n = members.n + excluded.n + 0.5',
      'handle = excluded.handle, code = excluded.code',
      'email = excluded.email, n = excluded.n',
      'code = excluded.code || typeof(excluded.n) || typeof(excluded.handle), n = coalesce(excluded.n, 0) + excluded.twice',
    ];
    return {
      sql: insert(
        'members (tenant, number, email, handle, code, n)',
        values,
        target,
        sets,
        'tenant, number, email, handle, code, n, twice',
      ),
      args,
    };
  }
  if (what === 5) {
    const values = rows(
      () => `${value(random.pick(TENANTS))}, ${value(random.pick(['s', 't', 'u']))}, ${n()}`,
    );
    const sets = ['body = excluded.tenant || pages.tenant, n = excluded.n', 'slug = slug || excluded.n'];
    return { sql: insert('pages (tenant, slug, n)', values, 'slug', sets, 'slug, tenant AS t, n + 1'), args };
  }
  if (what === 6) {
    const values = rows(
      () => `${value(random.pick(TENANTS))}, ${value(random.pick(['1', 1, 2, 2.5, 'x']))}, 1`,
    );
    const sets = ['v = v + 1', "v = excluded.code || '/' || bare.code, code = bare.code + 10"];
    const sql = insert('bare (owner, code, v)', values, 'code', sets, 'owner, code, typeof(code), v');
    return { sql: sql.replaceAll('excluded.n >= 2', 'excluded.v = 1'), args };
  }
  const others: (() => string)[] = [
    () => `DELETE FROM users WHERE id = ${id()}`,
    () => `UPDATE users SET n = n + 1 WHERE email = ${email()}`,
    () => `DELETE FROM members WHERE tenant = ${value(random.pick(TENANTS))}`,
    () => `DELETE FROM bare WHERE owner = ${value(random.pick(TENANTS))}`,
    () =>
      `UPDATE pages SET tenant = ${value(random.pick(TENANTS))} WHERE slug = ${value(random.pick(['s', 't']))}`,
  ];
  return { sql: random.pick(others)(), args };
}

interface Seen {
  readonly code: string;
  readonly rows: unknown[][];
  readonly rowsAffected: number;
}

function runPlain(plain: DatabaseSync, { sql, args }: Statement): Seen {
  try {
    const statement = plain.prepare(sql);
    statement.setReturnArrays(true);
    // As Atoll takes the JSON: a whole number is an INTEGER.
    const bound = args.map((each) => (Number.isInteger(each) ? BigInt(each as number) : each));
    const rows = statement.all(...bound) as unknown as unknown[][];
    const [[changes] = []] = plain
      .prepare('SELECT changes() AS n')
      .all()
      .map((row) => Object.values(row));
    return { code: 'ok', rows: /RETURNING/.test(sql) ? rows : [], rowsAffected: Number(changes) };
  } catch (error) {
    if (!/constraint/.test(String(error))) throw error;
    return { code: 'constraint', rows: [], rowsAffected: 0 };
  }
}

/** All of them or none; the answers of all, or what the first one that fails says. */
function runPlainBatch(plain: DatabaseSync, statements: readonly Statement[]): Seen[] | string {
  plain.exec('BEGIN');
  const seen = statements.map((statement) => runPlain(plain, statement));
  const failed = seen.find(({ code }) => code !== 'ok');
  plain.exec(failed === undefined ? 'COMMIT' : 'ROLLBACK');
  return failed?.code ?? seen;
}

const columnsOf = (name: string): string =>
  ({
    users: 'id, email, name, n, typeof(n)',
    members: 'tenant, number, email, handle, typeof(handle), code, n, twice',
    pages: 'tenant, slug, body, n',
    bare: 'owner, code, typeof(code), v',
  })[name] ?? '*';

describe('random statements do what SQLite does', () => {
  const seeds = Number(process.env.ATOLL_SEEDS ?? 3);
  const met = new Map<string, number>();
  for (let seed = 1; seed <= seeds; seed++) {
    test(`seed ${seed}`, async () => {
      const random = new Random(seed);
      const cluster = await QuietCluster.open(
        seed,
        4,
        TABLES.map(({ sql, place }) => sql + place),
      );
      const plain = new DatabaseSync(':memory:');
      for (const { sql } of TABLES) plain.exec(sql);
      for (let i = 0; i < 100; i++) {
        const statement = statementOf(random);
        const { status, json } = await cluster.post('/v1/query', statement);
        const code = status === 200 ? 'ok' : json.error.code;
        met.set(code, (met.get(code) ?? 0) + 1);
        // Two rows of one statement that meet: it says so, and is nothing for this test.
        if (code === 'unsupported') {
          expect(json.error.message).toMatch(/as a row before it/);
          continue;
        }
        const seen =
          status === 200
            ? { code, rows: json.rows, rowsAffected: json.rowsAffected }
            : { code, rows: [], rowsAffected: 0 };
        expect(seen, `${JSON.stringify(statement)} ${JSON.stringify(json)}`).toEqual(
          runPlain(plain, statement),
        );
        for (const { name } of TABLES) {
          if (!statement.sql.includes(name)) continue;
          const sql = `SELECT ${columnsOf(name)} FROM ${name}`;
          const expected = runPlain(plain, { sql: `${sql} WHERE 1 /* RETURNING */`, args: [] }).rows;
          const sorted = (rows: unknown[][]) => rows.map((row) => JSON.stringify(row)).sort();
          expect(sorted((await cluster.query(sql)).rows), JSON.stringify(statement)).toEqual(
            sorted(expected),
          );
        }
      }
      await cluster.checkIndexes();
    });
  }

  test('they do, fail and are refused', () => {
    for (const code of ['ok', 'constraint', 'unsupported'])
      expect(met.get(code) ?? 0, code).toBeGreaterThan(seeds);
    expect([...met.keys()].sort()).toEqual(['constraint', 'ok', 'unsupported']);
  });
});

describe('random batches do what SQLite does', () => {
  const seeds = Number(process.env.ATOLL_SEEDS ?? 2);
  const met = new Map<string, number>();
  for (let seed = 1; seed <= seeds; seed++) {
    test(`seed ${seed}`, async () => {
      const random = new Random(seed);
      const schema = TABLES.map(({ sql, place }) => sql + place);
      const cluster = await QuietCluster.open(seed, 4, schema);
      const plain = new DatabaseSync(':memory:');
      for (const { sql } of TABLES) plain.exec(sql);
      for (let i = 0; i < 100; i++) {
        const statements = Array.from({ length: random.pick([2, 2, 3]) }, () => statementOf(random));
        const { status, json } = await cluster.post('/v1/batch', { statements });
        const code = status === 200 ? 'ok' : json.error.code;
        met.set(code, (met.get(code) ?? 0) + 1);
        const text = `${JSON.stringify(statements)} ${JSON.stringify(json)}`;
        if (code === 'unsupported' || code === 'needs-global-index') {
          expect(json.error.message, text).toMatch(
            /as a row before it|send it in a |requests of their own|in a later request/,
          );
          continue;
        }
        const seen = (json.results ?? []).map(({ rows, rowsAffected }: Seen) => ({
          code,
          rows,
          rowsAffected,
        }));
        expect(status === 200 ? seen : code, text).toEqual(runPlainBatch(plain, statements));
        for (const { name } of TABLES) {
          const sql = `SELECT ${columnsOf(name)} FROM ${name}`;
          const expected = runPlain(plain, { sql: `${sql} WHERE 1 /* RETURNING */`, args: [] }).rows;
          const sorted = (rows: unknown[][]) => rows.map((row) => JSON.stringify(row)).sort();
          expect(sorted((await cluster.query(sql)).rows), text).toEqual(sorted(expected));
        }
      }
      await cluster.checkIndexes();
    });
  }

  test('they do, fail and are refused', () => {
    for (const code of ['ok', 'constraint', 'unsupported', 'needs-global-index'])
      expect(met.get(code) ?? 0, JSON.stringify([...met])).toBeGreaterThan(seeds);
    expect(met.size).toBe(4);
  });
});
