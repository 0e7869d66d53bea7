import { DatabaseSync } from 'node:sqlite';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { KEY_RANDOM_BYTES, newIdempotencyKey } from '../../src/protocol/idempotency-key.ts';
import { Random } from '../harness/random.ts';
import { START_MS } from '../simulation/event-loop.ts';
import { QuietCluster } from '../simulation/quiet-cluster.ts';

/** Ids that clients give in tables whose INTEGER PRIMARY KEY does not contain the partition key. */

const POSTS =
  'CREATE TABLE posts (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, body, n INTEGER CHECK (n < 9))';
const TENANTS = ['ash', 'bell', 'corn', 'dune', 'elm', 'fir'];
const ALL = 'SELECT id, tenant, body, n FROM posts ORDER BY id, tenant';
const TAKEN = 'UNIQUE constraint failed: posts.id';
const CHECK = 'CHECK constraint failed: n < 9';

type Value = string | number | null | { readonly $int: string };

let cluster: QuietCluster;

beforeAll(async () => {
  cluster = await QuietCluster.open(11, 3, [
    `${POSTS} PARTITION BY (tenant)`,
    'CREATE TABLE users (id INTEGER PRIMARY KEY, tenant TEXT, email TEXT UNIQUE) PARTITION BY (tenant)',
    'CREATE TABLE loose (tenant TEXT, body) PARTITION BY (tenant)',
  ]);
});
beforeEach(async () => {
  for (const table of ['posts', 'users', 'loose']) await cluster.query(`DELETE FROM ${table}`);
});

const INSERT = 'INSERT INTO posts (id, tenant) VALUES (?, ?)';
const give = (id: Value, tenant: string) => cluster.ask(INSERT, [id, tenant]);
const ids = async () => (await cluster.rows('SELECT id FROM posts ORDER BY id')).map(([id]) => id);

interface Statement {
  readonly sql: string;
  readonly args: Value[];
}

/** Ids as clients may write them: most are few, so that they meet. */
function anId(random: Random): Value {
  const few = 1 + random.below(12);
  return random.pick<Value>([
    few,
    few,
    few,
    few,
    few,
    String(few),
    `  ${few}.0 `,
    -few,
    0,
    { $int: String(2n ** 60n + BigInt(few)) },
    random.pick<Value>(['7.5', 'seven', 2 ** 51 + few]),
  ]);
}

function statementOf(random: Random): Statement {
  const tenant = () => random.pick(TENANTS);
  const one = random.below(10);
  if (one < 5) {
    const rows = Array.from({ length: random.pick([1, 1, 1, 2, 3]) }, () => [
      anId(random),
      tenant(),
      random.below(10),
    ]);
    const values = rows.map(() => '(?, ?, ?)').join(', ');
    return { sql: `INSERT INTO posts (id, tenant, n) VALUES ${values} RETURNING id, n`, args: rows.flat() };
  }
  if (one === 5) return { sql: 'DELETE FROM posts WHERE id = ? RETURNING tenant', args: [anId(random)] };
  if (one === 6) return { sql: 'DELETE FROM posts WHERE tenant = ?', args: [tenant()] };
  if (one === 7) return { sql: 'UPDATE posts SET tenant = ? WHERE id = ?', args: [tenant(), anId(random)] };
  return { sql: 'UPDATE posts SET tenant = ? WHERE tenant = ?', args: [tenant(), tenant()] };
}

const bound = (value: Value) => (value !== null && typeof value === 'object' ? BigInt(value.$int) : value);
/** As both write integers beyond 2^53. */
const shown = (rows: readonly unknown[][]) =>
  rows
    .map((row) =>
      JSON.stringify(row, (_, value) => (typeof value === 'bigint' ? shownInteger(value) : value)),
    )
    .sort();
const shownInteger = (value: bigint) =>
  value > -(2n ** 53n) && value < 2n ** 53n ? Number(value) : { $int: String(value) };

class Plain {
  readonly #db = new DatabaseSync(':memory:');

  constructor() {
    this.#db.exec(POSTS);
  }

  run({ sql, args }: Statement): { rows: string[] } | { error: string } {
    const statement = this.#db.prepare(sql);
    statement.setReadBigInts(true);
    try {
      return { rows: shown(statement.all(...args.map(bound)).map((row) => Object.values(row as object))) };
    } catch (error) {
      return { error: (error as Error).message };
    }
  }
}

