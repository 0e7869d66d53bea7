import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Reply, TestCluster } from '../cluster/cluster.ts';

let cluster: TestCluster;
const KEYS = [...'abcdefghijklmnop'];
const SCHEMA = [
  'CREATE TABLE t (k TEXT PRIMARY KEY, v INTEGER, kind TEXT)',
  'CREATE TABLE kinds (kind TEXT PRIMARY KEY, name TEXT) REFERENCE',
];

beforeAll(async () => {
  cluster = await TestCluster.start();
  for (const sql of SCHEMA) await cluster.query(sql);
  await cluster.query("INSERT INTO kinds VALUES ('x', 'old')");
  for (const k of KEYS) await cluster.query("INSERT INTO t VALUES (?, 0, 'x')", [k]);
});

afterAll(() => cluster.dispose());

/** A moment after all that was done so far, as an answer shows it. */
async function moment(): Promise<string> {
  const { json } = await cluster.query('SELECT count(*) FROM t', [], { asOf: Date.now() });
  return json.asOf;
}

/** Everything changes. */
async function change(): Promise<void> {
  for (const k of KEYS) await cluster.query('UPDATE t SET v = v + 1 WHERE k = ?', [k]);
  await cluster.query('UPDATE kinds SET name = name || ? WHERE true', ['+']);
}

async function valuesAt(asOf?: string | number): Promise<number[]> {
  const { json } = await cluster.query('SELECT v FROM t ORDER BY v', [], asOf === undefined ? {} : { asOf });
  return json.rows.flat();
}

function expectRefused(reply: Reply, status: number, code: string, message: RegExp): void {
  expect(reply.json.error, reply.text).toMatchObject({ code, outcome: 'none' });
  expect(reply.json.error.message).toMatch(message);
  expect(reply.status).toBe(status);
}

