import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CommitId, PartitionId } from '../../src/base/brand.ts';
import { createGateway } from '../../src/gateway/app.ts';
import type { PartitionMessage } from '../../src/gateway/transport.ts';
import type { ExecuteRequest } from '../../src/protocol/execute.ts';
import { DEADLINE_HEADER } from '../../src/protocol/rpc.ts';
import { decodeSession, encodeSession, newSession, type SessionToken } from '../../src/protocol/session.ts';
import { SessionSeal } from '../../src/protocol/session-seal.ts';
import { type Reply, SECRET, TestCluster, TOKEN } from '../cluster/cluster.ts';
import { exchange } from '../cluster/exchange.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start();
  await cluster.query('CREATE TABLE t (k TEXT PRIMARY KEY, v)');
  await cluster.query('CREATE TABLE ref (k TEXT PRIMARY KEY) REFERENCE');
  for (const k of 'abcdefgh') await cluster.query('INSERT INTO t VALUES (?, 1)', [k]);
});

afterAll(() => cluster.dispose());

function sessionOf({ json, text }: Reply): SessionToken {
  expect(typeof json.session, text).toBe('string');
  return decodeSession(json.session);
}

/** Last commit of each partition that a session names. */
async function commitsOf(partitions: readonly number[]): Promise<Map<number, number>> {
  const { json } = await cluster.get('/v1/network');
  const all = new Map<number, number>(
    json.partitions.map(({ partition, commit }: { partition: number; commit: number }) => [
      partition,
      commit,
    ]),
  );
  return new Map(partitions.map((partition) => [partition, all.get(partition) ?? -1]));
}

describe('the session of an answer', () => {
  test('of one partition names its last commit, and goes on from the one that was sent', async () => {
    const written = await cluster.query("INSERT INTO t VALUES ('w', 1)");
    const { partition } = written.json.plan;
    const first = sessionOf(written);
    expect(first.seen).toEqual(await commitsOf([partition]));
    const read = await cluster.query("SELECT v FROM t WHERE k = 'a'", [], { session: written.json.session });
    const both = new Set([partition, read.json.plan.partition]);
    expect(new Set(sessionOf(read).seen.keys())).toEqual(both);
    expect(sessionOf(read).seen.get(partition)).toBeGreaterThanOrEqual(first.seen.get(partition) as number);
  });

  test.each([
    'SELECT k, v FROM t',
    'SELECT count(*) FROM t',
    `SELECT '"session":"x"' AS "a,""session"":""x""" FROM t ORDER BY k`,
  ])('of several partitions names the last commit of each: %s', async (sql) => {
    const reply = await cluster.query(sql, [], {
      session: sealed({
        ...newSession(await history()),
        seen: new Map([[1 as PartitionId, 1 as CommitId]]),
      }),
    });
    expect(reply.json.plan.kind).toBe('scatter');
    expect(sessionOf(reply).seen).toEqual(await commitsOf([1, 2, 3, 4]));
  });

  test('of a write in several partitions names the commits of all', async () => {
    const reply = await cluster.query('UPDATE t SET v = v + 1', [], { atomicity: 'partition' });
    expect(reply.json.plan.kind).toBe('per-partition');
    expect(sessionOf(reply).seen).toEqual(await commitsOf([1, 2, 3, 4]));
  });

  test('of a batch, of DDL and of EXPLAIN is there too', async () => {
    const batch = await cluster.post('/v1/batch', {
      statements: [
        { sql: "INSERT INTO t VALUES ('batch', 1)" },
        { sql: "SELECT v FROM t WHERE k = 'batch'" },
      ],
    });
    expect(sessionOf(batch).seen).toEqual(await commitsOf([batch.json.plan.partition]));
    const { session } = batch.json;
    expect(sessionOf(await cluster.query('EXPLAIN SELECT * FROM t', [], { session }))).toEqual(
      sessionOf(batch),
    );
    const ddl = sessionOf(await cluster.query('CREATE TABLE later (k PRIMARY KEY)', [], { session }));
    expect(ddl.seen).toEqual(sessionOf(batch).seen);
    expect(ddl.system).toBeGreaterThan(sessionOf(batch).system);
  });

  test('of a write of a reference table is what a partition must have of it', async () => {
    const { system } = sessionOf(await cluster.query("INSERT INTO ref VALUES ('r')"));
    const read = await cluster.query("SELECT ref.k FROM t, ref WHERE t.k = 'a'");
    expect(sessionOf(read).system).toBe(system);
  });
});

/** As a host of the cluster makes it. */
function sealed(session: SessionToken): string {
  return new SessionSeal(SECRET).seal(encodeSession(session));
}

