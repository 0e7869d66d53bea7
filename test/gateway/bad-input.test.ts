import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { encodeSession, newSession } from '../../src/protocol/session.ts';
import { type Reply, TestCluster, TOKEN } from '../cluster/cluster.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start();
  await cluster.query('CREATE TABLE t (k TEXT PRIMARY KEY, v)');
  await cluster.query("INSERT INTO t VALUES ('there', 1)");
});

afterAll(() => cluster.dispose());

afterEach(async () => {
  // Nothing applied, the next request fine, and no defect.
  expect(await cluster.rows('SELECT k, v FROM t')).toEqual([['there', 1]]);
  expect(cluster.log.filter((line) => line.includes('defect'))).toEqual([]);
});

const send = (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}): Promise<Reply> =>
  cluster.request('/v1/query', {
    method: 'POST',
    body,
    headers: { authorization: `Bearer ${TOKEN}`, ...headers },
  });
const sql = (text: string, args?: unknown, more = {}) =>
  cluster.post('/v1/query', { sql: text, args, ...more });

function expectRefused(reply: Reply, status: number, code: string, message: RegExp): void {
  expect(reply).toMatchObject({ status, json: { error: { code, outcome: 'none' } } });
  expect(reply.json.error.message).toMatch(message);
  expect(reply.headers.get('content-type')).toBe('application/json');
  expect(reply.headers.get('traceresponse')).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
}

const gzipped = new Uint8Array(gzipSync(`{"sql":"INSERT INTO t VALUES ('gzip', 1)"}`));
const INSERT = `{"sql":"INSERT INTO t VALUES ('bad', 1)"`;

describe('a body', () => {
  test.each<[string, string | Uint8Array<ArrayBuffer>, number, string, RegExp]>([
    ['cut off', INSERT, 400, 'payload', /no valid JSON/],
    ['empty', '', 400, 'payload', /no valid JSON/],
    ['an array', '[]', 400, 'bad-request', /must be a JSON object/],
    ['null', 'null', 400, 'bad-request', /must be a JSON object/],
    ['without sql', '{}', 400, 'bad-request', /^sql is missing/],
    ['with a number for sql', '{"sql":1}', 400, 'bad-request', /^sql must be a string, not 1$/],
    [
      'with a time out that is no safe integer',
      `${INSERT},"timeoutMs":1e12}`,
      400,
      'bad-request',
      /^timeoutMs must be a whole number, not 1e12$/,
    ],
    [
      'with a time out that is too long',
      `${INSERT},"timeoutMs":120001}`,
      400,
      'bad-request',
      /^timeoutMs must be at most 120000, not 120001$/,
    ],
    [
      'with an unknown atomicity',
      `${INSERT},"atomicity":"some"}`,
      400,
      'bad-request',
      /^atomicity must be "all" or "partition", not "some"$/,
    ],
    ['with null for sql', '{"sql":null}', 400, 'bad-request', /^sql must be a string, not null$/],
    ['with an unknown field', `${INSERT},"foo":1}`, 400, 'bad-request', /^foo: there is no such field/],
    [
      'with text for args',
      `${INSERT},"args":"x"}`,
      400,
      'bad-request',
      /^args must be an array or an object, not "x"$/,
    ],
    [
      'with a list as a value',
      '{"sql":"SELECT ?","args":[[1]]}',
      400,
      'parameter',
      /args\[0\].*JSON as a string/,
    ],
    ['with an unknown tag', '{"sql":"SELECT ?","args":[{"$x":"1"}]}', 400, 'parameter', /unknown tag/],
    [
      'with an integer beyond 64 bits',
      '{"sql":"SELECT ?","args":[9223372036854775808]}',
      400,
      'parameter',
      /64 bits/,
    ],
    ['with half a surrogate pair', '{"sql":"SELECT ?","args":["\\ud800"]}', 400, 'parameter', /surrogate/],
    [
      'with bytes that are no UTF-8',
      new Uint8Array([...Buffer.from(`{"sql":"SELECT '`), 255, 39, 34, 125]),
      400,
      'payload',
      /UTF-8/,
    ],
    ['nested deeply', `${INSERT},"args":${'['.repeat(100)}${']'.repeat(100)}}`, 400, 'too-deep', /64 levels/],
    ['nested without end', '['.repeat(1_000_000), 400, 'payload', /no valid JSON/],
    [
      'over the limit',
      `${INSERT},"args":["${'x'.repeat(17 * 1024 * 1024)}"]}`,
      413,
      'too-large',
      /larger than/,
    ],
  ])('%s', async (_, body, status, code, message) => {
    expectRefused(await send(body), status, code, message);
  });

  test.each<[string, string | Uint8Array<ArrayBuffer>, string, number, string, RegExp]>([
    ['cut off gzip', gzipped.subarray(0, 30), 'gzip', 400, 'payload', /broken off/],
    ['gzip of two members', new Uint8Array([...gzipped, ...gzipped]), 'gzip', 400, 'payload', /one member/],
    ['gzip without its end', gzipped.subarray(0, gzipped.length - 4), 'gzip', 400, 'payload', /broken off/],
    ['text that is called gzip', `${INSERT}}`, 'gzip', 400, 'payload', /no gzip/],
    [
      'a bomb',
      new Uint8Array(gzipSync(Buffer.alloc(100 << 20, ' '))),
      'gzip',
      413,
      'too-large',
      /larger than/,
    ],
    ['another encoding', gzipped, 'br', 400, 'payload', /send gzip or none/],
  ])('compressed: %s', async (_, body, encoding, status, code, message) => {
    expectRefused(await send(body, { 'content-encoding': encoding }), status, code, message);
  });

  test('that is refused unread is taken to its end, so that a client that still sends gets the answer', async () => {
    const large = new Uint8Array(40 * 1024 * 1024).fill(32);
    const authorization = `Bearer ${TOKEN}`;
    const streamed = () => new Blob([large]).stream();
    const refused: [RequestInit, number][] = [
      [{ headers: { authorization }, body: large }, 413],
      [{ headers: { authorization }, body: streamed(), duplex: 'half' } as RequestInit, 413],
      [{ headers: { authorization: 'Bearer guess' }, body: large }, 401],
      [{ headers: { authorization: 'Bearer guess' }, body: streamed(), duplex: 'half' } as RequestInit, 401],
    ];
    for (const [init, status] of refused) {
      expect((await cluster.request('/v1/query', { method: 'POST', ...init })).status).toBe(status);
    }
  });

  test('gzip is read whatever the case of its name', async () => {
    const select = new Uint8Array(gzipSync('{"sql":"SELECT 1"}'));
    expect((await send(select, { 'content-encoding': 'GZIP' })).status).toBe(200);
  });
});

