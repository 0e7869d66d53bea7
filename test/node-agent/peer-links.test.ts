import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { PartitionId } from '../../src/base/brand.ts';
import { type HttpServer, startHttpServer } from '../../src/node-agent/http-server.ts';
import { acceptLink } from '../../src/node-agent/links/accept.ts';
import { dialLink } from '../../src/node-agent/links/dial.ts';
import type { OpenLink } from '../../src/node-agent/links/open-link.ts';
import type { LogEvent } from '../../src/node-agent/log.ts';
import { PeerCalls } from '../../src/node-agent/peers/peer-calls.ts';
import { PeerLinks } from '../../src/node-agent/peers/peer-links.ts';
import { generateHostKey, type HostKey, importHostKey } from '../../src/rpc/host-key.ts';
import type { LinkHandlers } from '../../src/rpc/link.ts';
import { importSecret, type Secret } from '../../src/rpc/secret.ts';
import { temporaryDirectory } from '../cli/process.ts';
import { call, SECRET, TestEdge } from './edge.ts';
import { type AgentProcess, startAgent, until } from './process.ts';

const SYSTEM = 0 as PartitionId;
const NO_DATA = new Uint8Array(0);
const soon = () => Date.now() + 5_000;

let secret: Secret;
beforeAll(async () => {
  secret = await importSecret(SECRET);
});

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A host of the test's own: it has a key, may listen, and opens links. */
class TestHost {
  readonly key: HostKey;
  readonly links: PeerLinks;
  readonly addresses = new Map<string, string[]>();
  readonly log: { event: string; [field: string]: unknown }[] = [];
  readonly accepted: OpenLink[] = [];
  readonly heard: { type: string; from: string; head: unknown }[] = [];
  history: string | null = null;
  #server: HttpServer | null = null;

  canBeDialled = true;
  readonly idleMs: number;

  private constructor(key: HostKey, idleMs: number) {
    this.key = key;
    this.idleMs = idleMs;
    this.links = new PeerLinks({
      addresses: (host) => this.addresses.get(host) ?? [],
      dialler: () => this.dialler,
      handlers: () => this.handlers,
      canBeDialled: () => this.canBeDialled,
      log: this.#write,
      idleMs: this.idleMs,
    });
    ends.push(() => this.links.stop());
  }

  static async make(idleMs = 60_000): Promise<TestHost> {
    return new TestHost(await importHostKey(await generateHostKey()), idleMs);
  }

  get id(): string {
    return this.key.host;
  }

  get dialler() {
    return { key: this.key, secret, database: 'main', history: this.history, address: null, expects: null };
  }

  readonly #write: LogEvent = (level, event, fields) => void this.log.push({ level, event, ...fields });

  readonly handlers: LinkHandlers = {
    calls: {},
    anyCall: async (type, { head, data }, from) => {
      this.heard.push({ type, from: from.host, head });
      return { head: { heard: type, by: this.id }, data };
    },
    events: {},
  };

  async listen(): Promise<string> {
    const { key } = this;
    this.#server = await startHttpServer({
      host: '127.0.0.1',
      port: 0,
      tls: null,
      fetch: () => new Response(null, { status: 404 }),
      onLink: (socket) => {
        const acceptor = { key, secret, database: 'main', history: this.history };
        acceptLink(socket, acceptor, () => this.handlers, this.#write).then(
          ({ open }) => {
            this.accepted.push(open);
            this.links.accepted(open);
          },
          (error: Error) => this.#write('warn', 'not-accepted', { message: error.message }),
        );
      },
    });
    const server = this.#server;
    ends.push(() => server.close());
    return server.url;
  }

  /** Its link to the system partition. */
  async control(edge: TestEdge): Promise<OpenLink> {
    const { dialler, handlers } = this;
    const { open } = await dialLink({
      url: edge.url,
      partition: SYSTEM,
      dialler,
      handlers,
      pingEveryMs: 0,
      log: this.#write,
    });
    ends.push(() => open.close(1000, 'the test ends'));
    return open;
  }
}

