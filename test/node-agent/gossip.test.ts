import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Epoch, PartitionId, SchemaVersion } from '../../src/base/brand.ts';
import { documentOf } from '../../src/core/network/gossip-message.ts';
import { EMPTY_CATALOGUE } from '../../src/core/schema/catalogue.ts';
import { Gossiper } from '../../src/node-agent/gossip/gossiper.ts';
import { KeptNetwork } from '../../src/node-agent/gossip/kept-network.ts';
import { networkDocument, readNetworkDocument } from '../../src/node-agent/gossip/network-document.ts';
import { NewestNetwork, type Reply } from '../../src/node-agent/gossip/newest-network.ts';
import { temporaryDirectory } from '../cli/process.ts';

function reply(version: number, history = 'h', more: Partial<Reply['network']> = {}): Reply {
  return {
    network: {
      database: 'main',
      version,
      history,
      schemaVersion: 0 as SchemaVersion,
      systemIndex: 0,
      hosts: [
        { host: 'edge', kind: 'edge', status: 'write' },
        { host: 'a', kind: 'agent', status: 'read', addresses: ['http://a'], replicas: [0, 1] },
        { host: 'b', kind: 'agent', status: 'inactive', addresses: [] },
        { host: 'new', kind: 'agent', status: 'proposal', addresses: [] },
        { host: 'gone', kind: 'agent', status: 'removed', addresses: [] },
      ],
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
      ...more,
    },
    verifyingKey: 'key',
    revokedTokens: ['t2', 't1'],
  };
}

const silent = (): void => undefined;

describe('the newest network that a host knows', () => {
  test('is of the highest version, whoever has told it, and never an older one again', () => {
    const network = new NewestNetwork('h', silent);
    expect(network.take(reply(5), 'replica')).toBe(true);
    expect(network.take(reply(4), 'leader')).toBe(false);
    expect(network.take(reply(5), 'gossip')).toBe(false);
    expect(network.take(reply(7), 'gossip')).toBe(true);
    expect(network.take(reply(6), 'replica')).toBe(false);
    expect(network.reply?.network.version).toBe(7);
  });

  test('is of one history, the first that it has met', () => {
    const network = new NewestNetwork(null, silent);
    expect(network.take(reply(5, 'own'), 'replica')).toBe(true);
    expect(network.take(reply(9, 'other'), 'gossip')).toBe(false);
    expect([network.history, network.reply?.network.version]).toEqual(['own', 5]);
  });

  test('says who is a member', () => {
    const network = new NewestNetwork('h', silent);
    expect(network.member('a')).toBeNull();
    network.take(reply(1), 'replica');
    expect(['a', 'b', 'new', 'gone', 'x'].map((host) => network.member(host)?.host ?? null)).toEqual([
      'a',
      'b',
      null,
      null,
      null,
    ]);
    expect(network.agents.map(({ host }) => host)).toEqual(['a', 'b']);
  });
});

describe('its document', () => {
  test('says all of it, in one text for equal ones', () => {
    const document = networkDocument(reply(5));
    expect(readNetworkDocument(document)).toEqual({ ...reply(5), revokedTokens: ['t1', 't2'] });
    const backwards = (value: unknown): unknown =>
      typeof value !== 'object' || value === null || Array.isArray(value)
        ? value
        : Object.fromEntries(
            Object.entries(value)
              .reverse()
              .map(([name, each]) => [name, backwards(each)]),
          );
    expect(networkDocument(backwards(reply(5)) as Reply)).toEqual(document);
  });

  test.each<readonly [string, string]>([
    ['no JSON', '{'],
    ['something else', '{"network":{},"verifyingKey":null,"revokedTokens":[]}'],
    ['another version', networkDocument(reply(6)).body],
    [
      'ranges with a gap',
      networkDocument(
        reply(5, 'h', {
          partitions: reply(5).network.partitions.map((each) => ({
            ...each,
            ranges: [{ start: 1, end: 2 ** 32 }],
          })),
        }),
      ).body,
    ],
  ])('is of no use if it is %s', (_, body) => {
    expect(typeof readNetworkDocument(documentOf(5, body))).toBe('string');
  });
});