describe('a statement', () => {
  const many = (count: number, text: string, between: string) => new Array(count).fill(text).join(between);
  const endless = 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c';
  test.each<[string, string, unknown, number, string, RegExp]>([
    ['that does not parse', 'SELEC 1', [], 400, 'syntax', /near "SELEC".*line 1, column 1/],
    ['that is empty', '', [], 400, 'syntax', /no statement/],
    ['that is a comment', '-- nothing', [], 400, 'syntax', /no statement/],
    ['that is several', "INSERT INTO t VALUES ('a', 1); DELETE FROM t", [], 400, 'syntax', /one statement/],
    ['of an unknown table', 'SELECT * FROM nope', [], 400, 'no-such-table', /nope/],
    ['of an unknown column', "UPDATE t SET nope = 1 WHERE k = 'there'", [], 400, 'no-such-column', /nope/],
    [
      'with too few arguments',
      'INSERT INTO t VALUES (?, ?)',
      ['a'],
      400,
      'parameter',
      /2 parameter\(s\) and 1 args/,
    ],
    [
      'with too many',
      "INSERT INTO t VALUES ('a', ?)",
      [1, 2],
      400,
      'parameter',
      /1 parameter\(s\) and 2 args/,
    ],
    ['without a named one', 'SELECT :a, :b', { a: 1 }, 400, 'parameter', /no :b/],
    ['with a name too many', 'SELECT :a', { a: 1, c: 1 }, 400, 'parameter', /no parameter c/],
    [
      'with 200 parameters',
      `SELECT ${many(200, '?', ',')}`,
      new Array(200).fill(1),
      400,
      'too-many-parameters',
      /json_each/,
    ],
    [
      'with a value of 3 MB',
      'INSERT INTO t VALUES (?, ?)',
      ['a', 'x'.repeat(3e6)],
      413,
      'too-large',
      /3000000 bytes/,
    ],
    [
      '300 parentheses deep',
      `SELECT ${'('.repeat(300)}1${')'.repeat(300)}`,
      [],
      400,
      'too-deep',
      /100 levels/,
    ],
    ['300 operators long', `SELECT ${many(300, '1', '+')}`, [], 400, 'sql', /depth/],
    ['of 200,000 characters', `SELECT '${'x'.repeat(200_000)}'`, [], 413, 'too-large', /pass values as args/],
    ['that does not end', endless, [], 413, 'result-too-large', /recursive/],
    [
      'that inserts without end',
      `INSERT INTO t ${endless.replace('count(*)', "'a', x")}`,
      [],
      413,
      'result-too-large',
      /recursive/,
    ],
    ['that breaks a constraint', "INSERT INTO t VALUES ('there', 2)", [], 409, 'constraint', /UNIQUE.*t\.k/],
  ])('%s', async (_, text, args, status, code, message) => {
    expectRefused(await sql(text, args), status, code, message);
  });

  test.each([
    'SELECT * FROM _atoll_log',
    'SELECT * FROM "_atoll_log"',
    'SELECT * FROM [_Atoll_Log]',
    'SELECT * FROM `_atoll_log`',
    "SELECT * FROM '_atoll_log'",
    'WITH x AS (SELECT * FROM _atoll_head) SELECT * FROM x',
    "DELETE FROM t WHERE k = 'there' AND EXISTS (SELECT 1 FROM _atoll_commits)",
    'CREATE VIEW v AS SELECT * FROM _atoll_head',
    'CREATE TRIGGER tr AFTER INSERT ON t BEGIN DELETE FROM _atoll_commits; END',
    'CREATE TABLE _atoll_mine (a)',
    'ALTER TABLE t RENAME TO _atoll_t',
    'EXPLAIN DELETE FROM _atoll_commits',
    'SELECT * FROM sqlite_schema',
    'SELECT * FROM sqlite_master',
    'PRAGMA table_info(_atoll_log)',
    "PRAGMA table_info('_atoll_log')",
    'DELETE FROM atoll_partitions',
    'DROP TABLE atoll_partitions',
    'CREATE TABLE atoll_partitions (a)',
    'SELECT * FROM _cf_KV',
  ])('that names what is internal: %s', async (text) => {
    const reply = await sql(text);
    if (text.startsWith('EXPLAIN')) expect(reply.json.rows).toContainEqual(['refused', 'internal-name']);
    else expectRefused(reply, 400, 'internal-name', /internal|own/);
  });

  test.each([
    'PRAGMA foreign_keys = OFF',
    'PRAGMA journal_mode',
    'ATTACH DATABASE ? AS other',
    'VACUUM',
    "INSERT OR ROLLBACK INTO t VALUES ('a', 1)",
    'CREATE TEMP TABLE x (a)',
    "SELECT load_extension('x')",
  ])('that is not for here: %s', async (text) => {
    expectRefused(await sql(text, text.includes('?') ? ['x'] : []), 400, 'forbidden-statement', /./);
  });

  test.each([
    { timeoutMs: 0 },
    { timeoutMs: 1.5 },
    { timeoutMs: 1e9 },
    { consistency: 'x' },
    { atomicity: 'none' },
    { consistency: 'bounded', maxStalenessMs: -1 },
    { consistency: 'bounded', maxStalenessMs: 0.5 },
    { session: 5 },
  ])('with a field out of bounds: %j', async (field) => {
    expectRefused(await sql("INSERT INTO t VALUES ('a', 1)", [], field), 400, 'bad-request', /must be/);
  });

  test.each([
    [{ maxStalenessMs: 5 }, /goes with consistency "bounded", not "strong"/],
    [{ maxStalenessMs: 5, consistency: 'eventual' }, /goes with consistency "bounded", not "eventual"/],
    [{ consistency: 'bounded' }, /needs maxStalenessMs/],
    [{ session: 'x' }, /no session token: send one as it came, or leave it out/],
    [{ session: '' }, /no session token/],
    [{ session: 'A'.repeat(65_537) }, /session must have at most 65536 characters/],
  ])('with a demand on reads that says nothing: %#', async (field, message) => {
    expectRefused(await sql('SELECT 1', [], field), 400, 'bad-request', message);
  });

  test('with the session of another history', async () => {
    const session = encodeSession(newSession('another'));
    for (const text of ['SELECT 1', "INSERT INTO t VALUES ('a', 1)"]) {
      expectRefused(await sql(text, [], { session }), 400, 'history-gone', /begin a new session/);
    }
  });

  test.each(['BEGIN', 'COMMIT', 'ROLLBACK', 'SAVEPOINT a', 'RELEASE a'])(
    'of a transaction: %s',
    async (text) => {
      expectRefused(await sql(text), 400, 'unsupported', /\/v1\/batch/);
    },
  );
});

