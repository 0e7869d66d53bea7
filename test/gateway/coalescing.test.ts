import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { PartitionId } from '../../src/base/brand.ts';
import { CoalescingTransport } from '../../src/gateway/coalescing-transport.ts';
import { TOGETHER_MAX } from '../../src/gateway/lane.ts';
import type { PartitionTransport } from '../../src/gateway/transport.ts';
import { ANSWER_LENGTH_MAX, ONE_LENGTH_MAX } from '../../src/protocol/many.ts';
import { DEADLINE_HEADER, RPC_HEADER, RPC_VERSION, TRACE_HEADER } from '../../src/protocol/rpc.ts';
import { TestCluster, TOKEN } from '../cluster/cluster.ts';
import { exchange } from '../cluster/exchange.ts';
import { anotherRouter, type OnItsWay, type Router } from '../cluster/router.ts';

/** Requests that find a partition busy go to it together. */
let cluster: TestCluster;
/** Keys of one partition. */
let keys: string[];
let home: number;

const INSERT = 'INSERT INTO t VALUES (?, ?)';
const SELECT = 'SELECT v FROM t WHERE k = ?';

beforeAll(async () => {
  cluster = await TestCluster.start({ partitions: 2 });
  await cluster.query('CREATE TABLE t (k TEXT PRIMARY KEY, v CHECK (v <> 13))');
  await cluster.query('CREATE TABLE few (v) REFERENCE');
  const found = new Map<number, string[]>();
  for (let i = 0; i < 200; i++) {
    const { json } = await cluster.query(SELECT, [`key ${i}`]);
    const { partition } = json.plan;
    found.set(partition, [...(found.get(partition) ?? []), `key ${i}`]);
  }
  [home, keys] = [...found][0] as [number, string[]];
});

afterAll(() => cluster.dispose());

beforeEach(async () => {
  await cluster.query('DELETE FROM t', [], { atomicity: 'partition' });
});

/** Gathers whatever comes at the same time. */
function gathering(onItsWay?: OnItsWay): Router {
  const options = { gatherMs: 0, eager: true };
  return anotherRouter(cluster, TOKEN, onItsWay, (each) => new CoalescingTransport(each, options));
}

/** A router that knows the network, and has sent the partition something already. */
async function warm(onItsWay?: OnItsWay): Promise<Router> {
  const router = gathering(onItsWay);
  await router.query(SELECT, [keys[0]]);
  router.sent.clear();
  return router;
}

const stored = async () => (await cluster.rows('SELECT k FROM t')).map(([k]) => String(k)).sort();

