import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Reply, TestCluster, TOKEN } from '../cluster/cluster.ts';
import { restore, tablesOf } from './restoring.ts';

/** A restore that does not end well leaves the database empty, and usable. */

let cluster: TestCluster;

beforeEach(async () => {
  cluster = await TestCluster.start({ partitions: 3 });
});

afterEach(() => cluster.dispose());

const PEOPLE = `PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE people (id INTEGER PRIMARY KEY, town TEXT, name TEXT NOT NULL)
/*atoll PARTITION BY ("town") */;
`;

const rows = (from: number, count: number): string =>
  Array.from(
    { length: count },
    (_, index) => `INSERT INTO "people" VALUES(${from + index},'t${index % 50}','n');\n`,
  ).join('');

async function expectEmpty(): Promise<void> {
  expect(await tablesOf(cluster)).toEqual([]);
  await cluster.query('CREATE TABLE people (town TEXT PRIMARY KEY)');
  await cluster.query("INSERT INTO people VALUES ('t1')");
  expect(await cluster.rows('SELECT * FROM people')).toEqual([['t1']]);
  await cluster.query('DROP TABLE people');
}

function refusal(reply: Reply): {
  code: string;
  message: string;
  outcome: string;
  detail: Record<string, unknown>;
} {
  return reply.json.error;
}

test('an id that is there twice', async () => {
  const reply = await restore(
    cluster,
    `${PEOPLE}${rows(1, 9_000)}INSERT INTO "people" VALUES(4711,'elsewhere','n');\nINSERT INTO "people" VALUES(4711,'t3','n'),(9007199254740993,'t4','n');\nCOMMIT;\n`,
  );
  expect(reply.status).toBe(409);
  expect(refusal(reply)).toMatchObject({ code: 'constraint', outcome: 'none' });
  await expectEmpty();
  const far = ['9223372036854775807', '-9223372036854775808', '9007199254740993', '9007199254740992'];
  const towns = Array.from({ length: 20 }, (_, index) => `('${far[0]}','t${index}','n')`);
  const values = far.map((id, index) => `(${id},'t${index}','n')`);
  const twice = await restore(cluster, `${PEOPLE}INSERT INTO people VALUES ${towns.slice(0, 1)};\nCOMMIT;`);
  expect(twice.status).toBe(200);
  await cluster.query('DROP TABLE people');
  expect((await restore(cluster, `${PEOPLE}INSERT INTO people VALUES ${values};\nCOMMIT;`)).status).toBe(200);
  await cluster.query("INSERT INTO people (town, name) VALUES ('t1', 'generated')");
  expect(await cluster.rows('SELECT count(DISTINCT id) FROM people')).toEqual([[5]]);
});

test('an id twice in different partitions is named', async () => {
  const towns = Array.from({ length: 12 }, (_, index) => `t${index}`);
  const places = await placesOf(towns);
  const one = towns[0];
  const other = towns[places.findIndex((place) => place !== places[0])];
  for (const id of ['17', '-3', '9223372036854775807', '9007199254740993']) {
    const rest = towns
      .map((town, index) => `INSERT INTO people VALUES (${index + 100},'${town}','n');\n`)
      .join('');
    const twice = `INSERT INTO people VALUES (${id},'${one}','n');\nINSERT INTO people VALUES (${id},'${other}','n');\n`;
    const reply = await restore(cluster, `${PEOPLE}${rest}${twice}COMMIT;\n`);
    expect(refusal(reply)).toMatchObject({
      code: 'constraint',
      outcome: 'none',
      detail: { table: 'people', id },
    });
    expect(await tablesOf(cluster)).toEqual([]);
  }
});

/** Partitions of rows with these keys, by a table of its own. */
async function placesOf(towns: readonly string[]): Promise<number[]> {
  await cluster.query('CREATE TABLE probe (town TEXT PRIMARY KEY)');
  const places: number[] = [];
  for (const town of towns) {
    const { json } = await cluster.query('INSERT INTO probe VALUES (?)', [town]);
    places.push(json.plan.partition);
  }
  await cluster.query('DROP TABLE probe');
  return places;
}