describe('reads of the past', () => {
  test('of several partitions are a snapshot, and say of when', async () => {
    const at = await moment();
    const before = await valuesAt();
    await change();
    const reply = await cluster.query('SELECT k, v FROM t', [], { asOf: at });
    expect(reply.json).toMatchObject({ consistency: 'snapshot', asOf: at, plan: { kind: 'scatter' } });
    expect(reply.json.rows.map(([, v]: [string, number]) => v).sort()).toEqual(before);
    expect(await valuesAt(at)).toEqual(before);
    expect(await valuesAt()).toEqual(before.map((v) => v + 1));
    expect((await cluster.query('SELECT k, v FROM t')).json).toMatchObject({ consistency: 'strong' });
  });

  test('while others write are of one moment, and the same when they are repeated', async () => {
    let done = false;
    const writing = (async () => {
      while (!done) {
        for (const k of KEYS) await cluster.query('UPDATE t SET v = v + 1 WHERE k = ?', [k]);
      }
    })();
    const seen: [string, number[]][] = [];
    for (let i = 0; i < 8; i++) {
      const { json } = await cluster.query('SELECT k, v FROM t ORDER BY k', [], { asOf: Date.now() });
      const values: number[] = json.rows.map(([, v]: [string, number]) => v);
      // One writer goes through the keys in their order: as of a moment, some first ones are one ahead of the rest.
      expect(values.toSorted((x, y) => y - x)).toEqual(values);
      expect((values[0] as number) - (values.at(-1) as number)).toBeLessThanOrEqual(1);
      seen.push([json.asOf, values]);
    }
    done = true;
    await writing;
    for (const [asOf, values] of seen) {
      const { json } = await cluster.query('SELECT k, v FROM t ORDER BY k', [], { asOf });
      expect(json.rows.map(([, v]: [string, number]) => v)).toEqual(values);
    }
  });

  test('of one partition, of a reference table, of both, of no table, of Atoll’s own tables', async () => {
    const at = await moment();
    const sqls = [
      "SELECT v FROM t WHERE k = 'a'",
      'SELECT name FROM kinds',
      "SELECT name, v FROM t JOIN kinds USING (kind) WHERE k = 'a'",
      'SELECT DISTINCT name FROM t JOIN kinds USING (kind)',
      'SELECT 1 + 1',
      'SELECT count(*) FROM atoll_partitions',
      'PRAGMA table_info(t)',
    ];
    const before = await Promise.all(sqls.map((sql) => cluster.rows(sql)));
    await change();
    for (const [index, sql] of sqls.entries()) {
      const { json } = await cluster.query(sql, [], { asOf: at });
      expect(json.rows, sql).toEqual(before[index]);
      expect(json.asOf, sql).toBe(at);
    }
    expect(await cluster.rows('SELECT name FROM kinds')).not.toEqual(before[1]);
  });

  test.each([
    ['Unix milliseconds', (ms: number) => ms],
    ['ISO 8601', (ms: number) => new Date(ms).toISOString()],
  ])('by %s', async (_, form) => {
    const before = await valuesAt();
    const ms = Date.now();
    // In the same process, clocks are the same: the next millisecond is after all.
    while (Date.now() <= ms + 1);
    await change();
    expect(await valuesAt(form(ms))).toEqual(before);
  });

  test('by AS OF, of a literal or a parameter', async () => {
    const at = await moment();
    const before = await valuesAt();
    const ms = Date.now();
    while (Date.now() <= ms + 1);
    await change();
    const iso = new Date(ms).toISOString();
    for (const [clause, args] of [
      [`AS OF '${at}'`, []],
      [`AS OF '${iso}';`, []],
      [`AS OF ${ms}`, []],
      ['AS OF ?', [at]],
      ['AS OF ?1 -- then', [ms]],
      ['AS OF :at', { at: iso }],
    ] as const) {
      const { json } = await cluster.query(`SELECT v FROM t ORDER BY v ${clause}`, args);
      expect(json.rows.flat(), clause).toEqual(before);
    }
    const a = await cluster.rows("SELECT v FROM t WHERE k = 'a' AS OF ?", [at]);
    for (const [sql, args] of [
      ['SELECT v FROM t WHERE k = ? AS OF ?', ['a', at]],
      ['SELECT v FROM t WHERE k = ?2 AS OF ?1', [at, 'a']],
      ['SELECT v FROM t WHERE k = :k AS OF :at', { k: 'a', at }],
      ['SELECT v FROM t WHERE k = :k AND :at <> 5 AS OF :at', { k: 'a', at }],
      ['SELECT v FROM t WHERE k = :k AS OF :at', ['a', at]],
    ] as const) {
      expect((await cluster.query(sql, args)).json, sql).toMatchObject({ rows: a, asOf: at });
    }
    const plan = (await cluster.rows("EXPLAIN SELECT v FROM t WHERE k = 'a' AS OF ?")).map(([step]) => step);
    expect(plan).toContain('route');
  });

  test('of a batch', async () => {
    const at = await moment();
    const sql = "SELECT v FROM t WHERE k = 'a'";
    const [before] = await cluster.rows(sql);
    await change();
    const batch = (body: unknown) => cluster.post('/v1/batch', body);
    const once = await batch({ statements: [{ sql }, { sql }], asOf: at });
    const each = await batch({
      statements: [{ sql: `${sql} AS OF '${at}'` }, { sql: `${sql} AS OF ?`, args: [at] }],
    });
    for (const { json } of [once, each]) {
      expect(json.asOf).toBe(at);
      expect(json.results.map(({ rows }: { rows: unknown[][] }) => rows)).toEqual([[before], [before]]);
    }
  });

  test('of a batch over several partitions are of one moment too, of each statement', async () => {
    const at = await moment();
    const statements = [
      { sql: 'SELECT sum(v), count(*) FROM t' },
      ...KEYS.map((k) => ({ sql: 'SELECT v FROM t WHERE k = ?', args: [k] })),
      { sql: 'SELECT name FROM kinds' },
      { sql: 'SELECT max(name) FROM kinds JOIN t USING (kind)' },
    ];
    const read = async (more = {}) => (await cluster.post('/v1/batch', { statements, ...more })).json;
    const rows = ({ results }: { results: { rows: unknown[][] }[] }) => results.map((each) => each.rows);
    const before = rows(await read());
    await change();
    for (const more of [{}, { atomicity: 'partition' }]) {
      const then = await read({ asOf: at, ...more });
      expect(rows(then)).toEqual(before);
      expect(then).toMatchObject({ consistency: 'snapshot', asOf: at, plan: { kind: 'scatter' } });
    }
    expect(rows(await read())).not.toEqual(before);
  });

  test('see transactions over several partitions as a whole', async () => {
    const statements = KEYS.map((k) => ({ sql: 'UPDATE t SET v = v + 1 WHERE k = ?', args: [k] }));
    await cluster.query('UPDATE t SET v = 1000');
    let done = false;
    const writing = (async () => {
      while (!done) expect((await cluster.post('/v1/batch', { statements })).status).toBe(200);
    })();
    const seen: [string, number][] = [];
    for (let i = 0; i < 12; i++) {
      // A little ahead, so that partitions are asked before and after they know of the moment.
      const { json } = await cluster.query('SELECT DISTINCT v FROM t', [], { asOf: Date.now() + (i % 4) });
      expect(json.rows, json.asOf).toHaveLength(1);
      seen.push([json.asOf, json.rows[0][0]]);
    }
    done = true;
    await writing;
    for (const [asOf, v] of seen) {
      expect((await cluster.query('SELECT DISTINCT v FROM t', [], { asOf })).json.rows).toEqual([[v]]);
    }
    expect(new Set(seen.map(([, v]) => v)).size).toBeGreaterThan(1);
  });

  test('within a session are of the moment, not of what the session has seen', async () => {
    const at = await moment();
    const before = await valuesAt();
    await change();
    const { session } = (await cluster.query('SELECT v FROM t')).json;
    for (const consistency of ['strong', 'session', 'eventual']) {
      const { json } = await cluster.query('SELECT v FROM t ORDER BY v', [], {
        asOf: at,
        session,
        consistency,
      });
      expect(json.rows.flat()).toEqual(before);
    }
  });

  test('are the same when objects have started anew', async () => {
    const at = await moment();
    const before = await valuesAt();
    for (let partition = 0; partition <= 4; partition++) await cluster.reset(partition);
    await change();
    expect(await valuesAt(at)).toEqual(before);
  });
});