describe('a batch', () => {
  const batch = (statements: unknown) => cluster.post('/v1/batch', { statements });

  test('of which one statement fails leaves nothing of the others', async () => {
    const reply = await batch([
      { sql: "INSERT INTO t VALUES ('there2', 1)" },
      { sql: "INSERT INTO t VALUES ('there2', 2)" },
    ]);
    expectRefused(reply, 409, 'constraint', /UNIQUE/);
  });

  test('over several partitions that cannot be taken apart is refused, and says which statement', async () => {
    const statements = [
      { sql: 'INSERT INTO t VALUES (?, 1)', args: ['p'] },
      { sql: 'UPDATE t SET v = 1 LIMIT 2' },
    ];
    expectRefused(await batch(statements), 400, 'multi-partition-write', /statements\[1\].*LIMIT/);
  });

  test('whose answers are too large together is refused, each of them being allowed', async () => {
    const statement = { sql: 'SELECT hex(zeroblob(1000000))' };
    expect((await batch([statement, statement])).status).toBe(200);
    expectRefused(await batch(new Array(100).fill(statement)), 413, 'result-too-large', /split the batch/);
  });

  test('of none, of too many, or of no statements', async () => {
    expectRefused(
      await batch([]),
      400,
      'bad-request',
      /statements must have at least 1 entries, not an array of 0$/,
    );
    expectRefused(await batch(new Array(1001).fill({ sql: 'SELECT 1' })), 400, 'bad-request', /at most 1000/);
    expectRefused(await batch([{ sql: 1 }]), 400, 'bad-request', /statements\.0\.sql/);
    expectRefused(
      await batch([{ sql: 'SELECT 1' }, { sql: 'BEGIN' }]),
      400,
      'unsupported',
      /statements\[1\]/,
    );
  });
});