test('statements that are wrong, and dumps that are not whole', async () => {
  const broken: [string, Record<string, unknown>][] = [
    [
      `${PEOPLE}${rows(1, 5_000)}INSERT INTO "people" VALUS(1);\nCOMMIT;`,
      { code: 'syntax', detail: { line: 5_005 } },
    ],
    [
      `${PEOPLE}${rows(1, 5_000)}INSERT INTO "people" VALUES(6000,'t',NULL);\nCOMMIT;`,
      { code: 'constraint', detail: { line: 5_005 } },
    ],
    [`${PEOPLE}${rows(1, 5_000)}`, { code: 'payload' }],
    [`${PEOPLE}${rows(1, 10)}COMMIT;\nDELETE FROM people;`, { code: 'unsupported' }],
    [`${PEOPLE}INSERT INTO people VALUES(1,'t',random());\nCOMMIT;`, { code: 'unsupported' }],
    [`${PEOPLE}INSERT INTO people(id,nil) VALUES(1,2);\nCOMMIT;`, { code: 'no-such-column' }],
    [
      `${PEOPLE}CREATE INDEX i ON people (none);\nCOMMIT;`,
      { code: 'sql', detail: { line: 3 }, message: expect.stringContaining('line 3 to 5') },
    ],
    [
      'CREATE TABLE a (k TEXT PRIMARY KEY, b TEXT REFERENCES a);\nINSERT INTO a VALUES (1, 2);',
      { code: 'constraint', message: expect.stringContaining('FOREIGN KEY') },
    ],
    [
      `CREATE TABLE a (t TEXT, no INTEGER, up INTEGER, PRIMARY KEY (t, no), FOREIGN KEY (t, up) REFERENCES a) PARTITION BY (t);\nINSERT INTO a VALUES ('x', 1, 2);`,
      { code: 'constraint', message: expect.stringContaining('FOREIGN KEY') },
    ],
    ["CREATE TABLE a (k TEXT PRIMARY KEY);\nINSERT INTO a VALUES ('open", { code: 'syntax' }],
    ['5;', { code: 'syntax' }],
  ];
  for (const [body, error] of broken) {
    const reply = await restore(cluster, body);
    expect([body.slice(-80), refusal(reply)]).toMatchObject([body.slice(-80), { ...error, outcome: 'none' }]);
    expect(await tablesOf(cluster)).toEqual([]);
  }
  await expectEmpty();
});

test('tables that refer to each other', async () => {
  const circle = `CREATE TABLE a (t TEXT PRIMARY KEY, FOREIGN KEY (t) REFERENCES b (t) ON DELETE CASCADE);
CREATE TABLE b (t TEXT PRIMARY KEY, FOREIGN KEY (t) REFERENCES a (t) ON DELETE CASCADE);
INSERT INTO a VALUES ('x'), ('y'), ('z');
`;
  const refused = await restore(cluster, `${circle}INSERT INTO b VALUES ('x'), ('y');\n`);
  expect(refusal(refused)).toMatchObject({
    code: 'constraint',
    outcome: 'none',
    detail: { table: 'a', parent: 'b' },
  });
  expect(await tablesOf(cluster)).toEqual([]);
  expect((await restore(cluster, `${circle}INSERT INTO b VALUES ('x'), ('y'), ('z');\n`)).status).toBe(200);
  expect(await cluster.rows('SELECT t FROM a JOIN b USING (t) ORDER BY t')).toEqual([['x'], ['y'], ['z']]);
});

interface Slow {
  readonly stream: ReadableStream<Uint8Array>;
  readonly push: (text: string) => void;
  readonly end: () => void;
}

function slow(): Slow {
  let controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  const stream = new ReadableStream<Uint8Array>({
    start: (it) => {
      controller = it;
    },
  });
  return {
    stream,
    push: (text) => controller?.enqueue(new TextEncoder().encode(text)),
    end: () => controller?.close(),
  };
}

const until = async (done: () => Promise<boolean>, ms: number): Promise<void> => {
  for (const end = Date.now() + ms; Date.now() < end; await new Promise((wake) => setTimeout(wake, 200))) {
    if (await done()) return;
  }
  throw new Error('it did not come about');
};

