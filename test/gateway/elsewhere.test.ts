import { beforeEach, describe, expect, test } from 'vitest';
import type { Epoch, PartitionId, SchemaVersion } from '../../src/base/brand.ts';
import { type Catalogue, EMPTY_CATALOGUE } from '../../src/core/schema/catalogue.ts';
import { createGateway } from '../../src/gateway/app.ts';
import { AtollError } from '../../src/protocol/error.ts';
import type { HostInfo, NetworkReply } from '../../src/protocol/network.ts';
import { SessionSeal } from '../../src/protocol/session-seal.ts';

/** A router whose object of partition 1 cannot be reached, and agents that answer as the test says. */
const agent = (host: string, more: Partial<HostInfo> = {}): HostInfo => ({
  host,
  kind: 'agent',
  status: 'read',
  addresses: [`http://${host}.test/`],
  replicas: [0, 1],
  ...more,
});

type Sent = { readonly url: string; readonly init: RequestInit };

let sent: Sent[];
let hosts: HostInfo[];
let answers: Record<string, () => Response | Promise<Response>>;

beforeEach(() => {
  sent = [];
  hosts = [{ host: 'edge', kind: 'edge', status: 'write' }, agent('a')];
  answers = { a: () => Response.json({ rows: [['of a']] }), b: () => Response.json({ rows: [['of b']] }) };
});

function router(fails: () => Error = () => new Error('the object is not there')) {
  const network = (): NetworkReply<Catalogue> => ({
    network: {
      database: 'main',
      version: 1,
      history: 'h',
      schemaVersion: 0 as SchemaVersion,
      systemIndex: 0,
      hosts,
      partitions: [
        {
          id: 1 as PartitionId,
          epoch: 1 as Epoch,
          ranges: [{ start: 0, end: 2 ** 32 }],
          status: 'write',
          host: 'edge',
          appliedSchema: 0 as SchemaVersion,
        },
      ],
      catalogue: EMPTY_CATALOGUE,
    },
    verifyingKey: null,
    revokedTokens: [],
  });
  const gateway = createGateway({
    transport: {
      call: async (_, __, { type }) => {
        if (type === 'network') return Response.json(network());
        throw fails();
      },
    },
    staticToken: 'token',
    seal: new SessionSeal(null),
    corsOrigins: [],
    fetch: async (url, init) => {
      sent.push({ url, init });
      const answer = answers[new URL(url).hostname.split('.')[0] ?? ''];
      if (answer === undefined) throw new TypeError('no such host');
      return answer();
    },
  });
  return async (body: object, headers: Record<string, string> = {}) => {
    const response = await gateway.fetch(
      new Request('http://router/v1/query', {
        method: 'POST',
        headers: { authorization: 'Bearer token', 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      }),
    );
    // biome-ignore lint/suspicious/noExplicitAny: answers of every shape.
    return { status: response.status, json: (await response.json()) as any };
  };
}

const READ = { sql: 'SELECT 1' };

describe('a read whose object cannot be reached', () => {
  test.each([
    { consistency: 'session' },
    { consistency: 'bounded', maxStalenessMs: 60_000 },
    { consistency: 'eventual' },
  ])('is answered by an agent: %o', async (demand) => {
    const query = router();
    const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    expect(await query({ ...READ, ...demand }, { traceparent: trace })).toEqual({
      status: 200,
      json: { rows: [['of a']] },
    });
    const [{ url, init } = { url: '', init: {} }] = sent;
    expect(url).toBe('http://a.test/v1/query');
    expect(JSON.parse(String(init.body))).toEqual({ ...READ, ...demand });
    expect(init.headers).toMatchObject({
      authorization: 'Bearer token',
      traceparent: trace,
      'atoll-forwarded': '1',
    });
  });

  test.each([{ asOf: 1000 }, { sql: 'SELECT 1 AS OF 1000' }])(
    'of the past is, since the past is the same everywhere: %o',
    async (more) => {
      expect((await router()({ ...READ, ...more })).json).toEqual({ rows: [['of a']] });
      expect(JSON.parse(String(sent[0]?.init.body))).toEqual({ ...READ, ...more });
    },
  );

  test('is not, when it must be strong', async () => {
    const query = router();
    for (const demand of [{}, { consistency: 'strong' }]) {
      expect(await query({ ...READ, ...demand })).toMatchObject({
        status: 503,
        json: { error: { code: 'unavailable', outcome: 'none' } },
      });
    }
    expect(sent).toEqual([]);
  });

  test('goes no further when a router has sent it on already', async () => {
    const { status } = await router()({ ...READ, consistency: 'eventual' }, { 'atoll-forwarded': '1' });
    expect([status, sent]).toEqual([503, []]);
  });

  test.each([
    ['cannot be reached', () => Promise.reject(new TypeError('refused'))],
    ['is not well', () => new Response('', { status: 503 })],
    ['does not know the token', () => new Response('', { status: 401 })],
  ])('goes to the next agent when one %s, and that one is the last from then on', async (_, failing) => {
    hosts.push(agent('b', { replicas: [0] }));
    answers.a = failing;
    const query = router();
    const rows = async () => (await query({ ...READ, consistency: 'eventual' })).json.rows;
    expect(await rows()).toEqual([['of b']]);
    expect(sent.map(({ url }) => new URL(url).hostname)).toEqual(['a.test', 'b.test']);
    await rows();
    expect(sent.map(({ url }) => new URL(url).hostname).slice(2)).toEqual(['b.test']);
  });

  test('has the answer of an agent that judges it', async () => {
    answers.a = () => Response.json({ error: { code: 'sql' } }, { status: 400 });
    expect(await router()({ ...READ, consistency: 'eventual' })).toEqual({
      status: 400,
      json: { error: { code: 'sql' } },
    });
  });

  test('keeps its own error when no agent may be asked', async () => {
    hosts = [
      agent('a', { addresses: [] }),
      agent('b', { status: 'unavailable' }),
      agent('c', { status: 'proposal' }),
    ];
    const { status } = await router()({ ...READ, consistency: 'eventual' });
    expect([status, sent]).toEqual([503, []]);
  });
});

test('what writes never goes elsewhere, whatever it says of its reads', async () => {
  const query = router(() => new AtollError('unavailable', 'not now', 'none'));
  const reply = await query({ sql: 'CREATE TABLE t (a)', consistency: 'eventual' });
  expect([reply.status, sent]).toEqual([503, []]);
});

test('what an object has answered stands', async () => {
  const query = router(() => new AtollError('sql', 'no such column', 'none'));
  expect((await query({ ...READ, consistency: 'eventual' })).json.error.code).toBe('sql');
  expect(sent).toEqual([]);
});
