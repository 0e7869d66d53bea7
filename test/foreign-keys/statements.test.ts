import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { QuietCluster } from '../simulation/quiet-cluster.ts';

let cluster: QuietCluster;

beforeEach(async () => {
  cluster = await QuietCluster.open(1, 3);
});
afterEach(async () => {
  await cluster.checkIndexes();
});

async function ok(sql: string, args: readonly unknown[] = []): Promise<void> {
  const { status, json } = await cluster.ask(sql, args);
  expect([sql, status, json.error]).toEqual([sql, 200, undefined]);
}

const FAILED = {
  status: 409,
  json: {
    error: {
      code: 'constraint',
      message: 'FOREIGN KEY constraint failed',
      outcome: 'none',
      detail: { sqlite: 'SQLITE_CONSTRAINT_FOREIGNKEY' },
    },
  },
};

const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

describe('what is there in the end counts', () => {
  beforeEach(async () => {
    await ok('CREATE TABLE p (id TEXT PRIMARY KEY)');
    await ok('CREATE TABLE c (id TEXT PRIMARY KEY, p TEXT REFERENCES p) PARTITION BY (id)');
  });

  test('of a batch, in whatever order', async () => {
    expect(await cluster.ask("INSERT INTO c VALUES ('x', 'nobody')")).toMatchObject(FAILED);
    await ok("INSERT INTO c VALUES ('y', NULL)");
    const children = KEYS.map((key) => ['INSERT INTO c VALUES (?1, ?1)', [key]] as const);
    const parents = KEYS.map((key) => ['INSERT INTO p VALUES (?)', [key]] as const);
    expect(await cluster.batch(...children, ...parents)).toMatchObject({ status: 200 });
    expect(await cluster.ask("DELETE FROM p WHERE id = 'a'")).toMatchObject(FAILED);
    expect(
      await cluster.batch(["DELETE FROM p WHERE id = 'a'"], ["DELETE FROM c WHERE p = 'a'"]),
    ).toMatchObject({ status: 200 });
    expect(
      await cluster.batch(["INSERT INTO p VALUES ('z')"], ["UPDATE p SET id = 'z!' WHERE id = 'b'"]),
    ).toMatchObject(FAILED);
    expect(await cluster.rows("SELECT count(*) FROM p WHERE id IN ('z', 'b')")).toEqual([[1]]);
    expect(await cluster.batch(['DELETE FROM c'], ['DELETE FROM p'])).toMatchObject({ status: 200 });
  });

  test('of a write that would not reach the other partitions it is refused', async () => {
    await ok("INSERT INTO p VALUES ('a')");
    for (const sql of ["INSERT INTO c VALUES ('x', 'a')", "DELETE FROM p WHERE id = 'a'"]) {
      const alone = await cluster.post('/v1/query', { sql, atomicity: 'partition' });
      expect([sql, alone.json.error?.code]).toEqual([sql, 'multi-partition-write']);
    }
    await ok("UPDATE p SET id = id WHERE id = 'a'");
  });

  test('rows that refer, and rows that are referred to, change their partitions', async () => {
    await ok('CREATE TABLE d (id TEXT PRIMARY KEY, town TEXT, p TEXT REFERENCES p) PARTITION BY (town)');
    await ok('INSERT INTO p VALUES (?), (?)', ['a', 'b']);
    for (const town of KEYS) await ok('INSERT INTO d VALUES (?1, ?1, ?2)', [town, 'a']);
    for (const town of KEYS) await ok('UPDATE d SET town = ? WHERE id = ?', [`${town}!`, town]);
    expect(await cluster.ask("DELETE FROM p WHERE id = 'a'")).toMatchObject(FAILED);
    await ok("UPDATE d SET p = 'b', town = 'x'");
    await ok("DELETE FROM p WHERE id = 'a'");
    expect(await cluster.ask("UPDATE p SET id = 'c' WHERE id = 'b'")).toMatchObject(FAILED);
  });
});

describe('a tree', () => {
  beforeEach(() => ok('CREATE TABLE tree (id TEXT PRIMARY KEY, up TEXT REFERENCES tree ON DELETE CASCADE)'));

  test('may be inserted by one statement, and hang in the air in a circle', async () => {
    await ok("INSERT INTO tree VALUES ('1', NULL), ('2', '1'), ('3', '3'), ('4', '5'), ('5', '4')");
    expect(await cluster.ask("INSERT INTO tree VALUES ('6', '1'), ('7', '8')")).toMatchObject(FAILED);
    await ok("DELETE FROM tree WHERE id = '1' OR id = '3'");
    await ok("DELETE FROM tree WHERE id = '4'");
    expect(await cluster.rows('SELECT * FROM tree')).toEqual([]);
  });

  test('goes with its root, level by level, to a bound', async () => {
    const chain = (from: number, to: number) =>
      cluster.batch(
        ...Array.from({ length: to - from }, (_, i) => {
          const up = from + i === 0 ? null : `${from + i - 1}`;
          return ['INSERT INTO tree VALUES (?, ?)', [`${from + i}`, up]] as const;
        }),
      );
    expect(await chain(0, 20)).toMatchObject({ status: 200 });
    await ok("DELETE FROM tree WHERE id = '0'");
    expect(await cluster.rows('SELECT count(*) FROM tree')).toEqual([[0]]);
    for (let from = 0; from < 70; from += 35)
      expect(await chain(from, from + 35)).toMatchObject({ status: 200 });
    const { status, json } = await cluster.ask("DELETE FROM tree WHERE id = '0'");
    expect([status, json.error.message]).toEqual([400, expect.stringContaining('after 64 steps')]);
    expect(await cluster.rows('SELECT count(*) FROM tree')).toEqual([[70]]);
  });
});