const isRestoring = async () => (await cluster.post('/v1/query', { sql: 'SELECT 1' })).status === 503;
const serves = async () => (await cluster.post('/v1/query', { sql: 'SELECT 1' })).status === 200;

test('until it ends nobody else is served; a client that hangs up leaves an empty database', async () => {
  const { stream, push } = slow();
  const leave = new AbortController();
  const headers = { authorization: `Bearer ${TOKEN}` };
  const init = { method: 'POST', headers, body: stream, duplex: 'half', signal: leave.signal } as const;
  const gone = fetch(`${cluster.url}/v1/restore`, init).catch(() => null);
  push(PEOPLE + rows(1, 20_000));
  await until(isRestoring, 10_000);
  const busy = { status: 503, json: { error: { code: 'busy', outcome: 'none' } } };
  const ask = (sql: string) => cluster.post('/v1/query', { sql });
  expect(await ask('SELECT count(*) FROM people')).toMatchObject(busy);
  expect(await ask("INSERT INTO people (town, name) VALUES ('t', 'n')")).toMatchObject(busy);
  expect(await ask('CREATE TABLE other (a PRIMARY KEY)')).toMatchObject(busy);
  expect(await cluster.get('/v1/export')).toMatchObject(busy);
  expect(await restore(cluster, PEOPLE)).toMatchObject({ ...busy });
  const chunk = await cluster.request('/v1/import/people', {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/x-ndjson' },
    body: '{"town":"t","name":"n"}',
  });
  expect(chunk).toMatchObject(busy);
  leave.abort();
  await gone;
  await until(serves, 40_000);
  await expectEmpty();
});

test('kill -9 of workerd in the middle: it is empty after the start', async () => {
  const { stream, push } = slow();
  const gone = restore(cluster, stream).catch(() => null);
  push(PEOPLE + rows(1, 20_000));
  await until(isRestoring, 10_000);
  await cluster.kill();
  await gone;
  await until(serves, 40_000);
  await expectEmpty();
});

test('the system partition restarts in the middle: the restore is given up, and says so', async () => {
  const { stream, push, end } = slow();
  const running = restore(cluster, stream);
  push(PEOPLE + rows(1, 20_000));
  await until(isRestoring, 10_000);
  await cluster.reset(0).catch(() => undefined);
  await until(serves, 40_000);
  push(rows(20_001, 20_000));
  end();
  const reply = await running;
  expect(reply.status).toBeGreaterThanOrEqual(400);
  expect(refusal(reply).outcome).toBe('none');
  await expectEmpty();
});

test('an answer of a partition that is lost costs the restore, and nothing is left', async () => {
  await cluster.rpc(2, 'fault', { fault: 'reset-after', on: 'restore-chunk' });
  const reply = await restore(cluster, `${PEOPLE}${rows(1, 9_000)}COMMIT;\n`);
  expect(refusal(reply)).toMatchObject({ code: 'unknown-outcome', outcome: 'none' });
  await expectEmpty();
  await cluster.rpc(0, 'fault', { fault: 'reset-after', on: 'restore-end' });
  const published = await restore(cluster, `${PEOPLE}${rows(1, 9_000)}COMMIT;\n`);
  expect(published).toMatchObject({ status: 200, json: { rows: 9_000, tables: 1 } });
  expect(await cluster.rows('SELECT count(*) FROM people')).toEqual([[9_000]]);
});

test('a restore of whose router nothing is heard is given up', async () => {
  expect((await cluster.rpc(0, 'restore-begin', { id: 'abandoned' })).json).toEqual({ state: 'restoring' });
  await cluster.rpc(0, 'restore-schema', {
    id: 'abandoned',
    statements: ['CREATE TABLE people (k PRIMARY KEY)'],
  });
  await until(serves, 30_000);
  await expectEmpty();
  expect((await cluster.rpc(0, 'restore-end', { id: 'abandoned', publish: true })).json).toEqual({
    state: 'undone',
  });
});