describe('a link between agents', () => {
  test('is opened when it is needed, once for all who need it', async () => {
    const [one, other] = [await TestHost.make(), await TestHost.make()];
    one.addresses.set(other.id, [await other.listen()]);
    expect(one.links.open).toEqual([]);
    const calls = new PeerCalls({ links: one.links, control: () => null, log: () => undefined });
    const ask = (text: string) => calls.call(other.id, 'any', {}, Buffer.from(text), soon());
    const replies = await Promise.all([ask('a'), ask('b'), ask('c')]);
    expect(replies.map(({ data }) => Buffer.from(data).toString())).toEqual(['a', 'b', 'c']);
    expect(other.heard.every(({ from }) => from === one.id)).toBe(true);
    expect([one.links.open, other.accepted.length]).toEqual([[other.id], 1]);
  });

  test('serves who was dialled as well', async () => {
    const [one, other] = [await TestHost.make(), await TestHost.make()];
    one.addresses.set(other.id, [await other.listen()]);
    await one.links.to(other.id, soon());
    await until('the other side of it', () => (other.links.open.includes(one.id) ? true : null));
    const back = new PeerCalls({ links: other.links, control: () => null, log: () => undefined });
    expect((await back.call(one.id, 'any', {}, NO_DATA, soon())).head).toEqual({ heard: 'any', by: one.id });
  });

  test('is not opened to another host at the address of the one that is meant: that is noticed', async () => {
    const [one, meant, thief] = [await TestHost.make(), await TestHost.make(), await TestHost.make()];
    const url = await thief.listen();
    one.addresses.set(meant.id, [url]);
    expect(await one.links.to(meant.id, soon())).toBeNull();
    expect(one.log).toContainEqual({
      level: 'error',
      event: 'peer-is-another',
      host: meant.id,
      url,
      message: `host ${thief.id} answered where ${meant.id} was meant`,
    });
    expect([one.links.open, thief.accepted, thief.heard]).toEqual([[], [], []]);
  });

  test('goes to the next address when one is not the right one', async () => {
    const [one, meant, thief] = [await TestHost.make(), await TestHost.make(), await TestHost.make()];
    one.addresses.set(meant.id, ['http://127.0.0.1:1', await thief.listen(), await meant.listen()]);
    expect((await one.links.to(meant.id, soon()))?.peer.host).toBe(meant.id);
  });

  test('that has ended is opened again', async () => {
    const [one, other] = [await TestHost.make(), await TestHost.make()];
    one.addresses.set(other.id, [await other.listen()]);
    const first = await one.links.to(other.id, soon());
    other.accepted[0]?.close(1000, 'enough');
    await first?.closed;
    const second = await one.links.to(other.id, soon());
    expect([second?.link.isOpen, second === first]).toEqual([true, false]);
  });

  test('is closed by who has dialled it when nobody uses it, unless that one cannot be dialled', async () => {
    const [one, hidden, other] = [await TestHost.make(40), await TestHost.make(40), await TestHost.make(40)];
    hidden.canBeDialled = false;
    const url = await other.listen();
    for (const each of [hidden, one]) {
      each.addresses.set(other.id, [url]);
      await each.links.to(other.id, soon());
    }
    await until('no link of the one', () => (one.links.open.length === 0 ? true : null));
    await until('nor at the other', () => (other.links.open.includes(one.id) ? null : true));
    expect([hidden.links.open, other.links.open]).toEqual([[other.id], [hidden.id]]);
  });

  test('is not tried again at once where nobody is', async () => {
    const one = await TestHost.make();
    const absent = (await TestHost.make()).id;
    one.addresses.set(absent, ['http://127.0.0.1:1']);
    expect(await one.links.to(absent, soon())).toBeNull();
    expect(await one.links.to(absent, soon())).toBeNull();
    expect(one.log.filter(({ event }) => event === 'peer-not-reached').length).toBe(1);
    const calls = new PeerCalls({ links: one.links, control: () => null, log: () => undefined });
    await expect(calls.call(absent, 'any', {}, NO_DATA, soon())).rejects.toMatchObject({
      code: 'unavailable',
      outcome: 'none',
    });
  });
});

test('when nobody else has answered, and there is no relay, one that could not be dialled a moment ago is dialled again', async () => {
  const [one, other] = [await TestHost.make(), await TestHost.make()];
  one.addresses.set(other.id, ['http://127.0.0.1:1']);
  expect(await one.links.to(other.id, soon())).toBeNull();
  one.addresses.set(other.id, [await other.listen()]);
  expect(await one.links.to(other.id, soon())).toBeNull();
  const calls = new PeerCalls({ links: one.links, control: () => null, log: () => undefined });
  await expect(calls.call(other.id, 'any', {}, NO_DATA, soon())).rejects.toMatchObject({
    code: 'unavailable',
  });
  expect((await calls.call(other.id, 'any', {}, NO_DATA, soon(), true)).head).toMatchObject({ by: other.id });
});

