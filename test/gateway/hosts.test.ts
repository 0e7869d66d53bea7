import { beforeAll, beforeEach, expect, test } from 'vitest';
import type { Epoch, PartitionId, SchemaVersion } from '../../src/base/brand.ts';
import { type Catalogue, EMPTY_CATALOGUE } from '../../src/core/schema/catalogue.ts';
import { createGateway } from '../../src/gateway/app.ts';
import { generateSigningKey, importSigningKey } from '../../src/gateway/auth/signing-key.ts';
import { signToken } from '../../src/gateway/auth/token.ts';
import type { PartitionTransport } from '../../src/gateway/transport.ts';
import { AtollError, encodeError } from '../../src/protocol/error.ts';
import type { NetworkReply } from '../../src/protocol/network.ts';
import { SessionSeal } from '../../src/protocol/session-seal.ts';

const STATIC = 'static-token';
const VIEW = { version: 7, hosts: [{ host: 'edge', status: 'write' }] };

let keys: Awaited<ReturnType<typeof generateSigningKey>>;
/** Messages to the system partition about hosts, `type body`. */
let asked: string[] = [];
let answer: () => Response;

beforeAll(async () => {
  keys = await generateSigningKey();
});

beforeEach(() => {
  asked = [];
  answer = () => Response.json(VIEW);
});

function networkReply(): NetworkReply<Catalogue> {
  const partition = {
    id: 1 as PartitionId,
    epoch: 1 as Epoch,
    ranges: [{ start: 0, end: 2 ** 32 }],
    status: 'write',
    host: 'edge',
    appliedSchema: 0 as SchemaVersion,
  } as const;
  return {
    network: {
      database: 'main',
      version: 7,
      history: 'h',
      schemaVersion: 0 as SchemaVersion,
      systemIndex: 0,
      hosts: [],
      partitions: [partition],
      catalogue: EMPTY_CATALOGUE,
    },
    verifyingKey: keys.publicJwk,
    revokedTokens: [],
  };
}

const transport: PartitionTransport = {
  call: async (_database, partition, { type, body }) => {
    if (type === 'network') return Response.json(networkReply());
    asked.push(`${partition} ${type} ${body}`);
    return answer();
  },
};

async function send(method: string, path: string, token = STATIC) {
  const gateway = createGateway({
    transport,
    staticToken: STATIC,
    seal: new SessionSeal(null),
    corsOrigins: [],
  });
  const headers = { authorization: `Bearer ${token}` };
  const reply = await gateway.fetch(new Request(`http://router${path}`, { method, headers }));
  // biome-ignore lint/suspicious/noExplicitAny: answers of every shape.
  return { status: reply.status, json: (await reply.json()) as any };
}

async function tokenOf(role: 'read' | 'write' | 'admin', databases: string[] | null = null): Promise<string> {
  const grant = { role, databases, expiresAtMs: null };
  return (await signToken(await importSigningKey(keys.privateJwk), grant, Date.now())).token;
}

test('whoever may read sees the hosts, as the system partition tells them', async () => {
  expect(await send('GET', '/v1/hosts', await tokenOf('read'))).toEqual({ status: 200, json: VIEW });
  expect(asked).toEqual(['0 hosts {}']);
});

test.each(['accept', 'refuse', 'drain', 'remove'])(
  'an admin of the cluster may %s a host',
  async (action) => {
    expect(await send('POST', `/v1/hosts/a%201/${action}`)).toEqual({ status: 200, json: VIEW });
    expect(asked).toEqual([`0 host-${action} {"host":"a 1"}`]);
  },
);

test('nobody else may, and the system partition is not asked', async () => {
  for (const token of [await tokenOf('read'), await tokenOf('write'), await tokenOf('admin', ['main'])]) {
    const reply = await send('POST', '/v1/hosts/a/remove', token);
    expect(reply).toMatchObject({ status: 403, json: { error: { code: 'forbidden' } } });
  }
  expect(await send('GET', '/v1/hosts', 'wrong')).toMatchObject({ status: 401 });
  expect(asked).toEqual([]);
});

test('an action that there is not is refused with those that there are', async () => {
  const { status, json } = await send('POST', '/v1/hosts/a/eject');
  expect(status).toBe(404);
  expect(json.error.message).toContain('accept, refuse, drain, remove');
  expect(asked).toEqual([]);
});

test('what the system partition refuses is passed on', async () => {
  const refusal = encodeError(new AtollError('not-found', 'there is no host b'));
  answer = () => new Response(refusal.body, { status: refusal.status });
  const reply = await send('POST', '/v1/hosts/b/accept');
  expect(reply).toMatchObject({
    status: 404,
    json: { error: { message: 'there is no host b', outcome: 'none' } },
  });
});

test('a decision whose answer was lost says where to look, and that repeating is harmless', async () => {
  answer = () => {
    throw new Error('connection lost');
  };
  const { json } = await send('POST', '/v1/hosts/b/drain');
  expect(json.error).toMatchObject({ code: 'unknown-outcome', outcome: 'unknown' });
  expect(json.error.message).toMatch(/GET \/v1\/hosts.*harm/);
});

test('init keeps how many copies on agents a partition shall have, if it is told', async () => {
  answer = () => Response.json(networkReply());
  const gateway = createGateway({
    transport,
    staticToken: STATIC,
    seal: new SessionSeal(null),
    corsOrigins: [],
  });
  const headers = { authorization: `Bearer ${STATIC}` };
  const init = (body: object) =>
    gateway.fetch(
      new Request('http://router/v1/init', { method: 'POST', headers, body: JSON.stringify(body) }),
    );
  await init({ partitions: 1 });
  await init({ partitions: 1, replicas: 3 });
  const settings = asked.map((line) => JSON.parse(line.slice('0 found '.length)).settings.replicas);
  expect(settings).toEqual([undefined, '3']);
  expect((await init({ partitions: 1, replicas: -1 })).status).toBe(400);
});
