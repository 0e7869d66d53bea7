import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ANTI_ENTROPY_TICKS,
  DECAY_START,
  Gossip,
  type GossipSend,
} from '../../../src/core/network/gossip.ts';
import {
  DOCUMENT_BYTES_MAX,
  documentDefect,
  documentOf,
  type GossipDocument,
  type GossipMessage,
  parseGossipMessage,
} from '../../../src/core/network/gossip-message.ts';
import { simulateGossip } from './gossip-simulation.ts';

const gossipOf = (
  host: string,
  document: GossipDocument | null = null,
  check = () => null as string | null,
) => new Gossip({ host, document, check });
const digestOf = ({ version, size, checksum }: GossipDocument, decay = 0): GossipMessage => ({
  kind: 'digest',
  version,
  size,
  checksum,
  decay,
});
const [first, second, third] = [documentOf(1, 'one'), documentOf(2, 'two'), documentOf(3, 'three')];
const never = () => 0.999;

describe('a document', () => {
  it('is judged by its size and checksum', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (body, other) => {
        const document = documentOf(1, body);
        expect(documentDefect(document)).toBe(null);
        expect(documentDefect({ ...document, body: other }) === null).toBe(body === other);
      }),
    );
  });

  it('reaches 1,000 hosts in O(log n) rounds, its body once each, and then nobody tells it any more', () => {
    for (const hosts of [10, 100, 1000]) {
      for (let seed = 0; seed < 10; seed++) {
        const figures = simulateGossip({ hosts, seed });
        expect(figures.rounds).toBeLessThanOrEqual(2 * Math.log2(hosts) + 4);
        expect(figures.roundsToSilence).toBeLessThanOrEqual(2 * Math.log2(hosts) + 8);
        expect(figures.bodies).toBe(hosts - 1);
        expect(figures.messages / hosts).toBeLessThan(20);
      }
    }
  });

  it('spreads the same way by the same seed', () => {
    const run = (seed: number) => simulateGossip({ hosts: 200, seed, loss: 0.1, away: 0.1 });
    expect(run(5)).toEqual(run(5));
    expect(run(5)).not.toEqual(run(6));
  });

  it('reaches all though messages are lost and hosts were away', () => {
    for (let seed = 0; seed < 10; seed++) {
      const { rounds } = simulateGossip({ hosts: 300, seed, loss: 0.2, away: 0.3 });
      expect(rounds).toBeLessThanOrEqual(100);
    }
  });
});

const networkEvent = fc.record({
  kind: fc.constantFrom(
    'tick',
    'tick',
    'deliver',
    'deliver',
    'deliver',
    'late',
    'drop',
    'publish',
    'restart',
  ),
  host: fc.nat({ max: 4 }),
  pick: fc.nat({ max: 1000 }),
  chance: fc.integer({ min: 0, max: 99 }).map((percent) => percent / 100),
});

