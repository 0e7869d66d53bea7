import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { TestCluster } from '../cluster/cluster.ts';

/** Reference tables that are written together with others: docs/api.md, /v1/batch. */

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start({ partitions: 4 });
  for (const sql of [
    'CREATE TABLE countries (code TEXT PRIMARY KEY, name TEXT NOT NULL, visits INTEGER NOT NULL DEFAULT 0) REFERENCE',
    'CREATE TABLE kinds (id INTEGER PRIMARY KEY, name TEXT) REFERENCE',
    `CREATE TABLE cities (id INTEGER PRIMARY KEY, country TEXT NOT NULL REFERENCES countries (code), name TEXT)
     PARTITION BY (country)`,
    'CREATE TABLE people (email TEXT UNIQUE, name TEXT PRIMARY KEY, n INTEGER CHECK (n >= 0))',
    'CREATE TABLE marks (name TEXT PRIMARY KEY, at REAL DEFAULT (random()))',
    `CREATE TRIGGER marked AFTER INSERT ON marks
     BEGIN SELECT raise(ABORT, 'unknown') WHERE NOT EXISTS (SELECT 1 FROM kinds WHERE name = NEW.name); END`,
  ]) {
    const { status, json } = await cluster.query(sql);
    expect([status, json.error]).toEqual([200, undefined]);
  }
});
afterAll(() => cluster.dispose());

beforeEach(async () => {
  for (const table of ['cities', 'people', 'marks', 'kinds']) await cluster.query(`DELETE FROM ${table}`);
});

const batch = (...statements: (string | readonly [string, ...unknown[]])[]) =>
  cluster.post('/v1/batch', {
    statements: statements.map((each) => {
      if (typeof each === 'string') return { sql: each };
      const [sql, ...args] = each;
      return { sql, args };
    }),
  });

const rowsOf = async (sql: string) => (await cluster.query(sql)).json.rows;

let count = 0;
const code = () => `c${++count}`;