describe('agents that tell each other', () => {
  /** Hosts whose messages all arrive at once. */
  function cluster(...versions: (readonly [string, Reply | null])[]) {
    const hosts = new Map<string, { network: NewestNetwork; gossiper: Gossiper }>();
    for (const [host, known] of versions) {
      const network = new NewestNetwork('h', silent, (taken, source) => gossiper.changed(taken, source));
      const gossiper = new Gossiper({
        host,
        network,
        peers: () => [...hosts.keys()].filter((each) => each !== host),
        tell: (to, _, head) => hosts.get(to)?.gossiper.receive(host, JSON.parse(JSON.stringify(head))),
        log: silent,
      });
      hosts.set(host, { network, gossiper });
      if (known !== null) network.take(known, 'replica');
    }
    const tick = () => {
      for (const { gossiper } of hosts.values()) gossiper.tick();
    };
    const versionsNow = () => [...hosts.values()].map(({ network }) => network.reply?.network.version ?? 0);
    return { tick, versionsNow };
  }

  test('agree on the newest', () => {
    const { tick, versionsNow } = cluster(['a', reply(3)], ['b', reply(7)], ['c', null], ['d', reply(5)]);
    for (let i = 0; i < 40; i++) tick();
    expect(versionsNow()).toEqual([7, 7, 7, 7]);
  });

  test('take nothing of another history, and no text that no router can use', () => {
    const other = networkDocument(reply(9, 'other'));
    const network = new NewestNetwork('h', silent);
    const events: string[] = [];
    const log = (_: string, event: string) => void events.push(event);
    const gossiper = new Gossiper({ host: 'a', network, peers: () => [], tell: silent, log });
    const broken = networkDocument(reply(9, 'h', { partitions: [] }));
    for (const document of [other, broken]) gossiper.receive('b', { kind: 'document', document });
    expect([network.reply, events]).toEqual([null, ['gossip-defect', 'gossip-defect']]);
    gossiper.receive('b', { kind: 'document', document: networkDocument(reply(9)) });
    expect((network.reply as Reply | null)?.network.version).toBe(9);
  });

  test('pass over what is no message, and say so', () => {
    const events: string[] = [];
    const network = new NewestNetwork('h', silent);
    const log = (_: string, event: string) => void events.push(event);
    const gossiper = new Gossiper({ host: 'a', network, peers: () => [], tell: silent, log });
    for (const head of [null, {}, { kind: 'digest' }, { kind: 'document', document: { version: -1 } }])
      gossiper.receive('b', head);
    expect(events).toEqual(Array(4).fill('gossip-unreadable'));
  });
});

describe('what is kept on disk', () => {
  let directory: ReturnType<typeof temporaryDirectory>;
  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(() => directory.remove());

  test('is there again after a restart', () => {
    const kept = new KeptNetwork(directory.path);
    expect(kept.read(silent)).toBeNull();
    kept.keep(reply(5), silent);
    kept.keep(reply(6), silent);
    expect(new KeptNetwork(directory.path).read(silent)?.network.version).toBe(6);
  });

  test('is what the disk takes: a host goes on without', () => {
    const events: string[] = [];
    const kept = new KeptNetwork(join(directory.path, 'not there'));
    kept.keep(reply(5), (_, event) => void events.push(event));
    expect(events).toEqual(['network-not-kept']);
  });

  test.each(['', 'damaged', '5\n{"network":'])('is worth nothing when it is damaged: %j', (text) => {
    writeFileSync(join(directory.path, 'network.json'), text);
    const events: string[] = [];
    expect(new KeptNetwork(directory.path).read((_, event) => void events.push(event))).toBeNull();
    expect(events).toEqual(['kept-network-unreadable']);
  });
});
