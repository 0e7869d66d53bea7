import { DatabaseSync } from 'node:sqlite';
import { beforeAll, describe, expect, test } from 'vitest';
import { Random } from '../harness/random.ts';
import { QuietCluster } from '../simulation/quiet-cluster.ts';

/** Answers in pages, while others write between them: together they are what plain SQLite answered at the first one. */

const TABLES = [
  [
    'notes',
    'CREATE TABLE notes (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, kind TEXT COLLATE NOCASE, n INTEGER, v, body TEXT)',
    ' PARTITION BY (tenant)',
  ],
  [
    'pages',
    'CREATE TABLE pages (tenant TEXT, slug TEXT COLLATE NOCASE, n NUMERIC, kind TEXT, body TEXT, PRIMARY KEY (tenant, slug)) WITHOUT ROWID',
    ' PARTITION BY (tenant)',
  ],
  ['bare', 'CREATE TABLE bare (tenant TEXT, n REAL, body TEXT)', ' PARTITION BY (tenant)'],
  ['kinds', 'CREATE TABLE kinds (kind TEXT PRIMARY KEY, name TEXT)', ' REFERENCE'],
] as const;
const INDEXES = ['CREATE INDEX notes_n ON notes (n)', 'CREATE INDEX pages_body ON pages (body, n)'];
const TENANTS = ['ash', 'bell', 'corn', 'elm', 'fir'];
const KINDS = ['x', 'X', 'y', 'Ya', 'z'];

/** By ORDER BY: its columns of the answer, from 0. Without: nothing is said of the order. */
const SELECTS: readonly (readonly [
  sql: string,
  by?: readonly number[] | undefined,
  args?: readonly unknown[],
])[] = [
  ['SELECT * FROM notes'],
  ['SELECT * FROM pages'],
  ['SELECT rowid > 0, tenant, n, body FROM bare -- all of it'],
  ['SELECT n + ?, v, body FROM notes WHERE n > ? OR v IS NULL', undefined, [10, 2]],
  ["SELECT slug, body FROM pages WHERE tenant = 'corn'"],
  ['SELECT id, body FROM notes WHERE tenant = :t AND body <> :b', undefined, ['ash', 'none']],
  ["SELECT id, v, body FROM notes WHERE tenant IN ('ash', 'elm') ORDER BY v DESC", [1]],
  ['SELECT n, id, body FROM notes ORDER BY n', [0]],
  ['SELECT n, id, body FROM notes ORDER BY n DESC NULLS FIRST, kind', [0]],
  ['SELECT n, id, body FROM notes ORDER BY 1 NULLS LAST, id DESC', [0, 1]],
  ['SELECT v, id, tenant, body FROM notes ORDER BY v, tenant DESC, id', [0, 2, 1]],
  ['SELECT kind, v, body FROM notes ORDER BY kind COLLATE BINARY DESC, v NULLS LAST', [0, 1]],
  ['SELECT slug AS s, n, body FROM pages ORDER BY s, n', [0, 1]],
  ['SELECT body, n FROM pages ORDER BY body, n DESC', [0, 1]],
  ['SELECT n * 2 AS twice, body FROM bare ORDER BY twice DESC, n - 1', [0]],
  ['SELECT n, body FROM bare ORDER BY abs(n), length(tenant)'],
  ['SELECT id, body FROM notes ORDER BY id LIMIT ?', [0], [9]],
  ['SELECT notes.*, kinds.name FROM notes JOIN kinds ON kinds.kind = notes.kind'],
  [
    'SELECT a.id, b.slug, a.body FROM notes AS a LEFT JOIN pages AS b ON a.tenant = b.tenant AND a.n = b.n ORDER BY b.slug, a.id',
    [1, 0],
  ],
  ['SELECT a.id, b.slug, b.body FROM notes AS a JOIN pages AS b USING (tenant) WHERE a.n < 2'],
  ['SELECT name, kind FROM kinds ORDER BY name', [0]],
  [
    'SELECT id, body FROM notes WHERE EXISTS (SELECT 1 FROM pages WHERE pages.tenant = notes.tenant AND pages.n = notes.n)',
  ],
];

let cluster: QuietCluster;
let model: DatabaseSync;
let random: Random;
/** Answers that had several pages. */
let several = 0;

beforeAll(async () => {
  random = new Random(7);
  model = new DatabaseSync(':memory:');
  cluster = await QuietCluster.open(7, 3, [...TABLES.map(([, sql, place]) => sql + place), ...INDEXES]);
  for (const [, sql] of TABLES) model.exec(sql);
  for (const kind of KINDS)
    await write('INSERT INTO kinds VALUES (?, ?)', [kind, `${kind} ${'k'.repeat(300)}`]);
});