describe('reference tables written beside others', () => {
  test('rows refer to rows of the same batch, in every partition', async () => {
    const codes = Array.from({ length: 8 }, code);
    const { status, json } = await batch(
      ...codes.map(
        (each) => ['INSERT INTO countries (code, name) VALUES (?, ?)', each, `of ${each}`] as const,
      ),
      ...codes.map((each) => ['INSERT INTO cities (country, name) VALUES (?, ?)', each, each] as const),
      "SELECT count(*), min(o.name) FROM cities AS c JOIN countries AS o ON o.code = c.country WHERE o.name LIKE 'of %'",
      [
        'SELECT o.name FROM cities AS c JOIN countries AS o ON o.code = c.country WHERE c.country = ?',
        codes[3],
      ],
    );
    expect([status, json.error]).toEqual([200, undefined]);
    expect(json.plan.kind).toBe('transaction');
    expect(json.plan.partitions.length).toBeGreaterThan(2);
    expect(json.results[16].rows).toEqual([[8, `of ${codes.toSorted()[0]}`]]);
    expect(json.results[17].rows).toEqual([[`of ${codes[3]}`]]);
    const joined = 'SELECT count(*) FROM cities AS c JOIN countries AS o ON o.code = c.country';
    expect(await rowsOf(joined)).toEqual([[8]]);
    expect(await rowsOf('SELECT count(*) FROM cities')).toEqual([[8]]);
  });

  test('statements run in their order at each place', async () => {
    const own = code();
    const { status, json } = await batch(
      ['INSERT INTO countries (code, name) VALUES (?, ?)', own, 'first'],
      ['SELECT name FROM countries WHERE code = ?', own],
      ['UPDATE countries SET name = ?, visits = visits + 1 WHERE code = ? RETURNING name', 'second', own],
      ['SELECT name FROM countries WHERE code = ?', own],
      ['INSERT INTO cities (country, name) VALUES (?, ?) RETURNING name', own, 'x'],
      [
        'SELECT c.name, o.name FROM cities AS c JOIN countries AS o ON o.code = c.country WHERE c.country = ?',
        own,
      ],
    );
    expect([status, json.error]).toEqual([200, undefined]);
    expect(json.results.map(({ rows }: { rows: unknown[] }) => rows)).toEqual([
      [],
      [['first']],
      [['second']],
      [['second']],
      [['x']],
      [['x', 'second']],
    ]);
    const allowed = await batch(
      ['INSERT INTO kinds (name) VALUES (?) RETURNING id', 'a'],
      'SELECT name FROM kinds',
      "UPDATE kinds SET name = 'b'",
      'SELECT name FROM kinds',
      ['INSERT INTO people (name, n) VALUES (?, 1)', 'ann'],
      'SELECT p.name, k.name FROM people AS p, kinds AS k',
    );
    expect([allowed.status, allowed.json.error]).toEqual([200, undefined]);
    const shown = allowed.json.results.map(({ rows }: { rows: unknown[] }) => rows);
    expect(shown).toEqual([[[expect.any(Number)]], [['a']], [], [['b']], [], [['ann', 'b']]]);
    expect(await rowsOf('SELECT p.name, k.name FROM people AS p, kinds AS k')).toEqual([['ann', 'b']]);
  });

  test('what stands before a write of a table that it uses is refused, and nothing is done', async () => {
    const own = code();
    const city = ['INSERT INTO cities (country, name) VALUES (?, ?)', own, 'x'] as const;
    const country = ['INSERT INTO countries (code, name) VALUES (?, ?)', own, 'y'] as const;
    for (const before of [
      city,
      'SELECT count(*) FROM people AS p, countries AS o',
      "INSERT INTO marks (name) VALUES ('z')",
    ] as const) {
      const { status, json } = await batch(before, country, ['INSERT INTO people (name) VALUES (?)', own]);
      expect([status, json.error.code, json.error.outcome]).toEqual([400, 'unsupported', 'none']);
      expect(json.error.message).toMatch(/statements\[1\] writes the reference table "countries".*first/);
    }
    expect(await rowsOf('SELECT count(*) FROM people')).toEqual([[0]]);
    expect((await batch(country, city)).status).toBe(200);
  });

  test('if one part fails, nothing of any is there, and the next write goes through', async () => {
    const own = code();
    const country = ['INSERT INTO countries (code, name) VALUES (?, ?)', own, 'y'] as const;
    for (const failing of [
      "INSERT INTO people (name, n) VALUES ('bad', -1)",
      ['INSERT INTO cities (country, name) VALUES (?, ?)', 'nowhere', 'x'],
      "INSERT INTO marks (name) VALUES ('not a kind')",
    ] as const) {
      const { status, json } = await batch(
        country,
        "INSERT INTO people (name, n) VALUES ('good', 1)",
        failing,
      );
      expect([status, json.error.code, json.error.outcome]).toEqual([409, 'constraint', 'none']);
    }
    const taken = await batch("INSERT INTO people (name, n) VALUES ('good', 1)", country, [
      'INSERT INTO countries (code, name) VALUES (?, ?)',
      own,
      'again',
    ]);
    expect([taken.status, taken.json.error.code]).toEqual([409, 'constraint']);
    expect(await rowsOf('SELECT count(*) FROM people')).toEqual([[0]]);
    const read = await cluster.query('SELECT count(*) FROM people AS p, countries AS o WHERE o.code = ?', [
      own,
    ]);
    expect(read.json.rows).toEqual([[0]]);
    expect((await batch(country, "INSERT INTO people (name, n) VALUES ('good', 1)")).status).toBe(200);
    expect((await cluster.query("UPDATE people SET n = 2 WHERE name = 'good'")).json.rowsAffected).toBe(1);
  });

  test('triggers elsewhere see what was written', async () => {
    const { status, json } = await batch(
      "INSERT INTO kinds (name) VALUES ('k')",
      "INSERT INTO marks (name) VALUES ('k')",
      "INSERT INTO people (name) VALUES ('p')",
    );
    expect([status, json.error]).toEqual([200, undefined]);
    expect(await rowsOf('SELECT name FROM marks')).toEqual([['k']]);
  });

  test('a key has the whole applied once', async () => {
    const own = code();
    const request = {
      statements: [
        { sql: 'INSERT INTO kinds (name) VALUES (?) RETURNING id', args: [own] },
        {
          sql: 'INSERT INTO people (name, n) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET n = n + 1',
          args: [own],
        },
      ],
      idempotencyKey: `${Date.now()}-${'7'.repeat(22)}`,
    };
    const first = await cluster.post('/v1/batch', request);
    expect([first.status, first.json.error]).toEqual([200, undefined]);
    const second = await cluster.post('/v1/batch', request);
    expect([second.status, second.json.results]).toEqual([200, first.json.results]);
    expect(await rowsOf(`SELECT count(*) FROM kinds WHERE name = '${own}'`)).toEqual([[1]]);
    expect(await rowsOf(`SELECT n FROM people WHERE name = '${own}'`)).toEqual([[1]]);
  });

  test('a key tells what was committed, also while a partition is away', async () => {
    const own = code();
    const key = () => `${Date.now()}-${String(++count).padStart(22, '8')}`;
    const alone = {
      sql: 'INSERT INTO kinds (name) VALUES (?) RETURNING name',
      args: [own],
      idempotencyKey: key(),
    };
    const beside = {
      statements: [
        { sql: 'INSERT INTO kinds (name) VALUES (?) RETURNING name', args: [own] },
        { sql: 'INSERT INTO people (name, n) VALUES (?, 1)', args: [own] },
      ],
      idempotencyKey: key(),
    };
    for (const [path, body] of [
      ['/v1/query', alone],
      ['/v1/batch', beside],
    ] as const) {
      await cluster.rpc(3, 'fault', { fault: 'deaf', on: 'feed' });
      const lost = await cluster.post(path, body);
      expect([lost.status, lost.json.error.outcome]).toEqual([503, 'unknown']);
      await cluster.rpc(3, 'fault', { fault: 'deaf', on: 'freeze' });
      const again = await cluster.post(path, body);
      expect([again.status, again.json.error]).toEqual([200, undefined]);
      expect(JSON.stringify(again.json)).toContain(`[["${own}"]]`);
      const other = await cluster.post('/v1/query', { sql: "INSERT INTO kinds (name) VALUES ('other')" });
      expect([other.status, other.json.error.outcome]).toEqual([503, 'none']);
      await cluster.rpc(3, 'fault', { fault: 'none' });
    }
    expect(await rowsOf('SELECT count(*) FROM kinds')).toEqual([[2]]);
    expect(await rowsOf('SELECT count(*) FROM people')).toEqual([[1]]);
  });

  test('beside values that are unique over partitions, rows that move, and given ids', async () => {
    const [one, two] = [code(), code()];
    const { status, json } = await batch(
      ['INSERT INTO countries (code, name) VALUES (?, ?), (?, ?)', one, 'one', two, 'two'],
      ["INSERT INTO people (name, email, n) VALUES ('ann', 'a@x', 1), ('bob', 'b@x', 1)"],
      ['INSERT INTO cities (id, country, name) VALUES (?, ?, ?)', 700 + count, one, 'given'],
    );
    expect([status, json.error]).toEqual([200, undefined]);
    const taken = await batch(
      "INSERT INTO kinds (name) VALUES ('lost')",
      "INSERT INTO people (name, email) VALUES ('cy', 'b@x')",
    );
    expect([taken.status, taken.json.error.code]).toEqual([409, 'constraint']);
    const three = code();
    const moved = await batch(
      ['INSERT INTO countries (code, name) VALUES (?, ?)', three, 'three'],
      ['UPDATE cities SET country = ? WHERE country = ?', three, one],
    );
    expect([moved.status, moved.json.error]).toEqual([200, undefined]);
    expect(await rowsOf('SELECT o.name FROM cities AS c JOIN countries AS o ON o.code = c.country')).toEqual([
      ['three'],
    ]);
    expect(await rowsOf('SELECT count(*) FROM kinds')).toEqual([[0]]);
  });

  test('a partition that is not told of the rows fetches them, and nobody sees those that refer to them before', async () => {
    const codes = Array.from({ length: 12 }, code);
    await cluster.rpc(3, 'fault', { fault: 'deaf', on: 'feed' });
    const { status, json } = await batch(
      ...codes.map((each) => ['INSERT INTO countries (code, name) VALUES (?, ?)', each, each] as const),
      ...codes.map((each) => ['INSERT INTO cities (country, name) VALUES (?, ?)', each, each] as const),
    );
    expect([status, json.error.code, json.error.outcome]).toEqual([503, 'unavailable', 'unknown']);
    expect(json.error.message).toMatch(/is committed, but partition 3 has not confirmed/);
    const joined = 'SELECT c.country, o.code FROM cities AS c LEFT JOIN countries AS o ON o.code = c.country';
    const orphans: unknown[] = [];
    await vi.waitFor(
      async () => {
        const { rows } = (await cluster.post('/v1/query', { sql: joined, consistency: 'eventual' })).json;
        orphans.push(...rows.filter(([, parent]: unknown[]) => parent === null));
        expect(rows.length).toBe(codes.length);
      },
      { timeout: 10_000, interval: 10 },
    );
    expect(orphans).toEqual([]);
    await cluster.rpc(3, 'fault', { fault: 'none' });
    expect((await rowsOf(joined)).length).toBe(codes.length);
  });

  test('many at once, and writes of reference tables alone between them, all get through', async () => {
    const codes = Array.from({ length: 24 }, code);
    const answers = await Promise.all(
      codes.map((each, at) =>
        at % 3 === 2
          ? cluster.query('INSERT INTO countries (code, name) VALUES (?, ?)', [each, each])
          : batch(
              ['INSERT INTO countries (code, name) VALUES (?, ?)', each, each],
              ['INSERT INTO cities (country, name) VALUES (?, ?)', each, each],
              ["INSERT INTO people (name, n) VALUES ('all', 1) ON CONFLICT (name) DO UPDATE SET n = n + 1"],
            ),
      ),
    );
    expect(answers.map(({ json }) => json.error)).toEqual(codes.map(() => undefined));
    expect(await rowsOf('SELECT count(*) FROM cities')).toEqual([[16]]);
    expect(await rowsOf("SELECT n FROM people WHERE name = 'all'")).toEqual([[16]]);
  });
});
