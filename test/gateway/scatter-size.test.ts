import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AnswersHeld } from '../../src/gateway/answers-held.ts';
import { TestCluster } from '../cluster/cluster.ts';

let cluster: TestCluster;
const MIB = 1024 * 1024;

beforeAll(async () => {
  cluster = await TestCluster.start();
  await cluster.query('CREATE TABLE one (k TEXT, n INTEGER, PRIMARY KEY (k, n)) PARTITION BY (k)');
  const statements = Array.from({ length: 64 }, (_, n) => ({
    sql: 'INSERT INTO one VALUES (?, ?)',
    args: ['same', n],
  }));
  await cluster.post('/v1/batch', { statements });
  await cluster.query('CREATE TABLE t (k INTEGER, v TEXT) PARTITION BY (k)');
  for (let k = 0; k < 40; k++)
    await cluster.query('INSERT INTO t VALUES (?, ?)', [k, 'odd ],"rows":[ \\" "rowsAffected":']);
});

afterAll(() => cluster.dispose());

/** About a MiB for each row. */
const LARGE = 'hex(zeroblob(524288))';
const ask = (sql: string, args: unknown[] = []) => cluster.post('/v1/query', { sql, args });
const tooLarge = { status: 413, json: { error: { code: 'result-too-large', outcome: 'none' } } };

describe('a scatter', () => {
  test('without merge steps passes rows through as the partitions wrote them', async () => {
    const sql = `SELECT k, v, 1.0 AS "a],""rows"":[", x'00ff', 9007199254740993, NULL FROM t`;
    const { columns, rows } = (await cluster.query(sql)).json;
    expect(columns.slice(0, 3)).toEqual(['k', 'v', 'a],"rows":[']);
    const sorted = (await cluster.query(`${sql} ORDER BY k`)).json;
    expect(sorted.columns).toEqual(columns);
    expect(rows.toSorted((a: number[], b: number[]) => Number(a[0]) - Number(b[0]))).toEqual(sorted.rows);
    expect((await cluster.query(sql)).text).toContain('1.0');
    expect((await cluster.query('SELECT v FROM t WHERE k < 0')).json).toMatchObject({
      columns: ['v'],
      rows: [],
    });
  });

  test.each(['', 'ORDER BY k'])('whose answer is beyond the bound is told so: %s', async (order) => {
    const reply = await ask(`SELECT k, ${LARGE} FROM t ${order}`);
    expect(reply).toMatchObject(tooLarge);
    expect(reply.json.error.message).toMatch(/larger than .*LIMIT/);
  });

  test('may have most of it from one partition, beyond its share', async () => {
    const sql = `SELECT n, ${LARGE} FROM one WHERE n < ?`;
    expect((await ask(sql, [12])).json.rows).toHaveLength(12);
    expect(await ask(sql, [17])).toMatchObject(tooLarge);
  });

  test('beside others is answered or overloaded, and afterwards all is as before', async () => {
    const sql = `SELECT k, ${LARGE} FROM t WHERE k < 20`;
    const replies = await Promise.all(Array.from({ length: 8 }, () => ask(sql)));
    for (const { status, json, headers } of replies) {
      if (status === 200) expect(json.rows).toHaveLength(20);
      else {
        expect({ status, code: json.error.code }).toEqual({ status: 503, code: 'overloaded' });
        expect(json.error.outcome).toBe('none');
        expect(headers.get('retry-after')).toBe('1');
      }
    }
    expect(replies.some(({ status }) => status === 200)).toBe(true);
    for (let i = 0; i < 5; i++) expect((await ask(sql)).status).toBe(200);
  });
});

test('a partition holds no more than the sender can take', async () => {
  const { partition } = (await cluster.query("SELECT 1 FROM one WHERE k = 'same'")).json.plan;
  const [range] = (await cluster.get('/v1/network')).json.partitions.filter(
    (each: { partition: number }) => each.partition === partition,
  );
  const message = {
    epoch: range.epoch,
    schema: range.schemaVersion,
    system: range.systemIndex,
    shape: 'query',
    read: true,
    statements: [{ sql: `SELECT ${LARGE}` }],
  };
  expect((await cluster.rpc(partition, 'execute', message)).status).toBe(200);
  expect(await cluster.rpc(partition, 'execute', { ...message, answerBytesMax: MIB - 1 })).toMatchObject(
    tooLarge,
  );
});

test('what is held is bounded for each and for all, and is given back', () => {
  const first = new AnswersHeld();
  const second = new AnswersHeld();
  first.take(32 * MIB);
  expect(() => first.take(1)).toThrow(expect.objectContaining({ code: 'result-too-large' }));
  second.take(16 * MIB);
  expect(() => second.take(1)).toThrow(expect.objectContaining({ code: 'overloaded', outcome: 'none' }));
  first.release();
  expect(() => first.take(1)).toThrow('failed already');
  second.take(16 * MIB);
  second.release();
  const third = new AnswersHeld();
  expect(() => third.takeValues(2 * MIB)).toThrow(expect.objectContaining({ code: 'result-too-large' }));
  third.release();
});