async function history(): Promise<string> {
  return (await cluster.get('/v1/network')).json.history;
}

describe('a token that no host of the cluster has made', () => {
  const SQL = "INSERT INTO t VALUES ('forged', 1)";

  test.each([
    ['without a seal', (token: string) => token.slice(0, token.indexOf('.'))],
    ['with another seal', (token: string) => token.replace(/.$/, (last) => (last === 'A' ? 'Q' : 'A'))],
    [
      'of another cluster',
      (token: string) => new SessionSeal('other').seal(token.slice(0, token.indexOf('.'))),
    ],
    [
      'changed',
      (token: string) =>
        token.replace(/^.{40}/, (start) => start.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))),
    ],
    ['beside one that is', (token: string) => `${token},${token.slice(0, token.indexOf('.'))}`],
  ] as const)('is refused: %s', async (_, forge) => {
    const { session } = (await cluster.query("SELECT v FROM t WHERE k = 'a'")).json;
    const reply = await cluster.post('/v1/query', { sql: SQL, session: forge(session) });
    expect(reply).toMatchObject({
      status: 400,
      json: {
        error: { code: expect.stringMatching(/bad-request|history-gone/), outcome: 'none', retryable: false },
      },
    });
    expect(await cluster.rows("SELECT count(*) FROM t WHERE k = 'forged'")).toEqual([[0]]);
  });
});

test('several tokens are one session, and the answer has one for all', async () => {
  const tokens: string[] = [];
  for (const k of 'abcdefgh')
    tokens.push((await cluster.query('UPDATE t SET v = 2 WHERE k = ?', [k])).json.session);
  const reply = await cluster.query("SELECT v FROM t WHERE k = 'a'", [], { session: tokens.join() });
  expect(reply.json.session).toMatch(/^[\w-]+\.[\w-]{22}$/);
  expect([...sessionOf(reply).seen.keys()].sort()).toEqual(
    [...new Set(tokens.flatMap((token) => [...decodeSession(token).seen.keys()]))].sort(),
  );
  const many = await cluster.post('/v1/query', {
    sql: 'SELECT 1',
    session: new Array(17).fill(tokens[0]).join(),
  });
  expect(many).toMatchObject({
    status: 400,
    json: { error: { code: 'bad-request', message: expect.stringMatching(/17 tokens, 16/) } },
  });
});

describe('a session from the future', () => {
  test.each(["SELECT v FROM t WHERE k = 'a'", 'SELECT count(*) FROM t', "INSERT INTO t VALUES ('never', 1)"])(
    'is refused at once: %s',
    async (sql) => {
      const seen = new Map([1, 2, 3, 4].map((id) => [id as PartitionId, 999_999 as CommitId]));
      const session = sealed({ ...newSession(await history()), seen });
      const reply = await cluster.post('/v1/query', { sql, session });
      expect([reply.status, reply.json.error.code]).toEqual([400, 'history-gone']);
      expect(reply.json.error).toMatchObject({ outcome: 'none', retryable: false });
      expect(reply.json.error.message).toMatch(/seen commit 999999 of partition \d, which ends at \d+/);
    },
  );
});