describe('an agent without an address', () => {
  let edge: TestEdge;
  let directory: ReturnType<typeof temporaryDirectory>;
  let agent: AgentProcess;
  let url: string;
  let id: string;

  beforeAll(async () => {
    edge = await TestEdge.start(1);
    await edge.rows('CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT)');
    await edge.rows("INSERT INTO t VALUES ('x', 'y')");
    directory = temporaryDirectory();
    // By this name of the edge it cannot know that the cluster is on this machine, and so gives no address on it.
    const join0 = edge.url.replace('127.0.0.1', '0.0.0.0');
    agent = startAgent(edge, join(directory.path, 'a'), ['--join', join0]);
    url = await agent.ready();
    const { hosts } = await call(edge.url, '/v1/hosts');
    const own = hosts.find(({ kind }: { kind: string }) => kind === 'agent');
    expect(own.addresses).toEqual([]);
    id = own.host;
  });
  afterAll(async () => {
    agent.running.child.kill('SIGKILL');
    await agent.running.ended;
    await edge.close();
    directory.remove();
  });

  /** A host that both the edge and the agent have voted in. */
  async function member(): Promise<{ host: TestHost; calls: PeerCalls }> {
    const host = await TestHost.make();
    host.history = (await call(edge.url, '/v1/network')).history;
    const control = await host.control(edge);
    const { publicKey } = host.key;
    const offer = {
      host: host.id,
      name: null,
      publicKey,
      addresses: [],
      database: 'main',
      history: null,
      freeBytes: 1e12,
      totalBytes: 1e12,
      cpuRating: 100,
    };
    await until('being a member', async () => {
      const { head } = await control.link.call('join', { ...offer, time: Date.now() });
      return (head as { status: string }).status === 'inactive' ? true : null;
    });
    const calls = new PeerCalls({ links: host.links, control: () => control, log: () => undefined });
    await until('being known to the agent', () => calls.call(id, 'host-list', {}, NO_DATA, soon()));
    return { host, calls };
  }

  test('answers members by a relay, as over a link of theirs', async () => {
    const { host, calls } = await member();
    const { head } = await calls.call(id, 'host-list', {}, NO_DATA, soon());
    expect(head).toMatchObject({
      hosts: expect.arrayContaining([expect.objectContaining({ host: host.id })]),
    });
    const { schemaVersion } = await call(edge.url, '/v1/network');
    const read = async (demand: object) => {
      const statements = [{ sql: 'SELECT v FROM t' }];
      const body = { epoch: 1, schema: schemaVersion, system: 0, shape: 'query', read: true, statements };
      const data = Buffer.from(JSON.stringify(body));
      const reply = await calls.call(id, 'execute', { partition: 1, ...demand }, data, soon());
      return JSON.parse(Buffer.from(reply.data).toString()).rows;
    };
    expect(await read({ freshness: { consistency: 'eventual' } })).toEqual([['y']]);
    for (const demand of [
      {},
      { freshness: { consistency: 'session', atLeast: 1_000 } },
      { freshness: { consistency: 'bounded', maxStalenessMs: 0, atLeast: 1_000 } },
    ]) {
      await expect(read(demand)).rejects.toMatchObject({ code: 'unavailable', outcome: 'none' });
    }
  });

  test('takes gossip by a relay, and answers it the same way', async () => {
    const { host, calls } = await member();
    const version = (await call(edge.url, '/v1/network')).version + 1_000;
    calls.tell(id, 'gossip', { kind: 'digest', version, size: 10, checksum: 'a', decay: 1 });
    const asked = await until('its question for the document', () => {
      const own = host.heard.map(
        ({ head }) => head as { from: string; head: { kind: string; version: number } },
      );
      return (
        own.find(({ from, head }) => from === id && head.kind === 'request' && head.version === version) ??
        null
      );
    });
    expect(asked).toMatchObject({ type: 'gossip' });
  });

  test('answers nobody who is no member, by no way', async () => {
    const stranger = await TestHost.make();
    const control = await stranger.control(edge);
    const relay = new PeerCalls({ links: stranger.links, control: () => control, log: () => undefined });
    await expect(relay.call(id, 'host-list', {}, NO_DATA, soon())).rejects.toMatchObject({
      code: 'forbidden',
    });
    stranger.addresses.set(id, [url]);
    const direct = new PeerCalls({ links: stranger.links, control: () => null, log: () => undefined });
    const ask = (type: string, head: object) => direct.call(id, type, head, NO_DATA, soon());
    for (const [type, head] of [
      ['host-list', {}],
      ['network', { partition: 0 }],
      ['execute', { partition: 1, freshness: { consistency: 'eventual' } }],
      ['relayed', { from: id, type: 'host-list', head: {} }],
    ] as const) {
      await expect(ask(type, head)).rejects.toMatchObject({ code: 'forbidden' });
    }
    // A voter has to ask this of a newcomer, which knows nobody yet.
    expect((await ask('probe', { time: 0 })).head).toMatchObject({ status: expect.any(String) });
  });
});
