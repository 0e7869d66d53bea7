import { beforeEach, describe, expect, test } from 'vitest';
import type { Epoch, SchemaVersion } from '../../../src/base/brand.ts';
import { readHead } from '../../../src/core/log/tables.ts';
import { checkSchemaChange } from '../../../src/core/replica/feed.ts';
import type { ExecuteOutcome } from '../../../src/core/replica/outcome.ts';
import { Replica } from '../../../src/core/replica/replica.ts';
import { findAnswer, forgetOldRequests } from '../../../src/core/replica/requests.ts';
import { undoAndRedo } from '../../../src/core/replica/undo-redo.ts';
import type { ExecuteRequest, Idempotency } from '../../../src/protocol/execute.ts';
import { KEY_AHEAD_MS, KEY_RETENTION_MS, requestId } from '../../../src/protocol/idempotency-key.ts';
import { decodeSession } from '../../../src/protocol/session.ts';
import { Crash, FaultyPort } from '../../harness/faulty-port.ts';
import { LocalCluster } from '../../harness/local-cluster.ts';
import { copy } from '../replication/copy.ts';

const DAY_ONE = 1_700_000_000_000;
let ports: FaultyPort[];
let cluster: LocalCluster;

beforeEach(() => {
  ports = [];
  cluster = new LocalCluster(1, () => {
    const port = new FaultyPort();
    ports.push(port);
    return port;
  });
  cluster.now = DAY_ONE;
  cluster.schema(
    'CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT, v TEXT, UNIQUE (k, v)) PARTITION BY (k)',
    'CREATE TABLE c (code TEXT PRIMARY KEY) REFERENCE',
  );
});

const key = (name: string, asked = name, issuedMs = DAY_ONE): Idempotency => ({
  id: requestId(issuedMs, name),
  hash: asked,
  issuedMs,
});
const insert = (v: string, idempotency: Idempotency, more: Partial<ExecuteRequest> = {}) => ({
  statements: [{ sql: 'INSERT INTO t (k, v) VALUES (?, ?) RETURNING id, v', args: ['a', v] }],
  idempotency,
  ...more,
});
const one = (request: ReturnType<typeof insert>, partition = 1): ExecuteOutcome =>
  cluster.group([request], partition)[0] as ExecuteOutcome;
const stored = () => cluster.run('SELECT v FROM t ORDER BY id').rows.flat();
const records = () => cluster.replica(1).port.query('SELECT count(*) FROM _atoll_requests').rows[0]?.[0];
const last = () => readHead(cluster.replica(1).port).lastCommitId;

function answerOf(outcome: ExecuteOutcome | undefined) {
  if (outcome?.kind !== 'done') throw new Error(JSON.stringify(outcome));
  const { session, ...answer } = JSON.parse(outcome.body);
  return { ...answer, seen: decodeSession(session).seen.get(1 as never) };
}
const refused = (code: string, message: RegExp) => ({
  kind: 'error',
  error: { code, outcome: 'none', message: expect.stringMatching(message) },
});

describe('the same key', () => {
  test('and the same request: the same answer, applied once', () => {
    const first = answerOf(one(insert('x', key('A'))));
    cluster.run("INSERT INTO t (k, v) VALUES ('a', 'between')");
    const before = last();
    const { seen, ...again } = answerOf(one(insert('x', key('A'))));
    expect({ ...again, seen: first.seen }).toEqual(first);
    // Its session has seen all that is committed now.
    expect(seen).toBe(before);
    expect(last()).toBe(before);
    expect(stored()).toEqual(['x', 'between']);
  });

  test('and another request is refused, and nothing is applied', () => {
    one(insert('x', key('A')));
    expect(one(insert('y', key('A', 'another')))).toMatchObject(
      refused('idempotency-conflict', /another request/),
    );
    expect(stored()).toEqual(['x']);
  });

  test('of a write that changes no row is remembered as well', () => {
    const request = { ...insert('x', key('A')), statements: [{ sql: "DELETE FROM t WHERE v = 'x'" }] };
    expect(answerOf(one(request))).toMatchObject({ rowsAffected: 0 });
    cluster.run("INSERT INTO t (k, v) VALUES ('a', 'x')");
    expect(answerOf(one(request))).toMatchObject({ rowsAffected: 0 });
    expect(stored()).toEqual(['x']);
  });

  test('after a failure may be used again by the same request: errors are not recorded', () => {
    cluster.run("INSERT INTO t (k, v) VALUES ('a', 'x')");
    expect(one(insert('x', key('A')))).toMatchObject(refused('constraint', /UNIQUE/));
    expect(records()).toBe(0);
    cluster.run('DELETE FROM t WHERE true');
    expect(answerOf(one(insert('x', key('A'))))).toMatchObject({ rowsAffected: 1 });
  });

  test('twice in one group is executed once, and both have the answer; with another request, the first counts', () => {
    const [first, second, third, other] = cluster.group([
      insert('x', key('A')),
      insert('x', key('A')),
      insert('y', key('A', 'another')),
      insert('z', key('B')),
    ]);
    expect(answerOf(second)).toEqual(answerOf(first));
    expect(third).toMatchObject(refused('idempotency-conflict', /another request/));
    expect(answerOf(other)).toMatchObject({ rowsAffected: 1 });
    expect(stored()).toEqual(['x', 'z']);
  });

  test('twice in one group whose first one fails: the second is executed', () => {
    cluster.run("INSERT INTO t (k, v) VALUES ('a', 'x')");
    const free = { statements: [{ sql: "DELETE FROM t WHERE v = 'x'" }] };
    const [first, , second] = cluster.group([insert('x', key('A')), free, insert('x', key('A'))]);
    expect(first).toMatchObject(refused('constraint', /UNIQUE/));
    expect(answerOf(second)).toMatchObject({ rowsAffected: 1 });
  });

  test('is answered before epoch, schema and a pending schema change are judged', () => {
    const first = answerOf(one(insert('x', key('A'))));
    cluster.schema('DROP TABLE t', 'CREATE TABLE other (k TEXT PRIMARY KEY)');
    for (const planned of [{}, { schema: 1 as SchemaVersion }, { epoch: 7 as Epoch }, { system: 10 ** 6 }]) {
      expect(answerOf(one(insert('x', key('A'), planned)))).toMatchObject({ rows: first.rows });
    }
    expect(one(insert('x', key('B'), { schema: 1 as SchemaVersion })).kind).toBe('stale');
  });

  test('of a reference table’s write is the system partition’s, and its record stays there', () => {
    const write = { ...insert('x', key('A')), statements: [{ sql: "INSERT INTO c VALUES ('is')" }] };
    expect(answerOf(one(write, 0))).toMatchObject({ rowsAffected: 1 });
    expect(answerOf(one(write, 0))).toMatchObject({ rowsAffected: 1 });
    cluster.deliver();
    expect(cluster.run('SELECT code FROM c').rows).toEqual([['is']]);
    expect(records()).toBe(0);
  });
});