describe('a client', () => {
  const head = (length: number) =>
    `POST /v1/query HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\ncontent-length: ${length}\r\n\r\n`;
  const sendAndHangUp = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const socket = connect(Number(new URL(cluster.url).port), '127.0.0.1');
      socket.on('error', reject).on('close', () => resolve());
      socket.write(text, () => socket.destroy());
    });

  test('that hangs up within its body has changed nothing', async () => {
    await sendAndHangUp(`${head(1000)}${INSERT}`);
  });

  test('that hangs up before the answer disturbs nobody', async () => {
    const body = '{"sql":"SELECT count(*) FROM t"}';
    await sendAndHangUp(head(body.length) + body);
  });

  test('with large headers, or with a token that is none, gets an answer', async () => {
    expect((await send('{"sql":"SELECT 1"}', { 'x-large': 'y'.repeat(10_000) })).status).toBe(200);
    const reply = await send(`{"sql":"${' '.repeat(5_000_000)}"}`, {
      authorization: `Bearer ${'z'.repeat(5_000)}`,
    });
    expectRefused(reply, 401, 'unauthorized', /no JWT/);
  });
});

test('parameters of other routes are named in words', async () => {
  const import_ = (query: string) => cluster.post(`/v1/import/t?format=ndjson&${query}`, {});
  expectRefused(await import_('line=0'), 400, 'bad-request', /^line must be a line number, from 1, not "0"$/);
  expectRefused(
    await import_('importId='),
    400,
    'bad-request',
    /^importId must have at least 1 characters, not ""$/,
  );
  expectRefused(
    await cluster.post('/v1/tokens', { role: 'root' }),
    400,
    'bad-request',
    /^role must be "read" or "write" or "admin", not "root"$/,
  );
  expectRefused(
    await cluster.post('/v1/init', { partitions: 0 }),
    400,
    'bad-request',
    /^partitions must be at least 1, not 0$/,
  );
});