describe('requests of the same moment', () => {
  test('take one message, and each has its own answer', async () => {
    const router = await warm();
    const some = keys.slice(0, 20);
    const written = await Promise.all(
      some.map((k, i) => router.query(INSERT, [k, `a${'é\n𝄞'.repeat(i)} "b"`])),
    );
    expect(written.map(({ status, json }) => [status, json.rowsAffected])).toEqual(some.map(() => [200, 1]));
    expect([...router.sent]).toEqual([['execute-many', 1]]);
    const read = await Promise.all(some.map((k) => router.query(SELECT, [k])));
    expect(read.map(({ json }) => json.rows)).toEqual(some.map((_, i) => [[`a${'é\n𝄞'.repeat(i)} "b"`]]));
    const traces = new Set(read.map(({ headers }) => headers.get('traceresponse')));
    expect(traces.size).toBe(some.length);
    expect([...router.sent]).toEqual([['execute-many', 2]]);
  });

  test('fail alone', async () => {
    await cluster.query(INSERT, [keys[4], 'no JSON']);
    const router = await warm();
    const replies = await Promise.all([
      router.query(INSERT, [keys[0], 1]),
      router.query(INSERT, [keys[1], 13]),
      router.query("SELECT v -> '$' FROM t WHERE k = ?", [keys[4]]),
      router.query(INSERT, [keys[2], 2]),
      router.query(INSERT, [keys[2], 3]),
      router.query(SELECT, [keys[3]]),
    ]);
    expect(replies.map(({ status, json }) => [status, json.error?.code])).toEqual([
      [200, undefined],
      [409, 'constraint'],
      [400, 'sql'],
      [200, undefined],
      [409, 'constraint'],
      [200, undefined],
    ]);
    expect([...router.sent]).toEqual([['execute-many', 1]]);
    expect(await stored()).toEqual([keys[0], keys[2], keys[4]].sort());
  });

  test('are more than one message may carry', async () => {
    const router = await warm();
    const some = Array.from({ length: TOGETHER_MAX + 5 }, (_, i) => keys[i % keys.length] as string);
    const replies = await Promise.all(some.map((k) => router.query(SELECT, [k])));
    expect(replies.every(({ status }) => status === 200)).toBe(true);
    expect(router.sent).toEqual(
      new Map([
        ['execute', 5],
        ['execute-many', 1],
      ]),
    );
  });

  test('of which one has a long answer: it is asked by itself', async () => {
    const long = 'x'.repeat(ANSWER_LENGTH_MAX);
    await cluster.query(INSERT, [keys[0], long]);
    await cluster.query(INSERT, [keys[1], 'short']);
    const router = await warm();
    const [one, other] = await Promise.all([
      router.query(SELECT, [keys[0]]),
      router.query(SELECT, [keys[1]]),
    ]);
    expect([one?.json.rows, other?.json.rows]).toEqual([[[long]], [['short']]]);
    expect(router.sent.get('execute')).toBe(1);
  });

  test('of those that may do much, or answer much that cannot be taken back, each goes by itself', async () => {
    const router = await warm();
    const [k] = keys as [string];
    const insert = { sql: INSERT, args: [keys[1], 1] };
    const replies = await Promise.all([
      router.query(`${INSERT} RETURNING v`, [k, 1]),
      router.query('SELECT count(*) FROM t WHERE k = ?', [k]),
      router.query('SELECT v FROM t WHERE k = ?1 AND v IN (SELECT v FROM t WHERE k = ?1)', [k]),
      router.query('SELECT v FROM t WHERE k = ? AND v IN few', [k]),
      router.query('UPDATE t SET v = 1 WHERE k = ? AND v IN few', [k]),
      router.query(
        'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT i FROM n, t WHERE k = ?',
        [k],
      ),
      router.query(SELECT, ['x'.repeat(ONE_LENGTH_MAX)]),
      router.post('/v1/batch', { statements: [insert, { sql: SELECT, args: [keys[1]] }] }),
    ]);
    expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 200));
    expect(router.sent.get('execute-many')).toBeUndefined();
  });

  test('of which one is a defect: the others are answered, or unknown where they were of its group', async () => {
    const { json: network } = await cluster.get('/v1/network');
    const request = { epoch: 1, schema: network.schemaVersion, system: 0, shape: 'query' };
    const read = { ...request, read: true, statements: [{ sql: SELECT, args: [keys[0]] }] };
    const lines = [read, { ...read, statements: null }, read].map((each) => JSON.stringify(each));
    const reply = await exchange(
      `${cluster.url}/rpc/${home}/execute-many`,
      { [RPC_HEADER]: String(RPC_VERSION), [DEADLINE_HEADER]: String(Date.now() + 5_000) },
      lines.join('\n'),
    );
    const [statuses = ''] = (await reply.text()).split('\n');
    expect([reply.status, JSON.parse(statuses)]).toEqual([200, [200, 500, 200]]);
  });

  test('that were planned by an older network are planned anew', async () => {
    const router = await warm();
    await cluster.query('ALTER TABLE t ADD COLUMN later DEFAULT 5');
    const some = keys.slice(0, 6);
    const replies = await Promise.all(
      some.map((k) => router.query('INSERT INTO t (k, v) VALUES (?, 1)', [k])),
    );
    expect(replies.map(({ status }) => status)).toEqual(some.map(() => 200));
    expect(await stored()).toEqual([...some].sort());
    await cluster.query('ALTER TABLE t DROP COLUMN later');
  });
});