describe('a host', () => {
  it('never goes back to an older version, whatever arrives late, twice or not at all', () => {
    fc.assert(
      fc.property(fc.array(networkEvent, { minLength: 50, maxLength: 200 }), (events) => {
        const names = ['a', 'b', 'c', 'd', 'e'];
        const nodes = names.map((host) => gossipOf(host));
        const published: GossipDocument[] = [];
        const flying: { from: string; send: GossipSend }[] = [];
        for (const { kind, host, pick, chance } of events) {
          const before = nodes.map(({ document }) => document?.version ?? 0);
          const node = nodes[host] as Gossip;
          // Mostly what was sent last; nothing leaves the air on arrival, so it may arrive again, at any time.
          const age = kind === 'late' ? pick % Math.max(1, flying.length) : pick % 3;
          const message = flying.at(-1 - age);
          if (kind === 'tick') {
            flying.push(...node.tick(names, () => chance).map((send) => ({ from: node.host, send })));
          } else if (kind === 'publish') {
            const next = documentOf(published.length + 1, `body ${pick}`);
            published.push(next);
            expect(node.changed(next)).toEqual({ kind: 'taken', document: next });
          } else if (kind === 'restart') {
            nodes[host] = gossipOf(node.host, node.document);
          } else if (message !== undefined && kind === 'drop') {
            flying.splice(flying.indexOf(message), 1);
          } else if (message !== undefined) {
            const to = nodes[names.indexOf(message.send.to)] as Gossip;
            const { send, event } = to.receive(message.from, message.send.message);
            flying.push(...send.map((each) => ({ from: to.host, send: each })));
            if (event !== null) expect(event).toEqual({ kind: 'taken', document: to.document });
          }
          nodes.forEach(({ document }, i) => {
            expect(document?.version ?? 0).toBeGreaterThanOrEqual(before[i] as number);
            if (document !== null) expect(document).toEqual(published[document.version - 1]);
          });
        }
      }),
      { numRuns: 500 },
    );
  });

  it('asks one of those who know more, and again only when nothing came', () => {
    const node = gossipOf('a', first);
    const asks = (from: string) => node.receive(from, digestOf(second, 3)).send.map(({ to }) => to);
    expect([asks('b'), asks('c')]).toEqual([['b'], []]);
    node.tick([], never);
    node.tick([], never);
    expect(asks('c')).toEqual(['c']);
    expect(node.receive('c', { kind: 'document', document: second }).event?.kind).toBe('taken');
    expect(node.receive('b', { kind: 'document', document: second }).event).toBe(null);
  });

  it('tells those who know less what it has', () => {
    const node = gossipOf('a', second);
    expect(node.receive('b', digestOf(first, 3)).send).toEqual([{ to: 'b', message: digestOf(second) }]);
    expect(node.receive('b', { kind: 'request', version: 2 }).send).toEqual([
      { to: 'b', message: { kind: 'document', document: second } },
    ]);
    expect(node.receive('b', { kind: 'request', version: 3 }).send).toEqual([]);
    expect(gossipOf('a').receive('b', { kind: 'request', version: 0 }).send).toEqual([]);
  });

  it('loses interest in news that others know, or that nobody answers', () => {
    const tellings = (answer: GossipMessage | null) => {
      const node = gossipOf('a');
      node.changed(second);
      let told = 0;
      for (let tick = 0; tick < 50; tick++) {
        const telling = node
          .tick(['b'], () => 0)
          .some(({ message }) => message.kind === 'digest' && message.decay > 0);
        if (telling) told++;
        if (telling && answer !== null) node.receive('b', answer);
      }
      expect(node.decay).toBe(0);
      expect(node.document).toBe(second);
      return told;
    };
    expect(tellings(null)).toBe(DECAY_START);
    expect(tellings({ kind: 'known', version: 2 })).toBe(DECAY_START);
    const node = gossipOf('a');
    node.changed(second);
    for (let tick = 0; tick < 50; tick++) {
      node.tick(['b'], () => 0);
      node.receive('b', { kind: 'request', version: 2 });
    }
    expect(node.decay).toBe(DECAY_START);
  });

  it('without news compares digests once in a few ticks, and never with itself', () => {
    const node = gossipOf('a', first);
    const sent = Array.from({ length: 40 }, (_, i) => node.tick(['a', 'b', 'c'], () => (i % 10) / 10)).flat();
    expect(sent).toHaveLength(40 / ANTI_ENTROPY_TICKS);
    expect(
      sent.every(({ to, message }) => to !== 'a' && message.kind === 'digest' && message.decay === 0),
    ).toBe(true);
    expect(Array.from({ length: 9 }, () => node.tick(['a'], () => 0)).flat()).toEqual([]);
  });

  it('reports another body under its own version, and does not take it', () => {
    const node = gossipOf('a', second);
    const foreign = documentOf(2, 'too');
    const conflict = { kind: 'conflict', version: 2, theirs: foreign.checksum, own: second.checksum };
    expect(node.receive('b', digestOf(foreign, 3))).toEqual({ send: [], event: conflict });
    expect(node.receive('b', { kind: 'document', document: foreign }).event).toEqual(conflict);
    expect(node.changed(foreign)).toEqual(conflict);
    expect(node.document).toBe(second);
    expect(node.receive('b', { kind: 'document', document: third }).event?.kind).toBe('taken');
  });

  it('takes no damaged document, and asks for no refused one again', () => {
    const node = gossipOf('a', first, () => 'of another history');
    const damaged = { ...second, body: 'twö' };
    expect(node.receive('b', { kind: 'document', document: damaged }).event).toMatchObject({
      kind: 'defect',
    });
    expect(node.receive('b', { kind: 'document', document: third }).event).toEqual({
      kind: 'defect',
      version: 3,
      reason: 'of another history',
    });
    expect(node.document).toBe(first);
    expect(node.receive('b', digestOf(third, 3)).send).toEqual([]);
    expect(node.receive('b', digestOf(documentOf(3, 'other'), 3)).send).toHaveLength(1);
  });

  it('neither asks for nor takes a document beyond the bound', () => {
    const node = gossipOf('a', first);
    const huge = { ...second, size: DOCUMENT_BYTES_MAX + 1 };
    expect(node.receive('b', digestOf(huge, 3)).send).toEqual([]);
    expect(node.receive('b', { kind: 'document', document: huge }).event).toMatchObject({ kind: 'defect' });
  });
});

describe('a message', () => {
  const messages: GossipMessage[] = [
    digestOf(second, 2),
    { kind: 'known', version: 4 },
    { kind: 'request', version: 0 },
    { kind: 'document', document: third },
  ];

  it('is read back as written, without fields of the future', () => {
    for (const message of messages) {
      expect(parseGossipMessage(JSON.parse(JSON.stringify({ ...message, later: 1 })))).toEqual(message);
    }
  });

  it('is refused if it is none', () => {
    fc.assert(
      fc.property(fc.constantFrom(...messages), fc.jsonValue(), fc.nat(), (message, junk, pick) => {
        const flat = message.kind === 'document' ? message.document : message;
        const key = Object.keys(flat)[pick % Object.keys(flat).length] as string;
        fc.pre(typeof junk !== typeof (flat as Record<string, unknown>)[key]);
        const spoiled = { ...flat, [key]: junk };
        const whole = message.kind === 'document' ? { kind: 'document', document: spoiled } : spoiled;
        expect(parseGossipMessage(whole)).toBe(null);
        if (typeof junk !== 'object') expect(parseGossipMessage(junk)).toBe(null);
      }),
    );
    expect(parseGossipMessage({ ...digestOf(second), version: -1 })).toBe(null);
    expect(parseGossipMessage({ ...digestOf(second), version: 1.5 })).toBe(null);
    expect(parseGossipMessage({ kind: 'document', document: { ...second, version: 0 } })).toBe(null);
    expect(parseGossipMessage({ kind: 'other', version: 1 })).toBe(null);
  });
});
