import { afterAll, beforeAll, expect, test } from 'vitest';
import { importSigningKey } from '../../src/gateway/auth/signing-key.ts';
import { signToken } from '../../src/gateway/auth/token.ts';
import { type Reply, TestCluster } from '../cluster/cluster.ts';
import { anotherRouter } from '../cluster/router.ts';

let cluster: TestCluster;
let roles: Record<'read' | 'write' | 'admin', string>;

beforeAll(async () => {
  cluster = await TestCluster.start();
  await cluster.query('CREATE TABLE t (k TEXT PRIMARY KEY, v)');
  const token = async (role: string) => (await make({ role })).json.token as string;
  roles = { read: await token('read'), write: await token('write'), admin: await token('admin') };
});

afterAll(() => cluster.dispose());

const make = (grant: object): Promise<Reply> => cluster.post('/v1/tokens', grant);
const as = (token: string, sql: string, path = '/v1/query') =>
  cluster.post(path, { sql }, { headers: { authorization: `Bearer ${token}` } });
const code = async (reply: Promise<Reply>) => {
  const { status, json } = await reply;
  return `${status} ${json.error?.code ?? 'ok'}`;
};

/** A token that the cluster did sign, with any claims. */
async function signed(grant: object): Promise<string> {
  const { json } = await cluster.rpc(0, 'setting', { name: 'signing_key' });
  const key = await importSigningKey(json.value);
  const full = { role: 'admin', databases: null, expiresAtMs: null, ...grant } as const;
  return (await signToken(key, full, Date.now())).token;
}

const WRITES = [
  "INSERT INTO t VALUES ('x', 1)",
  "WITH x AS (SELECT 1) INSERT INTO t SELECT 'x', 1 FROM x",
  "INSERT INTO t VALUES ('x', 1) RETURNING v",
  "UPDATE t SET v = 2 WHERE k = 'x'",
  "DELETE FROM t WHERE k = 'x'",
  "REPLACE INTO t VALUES ('x', 1)",
  'DELETE FROM t',
];
const CHANGES = [
  'CREATE TABLE u (a)',
  'DROP TABLE t',
  'ALTER TABLE t ADD COLUMN w',
  'CREATE INDEX i ON t (v)',
  'CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END',
];

test.each(WRITES)('a reader may not write: %s', async (sql) => {
  expect(await code(as(roles.read, sql))).toBe('403 forbidden');
  const batch = { statements: [{ sql: 'SELECT 1' }, { sql }] };
  const headers = { authorization: `Bearer ${roles.read}` };
  expect(await code(cluster.post('/v1/batch', batch, { headers }))).toBe('403 forbidden');
});

test.each(CHANGES)('neither a reader nor a writer may change the schema: %s', async (sql) => {
  expect(await code(as(roles.read, sql))).toBe('403 forbidden');
  expect(await code(as(roles.write, sql))).toBe('403 forbidden');
});

test('each role may do its own', async () => {
  expect(await code(as(roles.read, "SELECT v FROM t WHERE k = 'x'"))).toBe('200 ok');
  expect(await code(as(roles.read, "EXPLAIN INSERT INTO t VALUES ('x', 1)"))).toBe('200 ok');
  expect(await cluster.rows("SELECT count(*) FROM t WHERE k = 'x'")).toEqual([[0]]);
  expect(await code(as(roles.read, 'PRAGMA table_info(t)'))).toBe('200 ok');
  expect(await code(as(roles.write, "INSERT INTO t VALUES ('x', 1)"))).toBe('200 ok');
  expect(await code(as(roles.admin, 'CREATE TABLE made (a)'))).toBe('200 ok');
});

test('tokens, and what concerns the cluster, are for admins of all databases', async () => {
  const main = await signed({ databases: ['main'] });
  for (const token of [roles.read, roles.write, main]) {
    const headers = { authorization: `Bearer ${token}` };
    expect(await code(cluster.post('/v1/tokens', { role: 'admin' }, { headers }))).toBe('403 forbidden');
    expect(await code(cluster.get('/v1/tokens', { headers }))).toBe('403 forbidden');
    expect(await code(cluster.post('/v1/init', { partitions: 4 }, { headers }))).toBe('403 forbidden');
  }
  expect(await code(as(main, 'CREATE TABLE made_too (a)'))).toBe('200 ok');
});

test('no token, one of another kind, expired, early, of another cluster or database', async () => {
  const refused: [string, string, RegExp][] = [
    ['', '401 unauthorized', /Authorization: Bearer/],
    ['Basic abc', '401 unauthorized', /must be: Bearer/],
    ['Bearer guess', '401 unauthorized', /no JWT/],
    [`Bearer ${await signed({ expiresAtMs: Date.now() - 60_000 })}`, '401 unauthorized', /expired at/],
    [`Bearer ${await signed({ notBeforeMs: Date.now() + 60_000 })}`, '401 unauthorized', /not valid before/],
    [`Bearer ${roles.admin.slice(0, -6)}AAAAAA`, '401 unauthorized', /not signed|no JWT/],
    [`Bearer ${await signed({ databases: ['other'] })}`, '403 forbidden', /not for the database 'main'/],
  ];
  for (const [authorization, expected, message] of refused) {
    const headers: Record<string, string> = authorization === '' ? {} : { authorization };
    const reply = await cluster.post('/v1/query', { sql: 'DELETE FROM t' }, { headers });
    expect(`${reply.status} ${reply.json.error.code}`).toBe(expected);
    expect(reply.json.error.message).toMatch(message);
    expect(reply.headers.get('www-authenticate')).toBe(reply.status === 401 ? 'Bearer' : null);
  }
});

test('a revoked token ends: here at once, at a router that slept with its next request', async () => {
  const { json } = await make({ role: 'read', expiresInSeconds: 60 });
  const other = anotherRouter(cluster, json.token);
  const now = Date.now;
  expect((await other.query('SELECT 1')).status).toBe(200);
  const { status } = await cluster.request(`/v1/tokens/${json.id}`, { method: 'DELETE' });
  expect(status).toBe(200);
  expect(await code(as(json.token, 'SELECT 1'))).toBe('401 unauthorized');
  try {
    Date.now = () => now() + 40_000;
    expect((await other.query('SELECT 1')).json.error?.message).toMatch(/revoked/);
  } finally {
    Date.now = now;
  }
  const listed = (await cluster.get('/v1/tokens')).json.tokens.find(
    ({ id }: { id: string }) => id === json.id,
  );
  expect(listed).toMatchObject({ role: 'read', revokedAt: expect.any(String) });
  expect(JSON.stringify(listed)).not.toContain(json.token);
  expect(await code(cluster.request('/v1/tokens/nobody', { method: 'DELETE' }))).toBe('404 not-found');
});

test('a router in use learns of revoked tokens behind a request', async () => {
  const { json } = await make({ role: 'read' });
  const other = anotherRouter(cluster, json.token);
  expect((await other.query('SELECT 1')).status).toBe(200);
  await cluster.request(`/v1/tokens/${json.id}`, { method: 'DELETE' });
  const now = Date.now;
  try {
    Date.now = () => now() + 6_000;
    await other.query('SELECT 1');
    await expect.poll(async () => (await other.query('SELECT 1')).status).toBe(401);
  } finally {
    Date.now = now;
  }
});

test('metrics are for tokens of this database', async () => {
  const metrics = (token: string) =>
    cluster.get('/metrics', { headers: { authorization: `Bearer ${token}` } });
  expect((await metrics(roles.read)).status).toBe(200);
  expect(await code(metrics(await signed({ databases: ['other'] })))).toBe('403 forbidden');
});