test('PRAGMA foreign_key_list has those over partitions too', async () => {
  await ok('CREATE TABLE p (id TEXT PRIMARY KEY, code TEXT UNIQUE)');
  const definition = `CREATE TABLE c (id TEXT PRIMARY KEY REFERENCES p, a TEXT REFERENCES p ON DELETE CASCADE,
    b TEXT REFERENCES p (code) ON UPDATE SET NULL)`;
  await ok(definition);
  const plain = new DatabaseSync(':memory:');
  plain.exec(definition);
  const there = plain
    .prepare('PRAGMA foreign_key_list(c)')
    .all()
    .map((row) => Object.values(row));
  // Parents' columns are named where SQLite has none.
  const named = there.map((row) => row.map((value, i) => (i === 4 ? (value ?? 'id') : value)));
  const rows = await cluster.rows('PRAGMA foreign_key_list(c)');
  expect(rows.map((row) => row.map((value, i) => (i === 4 ? (value ?? 'id') : value)))).toEqual(named);
  plain.close();
});

describe('what a foreign key does to rows elsewhere', () => {
  test('is what a statement does: triggers fire, constraints hold, and it goes on from there', async () => {
    await ok('CREATE TABLE p (id TEXT PRIMARY KEY)');
    await ok(`CREATE TABLE c (id TEXT PRIMARY KEY, p TEXT NOT NULL DEFAULT home REFERENCES p ON DELETE SET DEFAULT ON UPDATE CASCADE,
      n INTEGER DEFAULT 0, CHECK (n < 2)) PARTITION BY (id)`);
    await ok('CREATE TABLE d (id TEXT PRIMARY KEY, note TEXT) WITHOUT ROWID');
    await ok(`CREATE TRIGGER t AFTER UPDATE OF p ON c BEGIN
      UPDATE c SET n = n + 1 WHERE id = NEW.id;
      INSERT INTO d VALUES (NEW.id, OLD.p || ' ' || NEW.p);
      DELETE FROM d WHERE id = NEW.id AND NEW.n = 1;
    END`);
    await ok("INSERT INTO p VALUES ('home'), ('a')");
    for (const key of KEYS) await ok("INSERT INTO c (id, p) VALUES (?, 'a')", [key]);
    await ok("UPDATE p SET id = 'b' WHERE id = 'a'");
    expect(await cluster.rows('SELECT p, n, count(*) FROM c GROUP BY 1, 2')).toEqual([['b', 1, 8]]);
    expect(await cluster.rows('SELECT note, count(*) FROM d GROUP BY 1')).toEqual([['a b', 8]]);
    await ok('DELETE FROM d');
    expect(await cluster.ask("DELETE FROM p WHERE id = 'b'")).toMatchObject({
      status: 409,
      json: { error: { message: 'CHECK constraint failed: n < 2' } },
    });
    await ok('UPDATE c SET n = 0');
    await ok("DELETE FROM p WHERE id = 'b'");
    expect(await cluster.rows('SELECT p, n, count(*) FROM c GROUP BY 1, 2')).toEqual([['home', 1, 8]]);
    // The default itself has no parent then.
    await ok('UPDATE c SET n = 0');
    await ok('DELETE FROM d');
    expect(await cluster.ask("DELETE FROM p WHERE id = 'home'")).toMatchObject(FAILED);
  });

  test('is not seen by later statements of the same batch, which are refused', async () => {
    await ok('CREATE TABLE p (id TEXT PRIMARY KEY)');
    await ok('CREATE TABLE c (id TEXT PRIMARY KEY, p TEXT REFERENCES p ON DELETE CASCADE) PARTITION BY (id)');
    const { json } = await cluster.batch(["DELETE FROM p WHERE id = 'a'"], ['SELECT count(*) FROM c']);
    expect(json.error).toMatchObject({ code: 'unsupported', message: expect.stringContaining('uses "c"') });
    expect(await cluster.batch(['SELECT count(*) FROM c'], ["DELETE FROM p WHERE id = 'a'"])).toMatchObject({
      status: 200,
    });
    await ok('CREATE TRIGGER t AFTER DELETE ON p BEGIN DELETE FROM c WHERE id = OLD.id; END');
    expect((await cluster.ask("DELETE FROM p WHERE id = 'a'")).json.error).toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('the trigger "t" on "p" uses "c"'),
    });
  });

  test('reaches rows of parents that go by their id, which is not their partition key', async () => {
    await ok('CREATE TABLE posts (id INTEGER PRIMARY KEY, tenant TEXT) PARTITION BY (tenant)');
    await ok('CREATE TABLE notes (id INTEGER PRIMARY KEY, post INTEGER REFERENCES posts ON DELETE CASCADE)');
    await ok(
      'CREATE TABLE likes (note REFERENCES notes ON DELETE CASCADE, who TEXT, PRIMARY KEY (who, note)) PARTITION BY (who)',
    );
    const ids: unknown[] = [];
    for (const tenant of KEYS)
      ids.push(...(await cluster.rows('INSERT INTO posts (tenant) VALUES (?) RETURNING id', [tenant])));
    for (const [id] of ids as [number][]) {
      const [[note] = []] = await cluster.rows('INSERT INTO notes (post) VALUES (?) RETURNING id', [id]);
      await ok('INSERT INTO likes VALUES (?, ?)', [note, `w${id}`]);
    }
    await ok("DELETE FROM posts WHERE tenant <> 'a'");
    expect(await cluster.rows('SELECT count(*) FROM notes')).toEqual([[1]]);
    expect(await cluster.rows('SELECT count(*) FROM likes')).toEqual([[1]]);
  });

  test('costs nothing elsewhere where nobody refers', async () => {
    await ok('CREATE TABLE p (id TEXT PRIMARY KEY, n)');
    await ok('CREATE TABLE c (id TEXT PRIMARY KEY, p TEXT REFERENCES p ON DELETE CASCADE) PARTITION BY (id)');
    await ok("INSERT INTO p VALUES ('a', 1)");
    expect((await cluster.ask("UPDATE p SET n = 2 WHERE id = 'a'")).json.plan.kind).toBe('route');
    const explained = await cluster.rows("EXPLAIN DELETE FROM p WHERE id = 'a'");
    expect(explained).toContainEqual(['foreign keys over partitions', 'c (p) REFERENCES p']);
    expect(explained).toContainEqual(['foreign keys then change', 'c']);
    const { json } = await cluster.ask("DELETE FROM p WHERE id = 'a'");
    expect(json.plan).toMatchObject({ kind: 'transaction', partitions: [expect.any(Number)] });
  });
});

