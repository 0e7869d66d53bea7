import { DatabaseSync } from 'node:sqlite';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
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

describe('an upsert by a value that is unique over partitions', () => {
  let cluster: QuietCluster;
  const UPSERT =
    'INSERT INTO users (id, email, name, n) VALUES (?, ?, ?, 1) ON CONFLICT (email) DO UPDATE SET name = excluded.name, n = n + 1';

  beforeAll(async () => {
    cluster = await QuietCluster.open(7, 4, [
      TABLES[0].sql,
      'CREATE TABLE kinds (kind TEXT PRIMARY KEY) REFERENCE',
      'CREATE TABLE posts (id INTEGER PRIMARY KEY, author INTEGER REFERENCES users ON DELETE CASCADE, slug TEXT UNIQUE) PARTITION BY (author)',
      'CREATE TABLE logged (k TEXT PRIMARY KEY, v TEXT UNIQUE)',
      'CREATE TRIGGER logs AFTER INSERT ON logged BEGIN SELECT 1; END',
      'CREATE TABLE coded (k TEXT PRIMARY KEY, a TEXT UNIQUE, b TEXT UNIQUE, n INTEGER)',
    ]);
  });
  beforeEach(async () => {
    for (const table of ['posts', 'users', 'coded']) await cluster.query(`DELETE FROM ${table}`);
  });

  const users = async () => (await cluster.query('SELECT id, email, name, n FROM users ORDER BY id')).rows;

  test('answers with the row and its id, or with none where it has only changed one', async () => {
    const first = await cluster.query(`${UPSERT} RETURNING id, n`, [5, 'ann@x', 'Ann']);
    expect(first).toMatchObject({ rows: [[5, 1]], rowsAffected: 1, lastInsertRowid: 5 });
    const again = await cluster.query(`${UPSERT} RETURNING id, n, name`, [6, 'ANN@x', 'Anna']);
    expect(again).toMatchObject({ rows: [[5, 2, 'Anna']], rowsAffected: 1, lastInsertRowid: null });
    const generated = await cluster.query(`${UPSERT} RETURNING id`, [null, 'bob@x', 'Bob']);
    expect(generated.rows).toEqual([[generated.lastInsertRowid]]);
    const replaced = await cluster.query("REPLACE INTO coded VALUES ('k', 'a', 'b', 1), ('l', 'c', 'd', 1)");
    expect(replaced.rowsAffected).toBe(2);
    expect((await cluster.query("REPLACE INTO coded VALUES ('m', 'a', 'd', 2)")).rowsAffected).toBe(1);
    expect((await cluster.query('SELECT * FROM coded')).rows).toEqual([['m', 'a', 'd', 2]]);
  });

  test('counts every one of many at the same time', async () => {
    const requests = Array.from({ length: 24 }, (_, i) => {
      const body = {
        sql: UPSERT,
        args: [100 + i, `${'ab'.charAt(i % 2)}@x`, `name ${i}`],
        timeoutMs: 20_000,
      };
      return ['/v1/query', body] as const;
    });
    for (const { status, json } of await cluster.together(requests))
      expect([status, json.error]).toEqual([200, undefined]);
    expect((await users()).map(([, email, , n]: unknown[]) => [email, n]).sort()).toEqual([
      ['a@x', 12],
      ['b@x', 12],
    ]);
    await cluster.checkIndexes();
  });

  test('leaves children and a batch of one as they are', async () => {
    await cluster.query(UPSERT, [1, 'ann@x', 'Ann']);
    await cluster.query("INSERT INTO posts (author, slug) VALUES (1, 's')");
    for (const id of [1, 2, 3, 4, 5]) {
      const sql = `${UPSERT} RETURNING id`;
      const { status, json } = await cluster.post('/v1/batch', {
        statements: [{ sql, args: [id + 1, 'ann@x', `N${id}`] }],
      });
      expect([status, json.results?.[0]?.rows]).toEqual([200, [[1]]]);
    }
    expect((await cluster.query('SELECT author, slug FROM posts')).rows).toEqual([[1, 's']]);
    expect((await cluster.query("DELETE FROM users WHERE email = 'ann@x'")).rowsAffected).toBe(1);
    expect((await cluster.query('SELECT * FROM posts')).rows).toEqual([]);
  });

  test('a violation of what it does not speak of is one, and nothing is done', async () => {
    await cluster.query("INSERT INTO coded VALUES ('k', 'a', 'b', 1)");
    for (const sql of [
      "INSERT INTO coded VALUES ('l', 'x', 'b', 1) ON CONFLICT (a) DO NOTHING",
      "INSERT INTO coded VALUES ('l', 'x', 'b', 1), ('m', 'a', 'c', 1) ON CONFLICT (a) DO UPDATE SET n = n + 1",
    ]) {
      const { status, json } = await cluster.post('/v1/query', { sql });
      expect([status, json.error]).toMatchObject([
        409,
        { code: 'constraint', message: 'UNIQUE constraint failed: coded.b', outcome: 'none' },
      ]);
    }
    expect((await cluster.query('SELECT * FROM coded')).rows).toEqual([['k', 'a', 'b', 1]]);
  });

  test('is refused where it would need more than the row in its way', async () => {
    const refusals: readonly (readonly [sql: string, code: string, message: RegExp])[] = [
      [
        "INSERT OR IGNORE INTO users (email, name) SELECT 'a', 'b'",
        'needs-global-index',
        /look the row up first|leave/,
      ],
      [
        "INSERT OR IGNORE INTO users (email, name) VALUES (lower('A'), 'b')",
        'needs-global-index',
        /literal or a parameter/,
      ],
      ["INSERT OR IGNORE INTO logged VALUES ('a', 'b')", 'needs-global-index', /triggers/],
      ["REPLACE INTO users (email, name) VALUES ('a', 'b')", 'needs-global-index', /"posts" refer to/],
      [
        "INSERT INTO posts (author, slug) VALUES (1, 's') ON CONFLICT (slug) DO UPDATE SET author = excluded.author",
        'needs-global-index',
        /foreign key/,
      ],
      [
        "INSERT INTO users (id, email, name) VALUES (1, 'e', 'n') ON CONFLICT (email) DO UPDATE SET id = excluded.id",
        'needs-global-index',
        /foreign key/,
      ],
      [
        "INSERT INTO coded VALUES ('k', 'a', 'b', 1) ON CONFLICT (email) DO UPDATE SET k = excluded.k",
        'no-such-column',
        /email/,
      ],
      [
        "INSERT INTO coded VALUES ('k', 'a', 'b', 1) ON CONFLICT (a) DO UPDATE SET k = excluded.k",
        'unsupported',
        /"k"/,
      ],
      [
        "INSERT INTO coded VALUES ('k', 'a', 'b', 1) ON CONFLICT DO UPDATE SET n = 1",
        'needs-global-index',
        /name one/,
      ],
      [
        "INSERT INTO coded VALUES ('k', 'a', 'b', 1) ON CONFLICT (a) DO NOTHING ON CONFLICT (b) DO UPDATE SET n = 1",
        'needs-global-index',
        /name one/,
      ],
      [
        "REPLACE INTO coded VALUES ('k', 'a', 'b', 1), ('l', 'a', 'c', 1)",
        'unsupported',
        /row 2 has the same "a"/,
      ],
      [
        "INSERT OR IGNORE INTO posts (author, slug) VALUES (1, 's'), (2, 't')",
        'needs-global-index',
        /one partition key/,
      ],
    ];
    for (const [sql, code, message] of refusals) {
      const { status, json } = await cluster.post('/v1/query', { sql });
      expect([sql, status, json.error?.code]).toEqual([sql, 400, code]);
      expect(json.error.message).toMatch(message);
    }
    const statement = { sql: UPSERT, args: [1, 'a@x', 'A'] };
    const batch = await cluster.post('/v1/batch', { statements: [{ sql: 'SELECT 1' }, statement] });
    expect([batch.status, batch.json.error]).toMatchObject([
      400,
      { code: 'needs-global-index', message: expect.stringMatching(/^statements\[1\]/) },
    ]);
    const apart = await cluster.post('/v1/query', { ...statement, atomicity: 'partition' });
    expect([apart.status, apart.json.error.code]).toEqual([400, 'multi-partition-write']);
    const { json } = await cluster.post('/v1/transactions', {});
    const within = await cluster.post(`/v1/transactions/${json.id}/query`, statement);
    expect([within.status, within.json.error.code, within.json.error.detail.transaction]).toEqual([
      400,
      'unsupported',
      'open',
    ]);
    expect(await users()).toEqual([]);
  });
});