describe('an answer', () => {
  const sized = (bytes: number, v: string) => ({
    ...insert(v, key(v)),
    statements: [
      { sql: `INSERT INTO t (k, v) VALUES ('a', ?) RETURNING printf('%.*c', ?, 'é')`, args: [v, bytes] },
    ],
  });

  test('that could not be kept undoes its request, by its bytes', () => {
    expect(one(sized(131_100, 'x'))).toMatchObject(refused('result-too-large', /262144 bytes/));
    expect(one(sized(300_000, 'x'))).toMatchObject(refused('result-too-large', /262144 bytes/));
    expect([stored(), records()]).toEqual([[], 0]);
    expect(answerOf(one(sized(130_000, 'y'))).rows[0][0]).toHaveLength(130_000);
    expect(answerOf(one(sized(130_000, 'y'))).rows[0][0]).toHaveLength(130_000);
    expect(stored()).toEqual(['y']);
  });

  test('of a batch has all its results', () => {
    const batch = {
      ...insert('x', key('A')),
      shape: 'batch' as const,
      statements: [{ sql: "INSERT INTO t (k, v) VALUES ('a', 'x')" }, { sql: 'SELECT count(*) FROM t' }],
    };
    const first = answerOf(one(batch));
    cluster.run("INSERT INTO t (k, v) VALUES ('a', 'later')");
    expect(answerOf(one(batch))).toMatchObject({ results: first.results });
    expect(first.results[1].rows).toEqual([[1]]);
  });
});