describe('what a read demands of its replica', () => {
  /** A router whose transport tells what it was given. */
  function watched() {
    const messages: {
      partition: number;
      freshness: PartitionMessage['freshness'];
      request: ExecuteRequest;
    }[] = [];
    const gateway = createGateway({
      staticToken: TOKEN,
      seal: new SessionSeal(SECRET),
      corsOrigins: [],
      transport: {
        call: (_database, partition, { type, body, deadline, freshness }) => {
          if (type === 'execute') {
            messages.push({ partition, freshness, request: JSON.parse(String(body)) as ExecuteRequest });
          } else expect(freshness).toBeUndefined();
          const headers = { [DEADLINE_HEADER]: String(deadline) };
          return exchange(`${cluster.url}/rpc/${partition}/${type}`, headers, body);
        },
      },
    });
    const post = async (path: string, body: unknown) => {
      const headers = { authorization: `Bearer ${TOKEN}` };
      const init = { method: 'POST', body: JSON.stringify(body), headers };
      const reply = await gateway.fetch(new Request(`http://router${path}`, init));
      const text = await reply.text();
      expect(reply.status, text).toBe(200);
      return JSON.parse(text) as { session: string; plan: { partition: number } };
    };
    return { messages, post, last: () => messages.at(-1) };
  }

  test('is told to the transport: consistency, age, and what the session has seen of that partition', async () => {
    const { post, last, messages } = watched();
    const sql = "SELECT v FROM t WHERE k = 'a'";
    const { session, plan } = await post('/v1/query', { sql });
    expect(last()?.freshness).toBeUndefined();
    const atLeast = decodeSession(session).seen.get(plan.partition as PartitionId);
    await post('/v1/query', { sql, consistency: 'session' });
    expect(last()?.freshness).toEqual({ consistency: 'session' });
    await post('/v1/query', { sql, consistency: 'session', session });
    expect(last()?.freshness).toEqual({ consistency: 'session', atLeast });
    expect(last()?.request).toMatchObject({ atLeast, session });
    await post('/v1/query', { sql, consistency: 'bounded', maxStalenessMs: 0 });
    expect(last()?.freshness).toEqual({ consistency: 'bounded', maxStalenessMs: 0 });
    await post('/v1/batch', { statements: [{ sql }, { sql }], consistency: 'eventual' });
    expect(last()?.freshness).toEqual({ consistency: 'eventual' });
    messages.length = 0;
    await post('/v1/query', { sql: 'SELECT count(*) FROM t', consistency: 'session', session });
    const byPartition = new Map(messages.map(({ partition, freshness }) => [partition, freshness]));
    for (const partition of [1, 2, 3, 4]) {
      const own = partition === plan.partition ? { atLeast } : {};
      expect(byPartition.get(partition)).toEqual({ consistency: 'session', ...own });
    }
  });

  test('has the reference rows that the session has seen, at a router that has not heard of them', async () => {
    const { post, last } = watched();
    const sql = "SELECT ref.k FROM t, ref WHERE t.k = 'a'";
    await post('/v1/query', { sql });
    const heard = last()?.request.system as number;
    const { session } = (await cluster.query("INSERT INTO ref VALUES ('new')")).json;
    expect(decodeSession(session).system).toBeGreaterThan(heard);
    await post('/v1/query', { sql, session });
    expect(last()?.request.system).toBe(decodeSession(session).system);
  });

  test('of the past is to have passed the moment, whatever the consistency and the session say', async () => {
    const { post, messages, last } = watched();
    const { session } = (await cluster.query("SELECT v FROM t WHERE k = 'a'")).json;
    const { asOf } = (await cluster.query('SELECT v FROM t', [], { asOf: Date.now() })).json;
    const freshness = { consistency: 'session', atLeastTime: asOf };
    for (const more of [{}, { session }, { consistency: 'eventual' }]) {
      await post('/v1/query', { sql: "SELECT v FROM t WHERE k = 'a'", asOf, ...more });
      expect(last()?.freshness).toEqual(freshness);
      expect(last()?.request).toMatchObject({ asOf });
      expect(last()?.request).not.toHaveProperty('atLeast');
    }
    messages.length = 0;
    await post('/v1/query', { sql: 'SELECT v FROM t WHERE k > ? AS OF ?', args: ['a', asOf] });
    expect(messages.map(({ partition }) => partition).sort()).toEqual([1, 2, 3, 4]);
    for (const message of messages) {
      expect(message).toMatchObject({ freshness, request: { asOf } });
      const [{ sql, args } = { sql: '', args: [] }] = message.request.statements;
      expect(sql).not.toMatch(/AS OF/);
      expect(args).toEqual(['a']);
    }
  });

  test('of the past has the reference rows of then, which the system partition is asked for', async () => {
    const { post, messages } = watched();
    const sql = 'SELECT ref.k FROM t, ref';
    await post('/v1/query', { sql });
    const { session } = (await cluster.query("INSERT INTO ref VALUES ('newer')")).json;
    messages.length = 0;
    await post('/v1/query', { sql, asOf: Date.now() });
    const [first, ...others] = messages;
    expect(first).toMatchObject({ partition: 0, request: { statements: [{ sql: 'SELECT 1' }] } });
    expect(others).toHaveLength(4);
    for (const { request } of others) {
      expect(request.system).toBe(decodeSession(session).system);
      expect(request.asOf).toBe(first?.request.asOf);
    }
  });

  test('is nothing for strong reads and for whatever writes: the leader answers', async () => {
    const { post, messages } = watched();
    const eventual = { consistency: 'eventual' };
    await post('/v1/query', { sql: "SELECT v FROM t WHERE k = 'a'", consistency: 'strong' });
    await post('/v1/query', { sql: "INSERT INTO t VALUES ('eventually', 1)", ...eventual });
    const statements = [
      { sql: "SELECT v FROM t WHERE k = 'a'" },
      { sql: "UPDATE t SET v = 0 WHERE k = 'a'" },
    ];
    await post('/v1/batch', { statements, ...eventual });
    await post('/v1/query', { sql: 'UPDATE t SET v = v + 1', atomicity: 'partition', ...eventual });
    expect(messages).toHaveLength(3 + 4);
    for (const { freshness } of messages) expect(freshness).toBeUndefined();
  });
});