/** In both; an id that the cluster generates is the model's too. */
async function write(sql: string, args: readonly (string | number | null)[]): Promise<void> {
  const { status, json } = await cluster.ask(sql, args);
  const accepted = (() => {
    try {
      model.prepare(sql).run(...args);
      return true;
    } catch {
      return false;
    }
  })();
  expect(status === 200, `${sql} ${JSON.stringify(args)} ${JSON.stringify(json)}`).toBe(accepted);
}

async function insert(table: string): Promise<void> {
  const tenant = random.pick(TENANTS);
  const n = random.pick([null, 0, 1, 2, 3, 4]);
  const body = `${random.pick(['a', 'b', 'none'])} ${'y'.repeat(random.pick([10, 300, 600]))}`;
  if (table === 'notes') {
    const sql = 'INSERT INTO notes (tenant, kind, n, v, body) VALUES (?, ?, ?, ?, ?) RETURNING id';
    const v = random.pick([null, 'q', 'Q', 7, '7', 2 ** 40, -1]);
    const args = [tenant, random.pick([...KINDS, null]), n, v, body];
    const { rows } = await cluster.query(sql, args);
    model.prepare('INSERT INTO notes VALUES (?, ?, ?, ?, ?, ?)').run(Number(rows[0]?.[0]), ...args);
  } else if (table === 'pages') {
    const slug = random.pick(['A', 'b', 'C', 'd']) + random.below(20);
    await write('INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?, ?)', [
      tenant,
      slug,
      n,
      random.pick(KINDS),
      body,
    ]);
  } else await write('INSERT INTO bare VALUES (?, ?, ?)', [tenant, n === null ? null : n + 0.5, body]);
}

async function change(): Promise<void> {
  const tenant = random.pick(TENANTS);
  const table = random.pick(['notes', 'pages', 'bare']);
  switch (random.below(5)) {
    case 0:
      return write(`UPDATE ${table} SET n = n + 1 WHERE tenant = ?`, [tenant]);
    case 1:
      return write(`DELETE FROM ${table} WHERE tenant = ? AND (n = ? OR n IS NULL)`, [
        tenant,
        random.below(4),
      ]);
    case 2:
      return write('UPDATE kinds SET name = ? || name WHERE kind = ?', [
        random.pick(['a', 'b']),
        random.pick(KINDS),
      ]);
    case 3:
      return write('UPDATE notes SET tenant = ? WHERE tenant = ? AND n = 2', [random.pick(TENANTS), tenant]);
    default:
      for (let i = 0; i < 3; i++) await insert(table);
  }
}

/** Values as the model gives them. */
function plain(row: unknown[]): unknown[] {
  return row.map((value) =>
    typeof value === 'object' && value !== null ? Number(Object.values(value)[0]) : value,
  );
}

function expected(sql: string, args: readonly unknown[]): unknown[][] {
  const statement = model.prepare(sql);
  statement.setReturnArrays(true);
  const rows = sql.includes(':t')
    ? statement.all({ t: args[0] as string, b: args[1] as string })
    : statement.all(...(args as string[]));
  return rows as unknown as unknown[][];
}

function count(table: string): number {
  return Number(expected(`SELECT count(*) FROM ${table}`, [])[0]?.[0]);
}

const named = (sql: string, args: readonly unknown[]) =>
  sql.includes(':t') ? { t: args[0], b: args[1] } : args;
const sorted = (rows: unknown[][]) => rows.map((row) => JSON.stringify(row)).sort();

describe('an answer in pages', () => {
  test.each(SELECTS.map(([sql, by, args]) => ({ sql, by, args })))('$sql', async ({ sql, by, args = [] }) => {
    for (const [table] of TABLES.slice(0, 3)) {
      // Enough for some pages, also of one tenant's.
      for (let left = 20 - count(table); left > 0; left--) await insert(table);
      if (count(table) > 30) await write(`DELETE FROM ${table} WHERE tenant = ?`, [random.pick(TENANTS)]);
    }
    const asked = named(sql, args);
    let reply = await cluster.post('/v1/query', { sql, args: asked, pageBytes: 1024 });
    expect(reply.status, JSON.stringify(reply.json)).toBe(200);
    const whole = expected(sql, args);
    const at = reply.json.asOf;
    const rows: unknown[][] = [...reply.json.rows];
    let pages = 1;
    while (reply.json.cursor !== undefined) {
      await change();
      expect(JSON.stringify(reply.json.rows).length).toBeLessThan(4 * 1024);
      reply = await cluster.post('/v1/query', { cursor: reply.json.cursor });
      expect(reply.status, JSON.stringify(reply.json)).toBe(200);
      expect(reply.json).toMatchObject({ asOf: at, consistency: 'snapshot' });
      rows.push(...reply.json.rows);
      pages++;
    }
    several += pages > 1 ? 1 : 0;
    const found = rows.map(plain);
    expect(sorted(found)).toEqual(sorted(whole));
    if (by !== undefined)
      expect(found.map((row) => by.map((i) => row[i]))).toEqual(whole.map((row) => by.map((i) => row[i])));
  });
});