describe('a record', () => {
  test('is there with its rows after a crash at any point, or neither is', () => {
    const outcomes = new Set<string>();
    for (let calls = 0; calls < 40; calls++) {
      const name = `crash ${calls}`;
      ports[1]?.arm('crash', calls);
      let crashed = false;
      try {
        cluster.group([insert(`${name} a`, key(`${name} a`)), insert(name, key(name))]);
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
        crashed = true;
      }
      ports[1]?.disarm();
      cluster.partitions[0] = Replica.open(cluster.replica(1).port) as Replica;
      const [applied] = cluster.run('SELECT count(*) FROM t WHERE v = ?', [name]).rows.flat();
      const answer = answerOf(one(insert(name, key(name))));
      expect(answer.rows).toEqual(cluster.run('SELECT id, v FROM t WHERE v = ?', [name]).rows);
      outcomes.add(`${crashed ? 'crashed' : 'answered'}, ${applied}`);
    }
    expect(outcomes).toEqual(new Set(['crashed, 0', 'answered, 1']));
  });

  test.each(['full', 'io', 'busy'] as const)('is made once in a group that SQLite ends (%s)', (fault) => {
    for (let calls = 0; calls < 30; calls++) {
      const name = `${fault} ${calls}`;
      ports[1]?.arm(fault, calls);
      try {
        const [first, second] = cluster.group([insert(name, key(name)), insert(name, key(name))]);
        if (first?.kind === 'done' && second?.kind === 'done') expect(second.body).toBe(first.body);
      } catch {
        expect(fault).toBe('io');
      }
      ports[1]?.disarm();
      expect(answerOf(one(insert(name, key(name))))).toMatchObject({ rowsAffected: 1 });
      expect(cluster.run('SELECT count(*) FROM t WHERE v = ?', [name]).rows).toEqual([[1]]);
    }
  });

  test('is undone and done again with its rows, and is at followers', () => {
    const first = answerOf(one(insert('x', key('A'))));
    expect(undoAndRedo(cluster.replica(1), 1)).toBe(1);
    expect(answerOf(one(insert('x', key('A')))).rows).toEqual(first.rows);
    const follower = new FaultyPort();
    expect(copy(cluster.replica(1), follower)).not.toBe('gone');
    cluster.partitions[0] = Replica.open(follower) as Replica;
    expect(answerOf(one(insert('x', key('A')))).rows).toEqual(first.rows);
    expect(stored()).toEqual(['x']);
  });

  test('is found by who asks for it, once the partition has the schema of whoever asks', () => {
    const replica = cluster.replica(1);
    const find = (idempotency: Idempotency, schema = replica.schema.version) =>
      findAnswer(replica, { schema, idempotency });
    const first = answerOf(one(insert('x', key('A'))));
    const found = find(key('A'));
    expect(found.kind).toBe('done');
    const { answer } = JSON.parse((found as { body: string }).body);
    expect(JSON.parse(answer).rows).toEqual(first.rows);
    expect(find(key('B'))).toEqual({ kind: 'done', body: '{"answer":null}' });
    expect(find(key('A', 'another'))).toMatchObject(refused('idempotency-conflict', /another request/));
    expect(find(key('A'), (replica.schema.version + 1) as SchemaVersion)).toEqual({ kind: 'behind' });
  });
});

describe('forgetting', () => {
  const KEPT_MS = KEY_RETENTION_MS + KEY_AHEAD_MS;
  const forget = (now: number, steps = 100) => forgetOldRequests(cluster.replica(1), now, steps);

  test('takes what no router asks for any more, and nothing else', () => {
    one(insert('a', key('A', 'a', DAY_ONE - 1)));
    one(insert('b', key('B', 'b', DAY_ONE)));
    const before = last();
    expect(forget(DAY_ONE + KEPT_MS - 1)).toBe(false);
    expect([records(), last()]).toEqual([2, before]);
    expect(forget(DAY_ONE + KEPT_MS)).toBe(false);
    expect([records(), last()]).toEqual([1, before + 1]);
    cluster.now = DAY_ONE + KEPT_MS;
    expect(answerOf(one(insert('b', key('B', 'b', DAY_ONE))))).toMatchObject({ rowsAffected: 1 });
    expect(stored()).toEqual(['a', 'b']);
  });

  test('a request whose record may be gone is refused, also by a clock that is behind', () => {
    const old = insert('a', key('A', 'a', DAY_ONE));
    one(old);
    forget(DAY_ONE + KEPT_MS + 1);
    expect(records()).toBe(0);
    for (const now of [DAY_ONE + KEPT_MS + 1, DAY_ONE]) {
      cluster.now = now;
      expect(one(old)).toMatchObject(refused('idempotency-conflict', /expired/));
    }
    expect(stored()).toEqual(['a']);
  });

  test('goes in bounded entries, is undone like any other, and reaches followers', () => {
    for (let i = 0; i < 150; i++) one(insert(`v${i}`, key(`K${i}`)));
    const before = last();
    const after = DAY_ONE + KEPT_MS + 1_000;
    expect(forget(after, 1)).toBe(true);
    expect([records(), last()]).toEqual([86, before + 1]);
    expect(undoAndRedo(cluster.replica(1), 1)).toBe(1);
    expect(records()).toBe(86);
    expect(forget(after)).toBe(false);
    expect([records(), last()]).toEqual([0, before + 3]);
    expect(stored()).toHaveLength(150);
  });

  test('repeats no more than a megabyte of answers in an entry', () => {
    const sql = `INSERT INTO t (k, v) VALUES ('a', ?) RETURNING printf('%.*c', 200000, 'x')`;
    for (let i = 0; i < 12; i++) {
      const v = `v${i}`;
      answerOf(one({ statements: [{ sql, args: [v] }], idempotency: key(v) }));
    }
    expect(forget(DAY_ONE + KEPT_MS + 1_000, 1)).toBe(true);
    expect(records()).toBe(7);
  });

  test('waits while a schema change is being decided', () => {
    one(insert('a', key('A')));
    const proposal = cluster.system.propose(['CREATE TABLE later (k TEXT PRIMARY KEY)'], cluster.now);
    if (proposal === null) throw new Error('no proposal');
    const check = checkSchemaChange(cluster.replica(1), proposal.proposal, proposal.change, cluster.now);
    expect(check.kind).toBe('passed');
    expect(forget(DAY_ONE + 2 * KEPT_MS)).toBe(false);
    expect(records()).toBe(1);
    // The same request is answered meanwhile, another one waits.
    expect(one(insert('a', key('A'))).kind).toBe('done');
    expect(one(insert('b', key('B'))).kind).toBe('held');
  });
});