describe('ids that clients give', () => {
  test.each([1, 2])('mean what they mean in SQLite, statement by statement (%i)', async (seed) => {
    const random = new Random(seed);
    const plain = new Plain();
    for (let i = 0; i < 50; i++) {
      if (random.chance(0.3)) {
        const tenant = random.pick(TENANTS);
        // The id is the cluster's: it must be nobody's.
        const [[id] = []] = await cluster.rows('INSERT INTO posts (tenant) VALUES (?) RETURNING id', [
          tenant,
        ]);
        const made = plain.run({
          sql: 'INSERT INTO posts (id, tenant) VALUES (?, ?)',
          args: [Number(id), tenant],
        });
        expect(made).toEqual({ rows: [] });
      }
      const statement = statementOf(random);
      const { status, json } = await cluster.ask(statement.sql, statement.args);
      const wanted = plain.run(statement);
      const got = status === 200 ? { rows: shown(json.rows) } : { error: json.error.message };
      // Of several rows in several partitions more than one may be wrong.
      if (statement.args.length > 3 && 'error' in wanted && 'error' in got)
        expect(['datatype mismatch', TAKEN, CHECK]).toContain(got.error);
      else expect([statement, got]).toEqual([statement, wanted]);
      expect(shown(await cluster.rows(ALL))).toEqual(
        (plain.run({ sql: ALL, args: [] }) as { rows: string[] }).rows,
      );
    }
  });

  test('are unique over partitions, and free again when their row is gone', async () => {
    for (const tenant of TENANTS) {
      const { status, json } = await give(7, tenant);
      if (tenant === 'ash') {
        expect([status, json.rowsAffected, json.lastInsertRowid, json.plan.kind]).toEqual([
          200,
          1,
          7,
          'transaction',
        ]);
        continue;
      }
      expect([status, json.error]).toMatchObject([
        409,
        {
          code: 'constraint',
          message: TAKEN,
          outcome: 'none',
          retryable: false,
          detail: { sqlite: 'SQLITE_CONSTRAINT_PRIMARYKEY' },
        },
      ]);
    }
    await cluster.query('DELETE FROM posts WHERE id = 7');
    expect((await give(7, 'bell')).status).toBe(200);
    await cluster.query("UPDATE posts SET tenant = 'corn' WHERE id = 7");
    for (const tenant of TENANTS) expect((await give(7, tenant)).json.error?.message).toBe(TAKEN);
  });

  test('meet generated ones, wherever those rows have moved, and are never generated', async () => {
    for (const tenant of TENANTS) {
      const [[id] = []] = await cluster.rows('INSERT INTO posts (tenant) VALUES (?) RETURNING id', [tenant]);
      await cluster.query('UPDATE posts SET tenant = ? WHERE id = ?', [`${tenant} moved`, id]);
      expect((await give(Number(id), tenant)).json.error?.message).toBe(TAKEN);
      for (const next of [1, 2, 3, 65, 66, 200])
        expect((await give(Number(id) + next, `${tenant} too`)).status).toBe(200);
      for (let i = 0; i < 5; i++)
        await cluster.query('INSERT INTO posts (tenant) VALUES (?), (?)', [tenant, 'elm']);
    }
    const all = await ids();
    expect(new Set(all).size).toBe(all.length);
  });

  test('of the same number at the same time: one row has it', async () => {
    for (let round = 0; round < 5; round++) {
      const id = 1_000_000 * (1 + round);
      const answers = await cluster.together([
        ...TENANTS.map((tenant) => ['/v1/query', { sql: INSERT, args: [id, tenant] }] as const),
        ...TENANTS.map(
          (tenant) =>
            ['/v1/query', { sql: 'INSERT INTO posts (tenant) VALUES (?)', args: [tenant] }] as const,
        ),
        [
          '/v1/batch',
          {
            statements: ['elm', 'ash', 'fir'].map((tenant) => ({
              sql: 'INSERT INTO posts (tenant) VALUES (?)',
              args: [tenant],
            })),
          },
        ],
      ]);
      const given = answers.slice(0, TENANTS.length);
      expect(given.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409, 409, 409]);
      for (const { status, json } of given) if (status !== 200) expect(json.error.message).toBe(TAKEN);
      expect(answers.slice(TENANTS.length).map(({ status }) => status)).toEqual(
        TENANTS.map(() => 200).concat(200),
      );
    }
    const all = await ids();
    expect(new Set(all).size).toBe(all.length);
  });

  test('in a batch are judged in its end', async () => {
    await cluster.query("INSERT INTO posts (id, tenant) VALUES (1, 'ash'), (2, 'bell'), (3, 'corn')");
    const handed = await cluster.batch(
      ["DELETE FROM posts WHERE tenant = 'ash'"],
      [INSERT, [1, 'dune']],
      ['INSERT INTO posts (tenant) VALUES (?)', ['elm']],
      ["SELECT count(*) FROM posts WHERE tenant = 'dune'"],
    );
    expect([handed.status, handed.json.results?.[3].rows]).toEqual([200, [[1]]]);
    for (const twice of [
      [
        [9, 'ash'],
        [9, 'bell'],
        [9, 'corn'],
      ],
      [
        [9, 'ash'],
        [9, 'ash'],
      ],
      [
        [8, 'ash'],
        [3, 'ash'],
      ],
    ]) {
      const { status, json } = await cluster.batch(...twice.map((args) => [INSERT, args] as const));
      expect([status, json.error?.message]).toEqual([409, TAKEN]);
    }
    expect((await ids()).filter((id) => (id as number) > 3 && (id as number) < 10)).toEqual([]);
    const moved = await cluster.batch([INSERT, [9, 'ash']], ["UPDATE posts SET tenant = 'fir' WHERE id = 2"]);
    expect([moved.status, moved.json.error.code]).toEqual([400, 'unsupported']);
  });

  test('with an idempotency key are given once', async () => {
    const idempotencyKey = newIdempotencyKey(START_MS, new Uint8Array(KEY_RANDOM_BYTES));
    const body = { sql: INSERT, args: [5, 'ash'], idempotencyKey };
    const [first, again] = [await cluster.post('/v1/query', body), await cluster.post('/v1/query', body)];
    expect([first.status, again.status, again.json.rowsAffected]).toEqual([200, 200, 1]);
    expect(await ids()).toEqual([5]);
  });

  test('go with UNIQUE over partitions, and with NULLs that generate', async () => {
    const sql = 'INSERT INTO users (id, tenant, email) VALUES (?, ?, ?), (?, ?, ?) RETURNING id';
    const rows = await cluster.rows(sql, [3, 'ash', 'a@x', null, 'bell', 'b@x']);
    expect(rows.flat()).toContain(3);
    const email = await cluster.ask(sql, [4, 'ash', 'a@x', 5, 'bell', 'c@x']);
    expect([email.status, email.json.error?.message]).toEqual([409, 'UNIQUE constraint failed: users.email']);
    const id = await cluster.ask(sql, [3, 'corn', 'd@x', 5, 'bell', 'c@x']);
    expect([id.status, id.json.error?.message]).toEqual([409, 'UNIQUE constraint failed: users.id']);
    await cluster.checkIndexes();
  });

  test('are not given to rows while an interactive transaction may insert them', async () => {
    const begun = await cluster.post('/v1/transactions', {});
    const path = `/v1/transactions/${begun.json.id}`;
    const sql = 'INSERT INTO posts (tenant) VALUES (?) RETURNING id';
    const [[id]] = (await cluster.post(`${path}/query`, { sql, args: ['ash'] })).json.rows;
    const meanwhile = await give(id, 'dune');
    expect([meanwhile.status, meanwhile.json.error]).toMatchObject([
      409,
      { code: 'conflict', retryable: true },
    ]);
    expect((await cluster.post(`${path}/commit`, {})).status).toBe(200);
    expect((await give(id, 'dune')).json.error?.message).toBe(TAKEN);
  });

  describe('in interactive transactions', () => {
    test('are looked for in all partitions by the statement that gives them, those that it has given itself too', async () => {
      await give(7, 'fir');
      const transaction = await cluster.begin();
      for (const tenant of TENANTS) {
        const taken = await transaction.send(INSERT, [7, tenant]);
        expect([taken.status, taken.json.error?.message]).toEqual([409, TAKEN]);
        expect(taken.json.error.detail.transaction).toBe('open');
      }
      const given = await transaction.send(`${INSERT}, (?, ?) RETURNING id, tenant`, [8, 'ash', 9, 'bell']);
      expect([given.status, given.json.rows]).toEqual([
        200,
        [
          [8, 'ash'],
          [9, 'bell'],
        ],
      ]);
      expect(given.json.rowsAffected).toBe(2);
      for (const tenant of TENANTS)
        expect((await transaction.send(INSERT, [9, tenant])).json.error?.message).toBe(TAKEN);
      // Half of it does not fit, so that none of it is done.
      const half = await transaction.send(`${INSERT}, (?, ?), (?, ?)`, [10, 'ash', 7, 'bell', 11, 'corn']);
      expect(half.json.error?.message).toBe(TAKEN);
      expect((await transaction.send('DELETE FROM posts WHERE id = 9')).status).toBe(200);
      expect((await transaction.send(INSERT, [9, 'dune'])).status).toBe(200);
      expect((await transaction.send(INSERT, [null, 'elm'])).status).toBe(200);
      expect(await ids()).toEqual([7]);
      expect((await transaction.commit()).status).toBe(200);
      const rows = await cluster.rows('SELECT id, tenant FROM posts WHERE id < 100 ORDER BY id');
      expect(rows).toEqual([
        [7, 'fir'],
        [8, 'ash'],
        [9, 'dune'],
      ]);
      expect(await cluster.rows('SELECT count(*) FROM posts')).toEqual([[4]]);
    });

    test('conflict at the commit with whoever gave them meanwhile, wherever that was', async () => {
      for (const [at, tenant] of TENANTS.entries()) {
        const id = 20 + at;
        const transaction = await cluster.begin();
        expect((await transaction.send(INSERT, [id, 'ash'])).status).toBe(200);
        expect((await give(id, tenant)).status).toBe(200);
        const { status, json } = await transaction.commit();
        expect([status, json.error?.code, json.error?.outcome]).toEqual([409, 'conflict', 'none']);
      }
      const [one, two] = [await cluster.begin(), await cluster.begin()];
      expect((await one.send(INSERT, [40, 'ash'])).status).toBe(200);
      expect((await two.send(INSERT, [40, 'dune'])).status).toBe(200);
      expect((await two.commit()).status).toBe(200);
      expect((await one.commit()).json.error?.code).toBe('conflict');
      expect(await ids()).toEqual([20, 21, 22, 23, 24, 25, 40]);
    });

    test('other rows that come meanwhile are no conflict, and given ids are never generated', async () => {
      const [[first]] = (await cluster.query('INSERT INTO posts (tenant) VALUES (?) RETURNING id', ['ash']))
        .rows;
      const transaction = await cluster.begin();
      const given = Number(first) + 3;
      expect((await transaction.send(INSERT, [given, 'corn'])).status).toBe(200);
      for (const tenant of TENANTS)
        for (let i = 0; i < 6; i++) await cluster.query('INSERT INTO posts (tenant) VALUES (?)', [tenant]);
      const others = await ids();
      expect(others).not.toContain(given);
      expect((await transaction.commit()).status).toBe(200);
      expect(await ids()).toEqual([...others, given].sort((a, b) => Number(a) - Number(b)));
    });

    test('of a row whose id was generated in one that is open are a conflict, but in the same one', async () => {
      const [one, two] = [await cluster.begin(), await cluster.begin()];
      const made = await one.send('INSERT INTO posts (tenant) VALUES (?) RETURNING id', ['ash']);
      const id = made.json.rows[0][0];
      expect((await two.send(INSERT, [id, 'dune'])).json.error?.code).toBe('conflict');
      expect((await one.send(INSERT, [id, 'dune'])).json.error?.message).toBe(TAKEN);
      await one.send('DELETE FROM posts WHERE id = ?', [id]);
      expect((await one.send(INSERT, [id, 'dune'])).status).toBe(200);
      expect((await one.commit()).status).toBe(200);
      expect(await cluster.rows('SELECT id, tenant FROM posts')).toEqual([[id, 'dune']]);
    });
  });

  test.each<[string, Value[]]>([
    ["INSERT OR FAIL INTO posts (id, tenant) VALUES (1, 'ash')", []],
    ["UPDATE posts SET id = 2 WHERE tenant = 'ash'", []],
    ['INSERT INTO loose (rowid, tenant) VALUES (?, ?)', [1, 'ash']],
  ])('are refused where it is not known whether they are free: %s', async (sql, args) => {
    const { status, json } = await cluster.ask(sql, args);
    expect([status, json.error?.code]).toEqual([400, 'needs-global-index']);
  });

  test('are refused without atomicity over partitions', async () => {
    const body = { sql: INSERT, args: [1, 'ash'], atomicity: 'partition' };
    const { status, json } = await cluster.post('/v1/query', body);
    expect([status, json.error.code]).toEqual([400, 'needs-global-index']);
    expect(await ids()).toEqual([]);
  });

  test('cost nothing where they are NULL', async () => {
    const { json } = await give(null, 'ash');
    expect(json.plan.kind).toBe('route');
  });
});