test('values are compared as the parent has them', async () => {
  const plain = new DatabaseSync(':memory:');
  plain.exec('PRAGMA foreign_keys = ON');
  const kinds = ['INT', 'REAL', 'TEXT', 'TEXT COLLATE NOCASE', 'BLOB', 'NUMERIC', 'TEXT COLLATE RTRIM'];
  const both = async (sql: string, args: (string | number | null)[] = []): Promise<void> => {
    let wanted = 200;
    try {
      plain.prepare(sql).run(...args);
    } catch {
      wanted = 409;
    }
    const { status, json } = await cluster.ask(sql, args);
    expect([sql, args, status, json.error?.message]).toEqual([
      sql,
      args,
      wanted,
      wanted === 200 ? undefined : expect.any(String),
    ]);
  };
  const values = [
    '1',
    'a',
    'A',
    'a ',
    '1.5',
    '1e0',
    '-0.0',
    '9007199254740991',
    '9e18',
    "x'61'",
    '1.0',
    '2e300',
  ];
  for (const [index, kind] of kinds.entries()) {
    await both(`CREATE TABLE p${index} (k ${kind} PRIMARY KEY) /*atoll PARTITION BY (k) */`);
    await both(
      `CREATE TABLE c${index} (id TEXT PRIMARY KEY, t TEXT REFERENCES p${index} ON DELETE SET NULL, b BLOB REFERENCES p${index}, r REAL REFERENCES p${index} ON UPDATE CASCADE)
       /*atoll PARTITION BY (id) */`,
    );
    for (const value of values.slice(0, 7 + (index % 5))) {
      const literal = value.startsWith('x') || /^[-\d.e]+$/.test(value) ? value : `'${value}'`;
      await both(`INSERT INTO p${index} VALUES (${literal})`);
      for (const column of ['t', 'b', 'r']) {
        await both(`INSERT INTO c${index} (id, ${column}) VALUES (?, ${literal})`, [`${column} ${value}`]);
        await both(`INSERT INTO c${index} (id, ${column}) VALUES (?, '${value.replaceAll("'", '')}')`, [
          `${column} ${value}!`,
        ]);
      }
    }
    await both(`UPDATE p${index} SET k = 'z' WHERE k = 1.5`);
    await both(`DELETE FROM p${index} WHERE k = 'a'`);
    const select = `SELECT id, t, b, r FROM c${index} ORDER BY id`;
    const there = plain.prepare(`SELECT id, quote(t), quote(b), quote(r) FROM c${index} ORDER BY id`).all();
    expect(await cluster.rows(select.replace('t, b, r', 'quote(t), quote(b), quote(r)'))).toEqual(
      there.map((row) => Object.values(row)),
    );
    await both(`DELETE FROM c${index}`);
    await both(`DELETE FROM p${index}`);
  }
  plain.close();
});