describe('a moment is refused', () => {
  const ask = (sql: string, args?: unknown, more = {}) => cluster.post('/v1/query', { sql, args, ...more });
  const isTime = /must be a time such as "2026-11-27T12:00:00.000Z", Unix milliseconds, or an asOf/;

  test.each(['2026-01-01', 'yesterday', '', true, null, {}, [], -5, 1e30])(
    'that is none: %j',
    async (asOf) => {
      expectRefused(await ask('SELECT 1', [], { asOf }), 400, 'bad-request', isTime);
    },
  );

  test.each([
    ["SELECT 1 AS OF '2026-01-01'", []],
    ['SELECT 1 AS OF NULL', []],
    ["SELECT 1 AS OF x'00'", []],
    ['SELECT 1 AS OF ?', [null]],
    ['SELECT 1 AS OF ?', ['soon']],
    ['SELECT 1 AS OF -5', []],
  ])('that is none: %s', async (sql, args) => {
    expectRefused(await ask(sql, args), 400, 'bad-request', isTime);
  });

  test.each(["SELECT 1 AS OF datetime('now')", 'SELECT 1 AS OF (SELECT 1)', 'SELECT 1 AS OF ? - 1'])(
    'that would have to be computed: %s',
    async (sql) => {
      expectRefused(
        await ask(sql, sql.includes('?') ? [1] : []),
        400,
        'unsupported',
        /literal or a parameter/,
      );
    },
  );

  test('that is to come', async () => {
    const asOf = Date.now() + 60_000;
    for (const sql of ['SELECT 1', 'SELECT v FROM t', 'SELECT name FROM kinds']) {
      expectRefused(await ask(sql, [], { asOf }), 400, 'bad-request', /to come.* ms ahead of the clock/);
    }
  });

  test('that is before the log', async () => {
    for (const sql of ['SELECT 1', 'SELECT v FROM t', 'SELECT name FROM kinds']) {
      const reply = await ask(sql, [], { asOf: '2020-01-01T00:00:00Z' });
      expectRefused(reply, 400, 'history-gone', /oldest moment that partition \d can be read as of is 20/);
      expect(reply.json.error.detail).toMatchObject({ oldest: expect.stringMatching(/^[0-9a-f]{16}-p\d$/) });
    }
  });

  test('that is said twice', async () => {
    const asOf = Date.now();
    expectRefused(await ask(`SELECT 1 AS OF ${asOf}`, [], { asOf }), 400, 'bad-request', /once/);
  });

  test.each([
    "INSERT INTO t VALUES ('new', 1, 'x')",
    'UPDATE t SET v = 1',
    "INSERT INTO kinds VALUES ('y', 'z')",
    'CREATE TABLE other (a PRIMARY KEY)',
  ])('for what is no read: %s', async (sql) => {
    for (const more of [{}, { atomicity: 'partition' }]) {
      expectRefused(
        await ask(sql, [], { asOf: Date.now(), ...more }),
        400,
        'bad-request',
        /asOf is for reads/,
      );
    }
    const statements = [{ sql: 'SELECT 1' }, { sql }];
    expectRefused(
      await cluster.post('/v1/batch', { statements, asOf: Date.now() }),
      400,
      'bad-request',
      /statements\[1\]: asOf is for reads/,
    );
    expectRefused(await ask(`${sql} AS OF 5`), 400, 'syntax', /./);
  });

  test('for transaction control and what no plan lets through, as without it', async () => {
    expectRefused(await ask('BEGIN', [], { asOf: Date.now() }), 400, 'unsupported', /\/v1\/batch/);
    expectRefused(
      await ask('SELECT * FROM nowhere', [], { asOf: Date.now() }),
      400,
      'no-such-table',
      /nowhere/,
    );
  });

  test('of which a batch has several', async () => {
    const now = Date.now();
    const batch = (...clauses: string[]) =>
      cluster.post('/v1/batch', { statements: clauses.map((clause) => ({ sql: `SELECT 1 ${clause}` })) });
    for (const reply of [await batch(`AS OF ${now}`, `AS OF ${now - 1}`), await batch(`AS OF ${now}`, '')]) {
      expectRefused(reply, 400, 'unsupported', /one moment/);
    }
  });

  test('before a change of the schema, whose moment it names', async () => {
    const at = await moment();
    await cluster.query('CREATE TABLE later (k PRIMARY KEY)');
    const reply = await ask('SELECT v FROM t', [], { asOf: at });
    expectRefused(reply, 400, 'history-gone', /the schema was changed then/);
    // Each partition has applied it at its own time: as of any later one than the last, all can be read.
    expect((await valuesAt(Date.now())).length).toBe(KEYS.length);
    const { oldest } = reply.json.error.detail;
    expect(oldest > at).toBe(true);
  });
});