test('one that waits for a transaction keeps nobody waiting', async () => {
  const router = await warm();
  await cluster.query(INSERT, [keys[0], 1]);
  const transaction = 'c'.repeat(32);
  const { json: network } = await cluster.get('/v1/network');
  const { json } = await cluster.rpc(home, 'prepare', {
    transaction,
    startedMs: Date.now(),
    anchor: 3 - home,
    term: 1,
    time: '0000000000000000-p2',
    schema: network.schemaVersion,
    system: 0,
    part: {
      partition: home,
      epoch: 1,
      read: false,
      statements: [{ sql: 'UPDATE t SET v = 2 WHERE k = ?', args: [keys[0]] }],
    },
  });
  expect(json.vote).toBe('yes');
  const waiting = [
    router.query(SELECT, [keys[0]]),
    router.query('UPDATE t SET v = v + 10 WHERE k = ?', [keys[0]]),
  ];
  const others = await Promise.all([
    router.query(INSERT, [keys[1], 1]),
    router.query(SELECT, [keys[2]]),
    router.query(INSERT, [keys[3], 1]),
  ]);
  expect(others.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(router.sent).toEqual(
    new Map([
      ['execute-many', 1],
      ['execute', 2],
    ]),
  );
  await cluster.rpc(home, 'transaction-end', { transaction, commitTimestamp: json.preparedAt });
  const [read, written] = await Promise.all(waiting);
  expect([[[2]], [[12]]]).toContainEqual(read?.json.rows);
  expect(written?.json.rowsAffected).toBe(1);
  expect(await cluster.rows(SELECT, [keys[0]])).toEqual([[12]]);
});

describe('what is lost', () => {
  test('is unknown of each write, and asked again of each read', async () => {
    const router = await warm(async (_, send) => {
      const response = await send();
      if (response.status === 500) throw new Error('the object was reset');
      return response;
    });
    await cluster.rpc(home, 'fault', { fault: 'reset-after', on: 'execute-many' });
    const replies = await Promise.all([
      router.query(INSERT, [keys[0], 1]),
      router.query(SELECT, [keys[1]]),
      router.query(INSERT, [keys[2], 1]),
    ]);
    expect(replies.map(({ status, json }) => [status, json.error?.code, json.error?.outcome])).toEqual([
      [503, 'unknown-outcome', 'unknown'],
      [200, undefined, undefined],
      [503, 'unknown-outcome', 'unknown'],
    ]);
    expect(await stored()).toEqual([keys[0], keys[2]].sort());
  });

  test('was not applied where the partition does not know such messages: each goes by itself from then on', async () => {
    const router = await warm(({ type }, send) =>
      type === 'execute-many' ? Promise.resolve(new Response('{}', { status: 404 })) : send(),
    );
    const some = keys.slice(0, 8);
    for (const round of [some.slice(0, 4), some.slice(4)]) {
      const replies = await Promise.all(round.map((k) => router.query(INSERT, [k, 1])));
      expect(replies.map(({ status }) => status)).toEqual(round.map(() => 200));
    }
    expect(router.sent).toEqual(
      new Map([
        ['execute-many', 1],
        ['execute', 8],
      ]),
    );
    expect(await stored()).toEqual([...some].sort());
  });
});

test('whoever carries the others is kept until they are answered', async () => {
  const kept: Promise<void>[] = [];
  let answered = 0;
  const transport = new CoalescingTransport(
    {
      call: async (_database, partition, { type, body, deadline, trace }) => {
        const headers = {
          [RPC_HEADER]: String(RPC_VERSION),
          [TRACE_HEADER]: trace,
          [DEADLINE_HEADER]: String(deadline),
        };
        const response = await exchange(`${cluster.url}/rpc/${partition}/${type}`, headers, body);
        answered++;
        return response;
      },
    },
    { gatherMs: 0, eager: true },
  );
  const send = () =>
    transport.call('main', home as PartitionId, {
      type: 'execute',
      body: JSON.stringify({
        epoch: 1,
        schema: 1,
        system: 0,
        shape: 'query',
        read: true,
        statements: [{ sql: SELECT, args: ['a'] }],
      }),
      deadline: Date.now() + 10_000,
      trace: 'trace',
      coalesces: true,
      background: (work) => void kept.push(work),
    });
  const both = [send(), send()];
  expect(kept).toHaveLength(1);
  await kept[0];
  expect(answered).toBe(1);
  // By the newest schema, or told of it: answered.
  expect((await Promise.all(both)).map(({ status }) => [200, 421].includes(status))).toEqual([true, true]);
});

test('whoever has no time left when they leave is not sent', async () => {
  const sent: string[] = [];
  const each: PartitionTransport = {
    call: async (_database, _partition, { type, body }) => {
      sent.push(`${type} ${body}`);
      return new Response('[200]\n{}');
    },
  };
  const transport = new CoalescingTransport(each, { gatherMs: 30, eager: true });
  const send = (body: string, milliseconds: number) => {
    const deadline = Date.now() + milliseconds;
    const message = { type: 'execute', body, deadline, trace: 'trace', coalesces: true };
    return transport.call('main', home as PartitionId, message);
  };
  void send('too late', 1);
  expect((await send('in time', 10_000)).status).toBe(200);
  expect(sent).toEqual(['execute-many in time']);
});