test('most answers had several pages', () => {
  expect(several).toBeGreaterThan(SELECTS.length - 8);
});

describe('pages', () => {
  const first = (body: object) => cluster.post('/v1/query', { pageBytes: 1024, ...body });
  const next = (cursor: unknown, more: object = {}) => cluster.post('/v1/query', { cursor, ...more });

  test('of the past, and of a size that the next one may change', async () => {
    const { asOf, cursor } = (await first({ sql: 'SELECT id, body FROM notes' })).json;
    const before = expected('SELECT id, body FROM notes ORDER BY id', []);
    await change();
    const again = await first({ sql: 'SELECT id, body FROM notes ORDER BY id', asOf });
    expect(again.json.asOf).toBe(asOf);
    const rest = await next(again.json.cursor, {
      pageBytes: 8 * 1024 * 1024,
      consistency: 'eventual',
      timeoutMs: 9_000,
    });
    expect([...again.json.rows, ...rest.json.rows].map(plain)).toEqual(before);
    expect(rest.json.cursor).toBeUndefined();
    const clause = await first({ sql: 'SELECT id, body FROM notes ORDER BY id AS OF ?', args: [asOf] });
    expect(clause.json.rows).toEqual(again.json.rows);
    expect((await next(clause.json.cursor)).json.rows).toEqual((await next(again.json.cursor)).json.rows);
    // A cursor may be used again.
    expect((await next(cursor)).json.rows).toEqual((await next(cursor)).json.rows);
  });

  test('are of one moment while transactions over partitions go on', async () => {
    const owners = Array.from({ length: 12 }, (_, i) => `owner ${i}`);
    const money = await QuietCluster.open(3, 3, [
      'CREATE TABLE accounts (owner TEXT PRIMARY KEY, balance INTEGER, pad TEXT)',
    ]);
    for (const owner of owners)
      await money.query('INSERT INTO accounts VALUES (?, 100, ?)', [owner, 'p'.repeat(500)]);
    const move = 'UPDATE accounts SET balance = balance + ? WHERE owner = ?';
    const transfer = (): [string, object] => {
      const [from, to] = [random.pick(owners), random.pick(owners)];
      return [
        '/v1/batch',
        {
          statements: [
            { sql: move, args: [-7, from] },
            { sql: move, args: [7, to] },
          ],
        },
      ];
    };
    for (const order of ['', ' ORDER BY balance', '']) {
      const rows: unknown[][] = [];
      let body: object | null = { sql: `SELECT owner, balance, pad FROM accounts${order}`, pageBytes: 1024 };
      while (body !== null) {
        const [page] = await money.together([['/v1/query', body], transfer(), transfer(), transfer()]);
        expect(page?.status, JSON.stringify(page?.json)).toBe(200);
        rows.push(...(page?.json.rows ?? []));
        body = page?.json.cursor === undefined ? null : { cursor: page.json.cursor };
      }
      expect(rows.map(([owner]) => owner).sort()).toEqual(owners.toSorted());
      expect(rows.reduce((sum, [, balance]) => sum + Number(balance), 0)).toBe(1200);
    }
  });

  test.each(['v', 'v DESC', 'v NULLS LAST, k', 'v DESC NULLS FIRST, k DESC'])(
    'begin behind values of any type: ORDER BY %s',
    async (order) => {
      const odd = await QuietCluster.open(5, 2, ['CREATE TABLE odd (k INTEGER, v)  PARTITION BY (k)']);
      const values: unknown[] = [
        null,
        1,
        { $real: '1.5' },
        { $real: 'inf' },
        'x',
        { $blob: 'AAEC' },
        { $blob: '' },
      ];
      values.push({ $int: '9007199254740993' }, { $int: '9007199254740992' }, { $text: '/w==' }, '', null);
      for (const [k, v] of values.entries()) await odd.query('INSERT INTO odd VALUES (?, ?)', [k, v]);
      const pad = `printf('%0700d', 0)`;
      const rows: unknown[][] = [];
      let body: object | null = { sql: `SELECT v, k, ${pad} FROM odd ORDER BY ${order}`, pageBytes: 1024 };
      while (body !== null) {
        const { status, json } = await odd.post('/v1/query', body);
        expect(status, JSON.stringify(json)).toBe(200);
        rows.push(...json.rows.map((row: unknown[]) => row.slice(0, 2)));
        body = json.cursor === undefined ? null : { cursor: json.cursor };
      }
      expect(rows).toEqual(await odd.rows(`SELECT v, k FROM odd ORDER BY ${order}`));
      expect(rows).toHaveLength(values.length);
    },
  );

  test('of a row that is larger than a page are of that row', async () => {
    const large = 'z'.repeat(5_000);
    await write('INSERT INTO pages VALUES (?, ?, ?, ?, ?)', ['ash', 'aa', 1, 'x', large]);
    await write('INSERT INTO pages VALUES (?, ?, ?, ?, ?)', ['ash', 'ab', 1, 'x', large]);
    const sql = "SELECT slug, body FROM pages WHERE tenant = 'ash' AND length(body) > 4000";
    const { json } = await first({ sql });
    expect(json.rows).toEqual([['aa', large]]);
    expect((await next(json.cursor)).json.rows).toEqual([['ab', large]]);
  });

  test.each([
    'SELECT count(*), max(n) FROM notes',
    'SELECT DISTINCT tenant FROM notes',
    'SELECT tenant, count(*) FROM notes GROUP BY tenant',
    'SELECT id FROM notes UNION ALL SELECT n FROM pages',
    'SELECT 1',
    'SELECT id FROM notes WHERE n < random()',
    'SELECT id FROM notes LIMIT 3 OFFSET 1',
    'SELECT id FROM notes LIMIT 0',
    'SELECT * FROM (SELECT id FROM notes)',
    'SELECT * FROM atoll_partitions',
    'EXPLAIN SELECT * FROM notes',
  ])('are not made of %s, which is answered whole', async (sql) => {
    const paged = await first({ sql });
    const whole = await cluster.query(sql);
    expect(paged.json.cursor).toBeUndefined();
    if (!sql.includes('random')) expect(paged.json.rows.length).toBe(whole.rows.length);
  });

  test('cannot be of what is too large and is no list of rows, which the error says', async () => {
    const rest = 'a.kind, b.kind, hex(zeroblob(700000)) FROM kinds AS a, kinds AS b';
    const { status, json } = await first({ sql: `SELECT DISTINCT ${rest}` });
    expect([status, json.error.code]).toEqual([413, 'result-too-large']);
    expect(json.error.message).toMatch(/It cannot be read in pages: it has DISTINCT$/);
    const without = await cluster.ask(`SELECT ${rest}`);
    expect(without.json.error.message).toMatch(/pageBytes/);
  });

  test.each([
    [{ sql: 'DELETE FROM notes', pageBytes: 2048 }, 'bad-request', /pageBytes is for reads/],
    [{ sql: 'SELECT 1', pageBytes: 5 }, 'bad-request', /pageBytes must be at least 1024/],
    [{ sql: 'SELECT 1', pageBytes: 2 ** 30 }, 'bad-request', /pageBytes must be at most 8388608/],
    [{ cursor: 'abc' }, 'bad-request', /cursor is none of this cluster/],
    [{ cursor: 7 }, 'bad-request', /cursor must be a string/],
    [{ cursor: 'abc', sql: 'SELECT 1' }, 'bad-request', /sql: there is no such field/],
  ])('refuse %j', async (body, code, message) => {
    const { status, json } = await cluster.post('/v1/query', body);
    expect([status, json.error?.code]).toEqual([400, code]);
    expect(json.error.message).toMatch(message);
  });

  test('refuse a cursor that was changed, or is a session', async () => {
    const { cursor, session } = (await first({ sql: 'SELECT id, body FROM notes' })).json;
    const [text = '', seal] = String(cursor).split('.');
    const fields = Buffer.from(text, 'base64url').toString().replace('notes', 'kinds');
    for (const bad of [
      `${Buffer.from(fields).toString('base64url')}.${seal}`,
      text,
      `${text}.${'A'.repeat(22)}`,
      session,
    ]) {
      const { json } = await next(bad);
      expect(json.error).toMatchObject({ code: 'bad-request', detail: { field: 'cursor' } });
    }
  });

  test('end with a change of the schema', async () => {
    const { cursor } = (await first({ sql: 'SELECT id, body FROM notes' })).json;
    await cluster.query('CREATE TABLE other (a TEXT PRIMARY KEY)');
    const { status, json } = await next(cursor);
    expect([status, json.error.code]).toEqual([400, 'history-gone']);
    expect(json.error.message).toMatch(/schema was changed after the first page/);
  });
});
