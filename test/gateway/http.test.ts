import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestCluster, TOKEN } from '../cluster/cluster.ts';
import { anotherRouter } from '../cluster/router.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start({ corsOrigins: 'https://one.example,https://two.example' });
  await cluster.query('CREATE TABLE t (k TEXT PRIMARY KEY, v)');
});

afterAll(() => cluster.dispose());

const send = (method: string, path: string, headers: Record<string, string> = {}) =>
  cluster.request(path, { method, headers: { authorization: `Bearer ${TOKEN}`, ...headers } });

describe('routes', () => {
  test.each([
    ['GET', '/v1/query', 'POST'],
    ['PUT', '/v1/batch', 'POST'],
    ['HEAD', '/v1/query', 'POST'],
    ['POST', '/v1/network', 'GET, HEAD'],
    ['PATCH', '/v1/tokens', 'GET, HEAD, POST'],
    ['POST', '/healthz', 'GET, HEAD'],
    ['GET', '/main/v1/query', 'POST'],
  ])('%s %s is refused with what is allowed', async (method, path, allow) => {
    const reply = await send(method, path);
    expect(reply.status).toBe(405);
    expect(reply.headers.get('allow')).toBe(allow);
    if (method !== 'HEAD') expect(reply.json.error.code).toBe('method-not-allowed');
  });

  test.each(['/', '/v1', '/v1/nope', '/v3-protobuf', '/nope/v1/nope', '/a/b/c'])(
    'there is no %s',
    async (path) => {
      expect(await send('GET', path)).toMatchObject({ status: 404, json: { error: { code: 'not-found' } } });
    },
  );

  test.each([
    ['GET', '/v1/changes?from=0'],
    ['GET', '/v1/live?sql=x'],
    ['POST', '/v1/databases'],
    ['DELETE', '/v1/databases/x'],
    ['POST', '/v2/pipeline'],
    ['POST', '/v3/pipeline'],
    ['POST', '/v3/cursor'],
    ['GET', '/v3'],
  ])('%s %s says that it is not there yet', async (method, path) => {
    const { status, json } = await send(method, path);
    expect({ status, ...json.error }).toMatchObject({ status: 400, code: 'unsupported' });
    expect(json.error.message).toMatch(/^not there yet: /);
  });

  test('a base URL may name the database; there is only main', async () => {
    for (const path of ['/v1/query', '/main/v1/query', '/m%61in/v1/query?x=1']) {
      expect((await cluster.post(path, { sql: 'SELECT 1' })).json.rows).toEqual([[1]]);
    }
    expect((await send('GET', '/main/v1/tokens')).status).toBe(200);
    const other = await cluster.post('/other/v1/query', { sql: 'SELECT 1' });
    expect(other).toMatchObject({ status: 404, json: { error: { code: 'not-found' } } });
    expect(other.json.error.message).toContain("'other'");
  });

  test('liveness takes no token; what HEAD answers has no body', async () => {
    expect((await send('GET', '/healthz', { authorization: '' })).json).toEqual({ ok: true });
    expect(await send('HEAD', '/healthz')).toMatchObject({ status: 200, text: '' });
  });
});

describe('browsers', () => {
  const preflight = (origin: string) =>
    send('OPTIONS', '/v1/query', { origin, 'access-control-request-method': 'POST' });

  test('of a known origin may call and read the trace', async () => {
    const { status, headers } = await preflight('https://two.example');
    expect(status).toBe(204);
    expect(headers.get('access-control-allow-origin')).toBe('https://two.example');
    expect(headers.get('access-control-allow-headers')).toContain('authorization');
    const refused = await cluster.request('/v1/query', {
      method: 'POST',
      body: '{',
      headers: { origin: 'https://one.example' },
    });
    expect(refused.status).toBe(401);
    expect(refused.headers.get('access-control-allow-origin')).toBe('https://one.example');
    expect(refused.headers.get('access-control-expose-headers')).toContain('traceresponse');
  });

  test('of another origin may not', async () => {
    expect((await preflight('https://evil.example')).headers.has('access-control-allow-origin')).toBe(false);
  });

  test('may from anywhere with *', async () => {
    const open = await TestCluster.start({ partitions: 1, corsOrigins: '*' });
    const { headers } = await open.post('/v1/query', { sql: 'SELECT 1' });
    expect(headers.get('access-control-allow-origin')).toBe('*');
    await open.dispose();
  });

  test('without cross-origin rules, OPTIONS tells the methods', async () => {
    const closed = await TestCluster.start({ partitions: 1 });
    const reply = await closed.request('/v1/tokens', { method: 'OPTIONS' });
    expect(reply.status).toBe(204);
    expect(reply.headers.get('allow')).toBe('GET, HEAD, POST');
    expect(reply.headers.has('access-control-allow-origin')).toBe(false);
    await closed.dispose();
  });
});

describe('traces', () => {
  const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const traced = (body: object) =>
    cluster.post('/v1/query', body, {
      headers: { authorization: `Bearer ${TOKEN}`, traceparent: trace },
    });

  test("the caller's comes back, with answers and errors", async () => {
    expect((await traced({ sql: 'SELECT 1' })).headers.get('traceresponse')).toBe(trace);
    expect((await traced({ sql: 'SELEC' })).headers.get('traceresponse')).toBe(trace);
  });

  test('a request without one gets its own', async () => {
    const ids = new Set<string | null>();
    for (let i = 0; i < 5; i++) {
      ids.add((await cluster.query('SELECT 1')).headers.get('traceresponse'));
    }
    expect(ids.size).toBe(5);
  });

  test('a slow statement is logged under it, without its arguments', async () => {
    await cluster.rpc(1, 'fault', { fault: 'hang', on: 'execute' });
    await traced({ sql: 'SELECT count(*) FROM t WHERE v = ?', args: ['secret'], timeoutMs: 600 });
    await cluster.reset(1);
    const line = await expect
      .poll(() => cluster.log.find((each) => each.includes('slow-statement')))
      .toBeDefined()
      .then(() => cluster.log.find((each) => each.includes('slow-statement')));
    expect(JSON.parse(line ?? '')).toMatchObject({
      event: 'slow-statement',
      trace,
      sql: ['SELECT count(*) FROM t WHERE v = ?'],
    });
    expect(line).not.toContain('secret');
  });

  test('a defect is logged, hidden from the client, and over with the next request', async () => {
    const { schemaVersion } = (await cluster.get('/v1/network?wake=no')).json;
    // What no router sends.
    const request = { epoch: 1, schema: schemaVersion, system: 0, shape: 'query', read: true, statements: 5 };
    const reply = await cluster.rpc(1, 'execute', request);
    expect(reply).toMatchObject({ status: 500, json: { error: { code: 'internal', outcome: 'unknown' } } });
    expect(cluster.log.join()).toMatch(/partition 1: defect/);
    expect(reply.text).not.toContain('statements');
    expect((await cluster.query('SELECT count(*) FROM t')).status).toBe(200);
  });
});

describe('the network', () => {
  test('shows hosts, and what each partition owns, has and has applied', async () => {
    const { json } = await cluster.get('/v1/network');
    expect(json).toMatchObject({ database: 'main', schemaVersion: 1, history: expect.any(String) });
    expect(json.hosts).toEqual([{ host: 'edge', kind: 'edge', status: 'write' }]);
    expect(json.partitions).toHaveLength(4);
    expect(json.partitions[0]).toMatchObject({
      partition: 1,
      epoch: 1,
      status: 'write',
      host: 'edge',
      appliedSchema: 1,
      schemaVersion: 1,
      hold: null,
      ranges: [{ start: 0, end: 2 ** 30 }],
    });
    expect(json.partitions[0].sizeBytes).toBeGreaterThan(0);
    expect(Date.parse(json.partitions[0].committedAt)).toBeGreaterThan(Date.now() - 60_000);
  });

  test('with wake=no asks no partition, and a router that knows it asks nobody', async () => {
    const router = anotherRouter(cluster);
    await router.query('SELECT 1');
    router.sent.clear();
    const { json } = await router.get('/v1/network?wake=no');
    expect(json.partitions[3]).toMatchObject({ partition: 4, appliedSchema: 1 });
    expect(json.partitions[3]).not.toHaveProperty('sizeBytes');
    expect([...router.sent]).toEqual([]);
    expect((await router.get('/v1/network?wake=maybe')).status).toBe(400);
  });

  test('the schema has tables, columns and the ledger', async () => {
    const { json } = await cluster.get('/v1/schema');
    expect(json.tables).toMatchObject([
      {
        name: 't',
        placement: { kind: 'partitioned', key: ['k'] },
        columns: [
          { name: 'k', type: 'TEXT', affinity: 'TEXT', primaryKey: 1 },
          { name: 'v', primaryKey: 0 },
        ],
      },
    ]);
    expect(json.migrations).toMatchObject([
      { version: 1, state: 'published', statements: ['CREATE TABLE t (k TEXT PRIMARY KEY, v)'] },
    ]);
  });
});

describe('metrics', () => {
  test('count what the router did, and ask nobody', async () => {
    const router = anotherRouter(cluster);
    await router.query("SELECT v FROM t WHERE k = 'a'");
    await router.query('SELECT count(*) FROM t');
    await router.query('SELEC');
    await router.get('/v1/query');
    router.sent.clear();
    const lines = (await router.get('/metrics')).text.split('\n');
    expect([...router.sent]).toEqual([]);
    for (const line of [
      'atoll_requests_total{route="/v1/query",status="200"} 2',
      'atoll_requests_total{route="/v1/query",status="400"} 1',
      'atoll_requests_total{route="/v1/query",status="405"} 1',
      'atoll_plans_total{kind="route"} 1',
      'atoll_plans_total{kind="scatter"} 1',
      'atoll_scatter_partitions_bucket{le="2"} 0',
      'atoll_scatter_partitions_bucket{le="4"} 1',
      'atoll_scatter_partitions_sum 4',
      'atoll_request_duration_seconds_bucket{route="/v1/query",le="+Inf"} 4',
      'atoll_request_duration_seconds_count{route="/v1/query"} 4',
      '# TYPE atoll_request_duration_seconds histogram',
    ]) {
      expect(lines).toContain(line);
    }
  });

  test('count the rows of imports', async () => {
    const rows = '{"k":"x"}\n{"k":"y"}\n';
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/x-ndjson' };
    const reply = await cluster.request('/v1/import/t', { method: 'POST', body: rows, headers });
    expect(reply.json).toMatchObject({ rows: 2 });
    expect((await cluster.get('/metrics')).text).toContain('\natoll_import_rows_total 2\n');
  });

  test('take a token', async () => {
    expect((await send('GET', '/metrics', { authorization: '' })).status).toBe(401);
    expect((await send('GET', '/metrics')).headers.get('content-type')).toContain('version=0.0.4');
  });
});
