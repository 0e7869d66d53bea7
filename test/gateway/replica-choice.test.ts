import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CommitId, PartitionId, Timestamp } from '../../src/base/brand.ts';
import type { Freshness } from '../../src/gateway/freshness.ts';
import { askInOrder, candidatesFor, qualifies, type ReplicaMap } from '../../src/gateway/replica-choice.ts';

const id = (partition: number) => partition as PartitionId;

const network: ReplicaMap = {
  hosts: [
    { host: 'edge', kind: 'edge', status: 'write' },
    { host: 'a', kind: 'agent', status: 'read', replicas: [0, 1, 2] },
    { host: 'b', kind: 'agent', status: 'read', replicas: [0, 1] },
    { host: 'c', kind: 'agent', status: 'write', replicas: [0] },
    { host: 'away', kind: 'agent', status: 'inactive', replicas: [0, 1, 2] },
    { host: 'bad', kind: 'agent', status: 'unavailable', replicas: [0, 1] },
  ],
  partitions: [
    { id: id(1), host: 'edge' },
    { id: id(2), host: 'away' },
    { id: id(3), host: 'edge' },
  ],
};

const near = (entries: Record<string, number>) => new Map(Object.entries(entries));

describe('the hosts that a read goes to', () => {
  test('are those that hold a replica and answer, the closest first, the leader among them', () => {
    expect(candidatesFor(id(1), network, null, near({ a: 5, b: 1, edge: 3, c: 0, away: 0 }))).toEqual([
      'b',
      'edge',
      'a',
    ]);
  });

  test('begin with the host itself, if it has one', () => {
    expect(candidatesFor(id(1), network, 'a', near({ a: 9, b: 1, edge: 3 }))[0]).toBe('a');
    expect(candidatesFor(id(1), network, 'c', near({ a: 9, b: 1, edge: 3 }))[0]).toBe('b');
    expect(candidatesFor(id(1), network, 'away', near({ a: 9, b: 1, edge: 3 }))[0]).toBe('b');
  });

  test('end with the leader where nothing is known of distances', () => {
    expect(candidatesFor(id(1), network, null, new Map()).at(-1)).toBe('edge');
    expect(candidatesFor(id(1), network, null, near({ b: 7 }))).toEqual(['b', 'a', 'edge']);
    expect(candidatesFor(id(1), network, null, near({ a: 4, b: 4, edge: 4 })).at(-1)).toBe('edge');
  });

  test('have a leader whose host does not answer others as the last resort', () => {
    expect(candidatesFor(id(2), network, null, near({ a: 9, away: 1 }))).toEqual(['a', 'away']);
  });

  test('are the leader alone where no replicas are known, and none for a partition that is not there', () => {
    expect(candidatesFor(id(3), network, 'a', new Map())).toEqual(['edge']);
    expect(candidatesFor(id(9), network, 'a', new Map())).toEqual([]);
  });

  test('are for the system partition those that follow it, and the edge, which leads it', () => {
    const hosts = candidatesFor(id(0), network, 'c', near({ edge: 1, a: 2, b: 3 }));
    expect(hosts).toEqual(['c', 'edge', 'a', 'b']);
  });

  test('are spread over equal replicas, by partition and by asker', () => {
    const hosts = ['a', 'b', 'c', 'd'];
    const ids = Array.from({ length: 400 }, (_, at) => id(at + 1));
    const many: ReplicaMap = {
      hosts: [
        { host: 'edge', kind: 'edge', status: 'write' },
        ...hosts.map((host) => ({ host, kind: 'agent', status: 'read', replicas: ids })),
      ],
      partitions: ids.map((each) => ({ id: each, host: 'edge' })),
    };
    for (const spread of [
      many.partitions.map((partition) => candidatesFor(partition.id, many, null, new Map())[0]),
      many.partitions.map((_, at) => candidatesFor(id(1), many, `asker ${at}`, new Map())[0]),
    ]) {
      for (const host of hosts) {
        expect(spread.filter((each) => each === host).length).toBeGreaterThan(50);
      }
    }
  });

  test('are each named once, and never one that holds no replica', () => {
    const host = fc.constantFrom('a', 'b', 'c', 'd', 'edge');
    const status = fc.constantFrom('read', 'write', 'inactive', 'unavailable', 'removed');
    const replicas = fc.uniqueArray(fc.nat(2));
    const kind = fc.constant('agent');
    const hosts = fc.uniqueArray(fc.record({ host, kind, status, replicas }), {
      selector: (each) => each.host,
    });
    fc.assert(
      fc.property(
        hosts,
        host,
        fc.array(fc.tuple(host, fc.nat(3))),
        fc.option(host),
        (present, leader, ms, self) => {
          const information = { hosts: present, partitions: [{ id: id(1), host: leader }] };
          const found = candidatesFor(id(1), information, self, new Map(ms));
          const holders = present.filter(
            (each) => each.replicas.includes(1) && /read|write/.test(each.status),
          );
          const allowed = new Set([...holders.map((each) => each.host), leader]);
          expect(new Set(found)).toEqual(allowed);
          expect(found).toHaveLength(allowed.size);
        },
      ),
    );
  });
});

describe('a replica qualifies', () => {
  const last = { commit: 5 as CommitId, time: '0000000000050000-p1' as Timestamp };
  const follower = { last, leads: false, caughtUpAt: 1_000 };

  test.each<[string, Freshness | undefined, number, boolean]>([
    ['strong: not a follower', undefined, 1_000, false],
    ['eventual: as it is', { consistency: 'eventual' }, 1e9, true],
    ['session that has seen nothing', { consistency: 'session' }, 1e9, true],
    ['session at its commit', { consistency: 'session', atLeast: 5 as CommitId }, 1e9, true],
    ['session beyond it', { consistency: 'session', atLeast: 6 as CommitId }, 1e9, false],
    ['session at its time', { consistency: 'session', atLeastTime: last.time }, 1e9, true],
    [
      'session beyond its time',
      { consistency: 'session', atLeastTime: '0000000000050001-p1' as Timestamp },
      1e9,
      false,
    ],
    ['eventual within a session', { consistency: 'eventual', atLeast: 6 as CommitId }, 1e9, false],
    ['bounded, in time', { consistency: 'bounded', maxStalenessMs: 50 }, 1_050, true],
    ['bounded, too old', { consistency: 'bounded', maxStalenessMs: 50 }, 1_051, false],
    [
      'bounded, in time but behind the session',
      { consistency: 'bounded', maxStalenessMs: 50, atLeast: 6 as CommitId },
      1_000,
      false,
    ],
  ])('%s', (_, freshness, now, expected) => {
    expect(qualifies(freshness, follower, now)).toBe(expected);
    expect(qualifies(freshness, { ...follower, leads: true, caughtUpAt: null }, now)).toBe(true);
  });

  test('for no bound when nobody has told it that it is up to date', () => {
    const freshness = { consistency: 'bounded', maxStalenessMs: 1e9 } as const;
    expect(qualifies(freshness, { ...follower, caughtUpAt: null }, 0)).toBe(false);
  });
});

describe('asking in order', () => {
  const asking = (answers: Record<string, number | 'lost'>) => {
    const asked: string[] = [];
    const passed: string[] = [];
    const ask = async (host: string): Promise<Response> => {
      asked.push(host);
      const answer = answers[host] ?? 200;
      if (answer === 'lost') throw new Error(`${host} is lost`);
      return new Response(host, { status: answer });
    };
    const run = (hosts: string) => askInOrder([...hosts], ask, (host, why) => passed.push(`${host}: ${why}`));
    return { asked, passed, run };
  };

  test('ends with the first that answers, and tells why others did not', async () => {
    const { asked, passed, run } = asking({ a: 'lost', b: 503, c: 404, d: 200 });
    expect(await (await run('abcde')).text()).toBe('d');
    expect(asked.join('')).toBe('abcd');
    expect(passed).toEqual(['a: Error: a is lost', 'b: 503', 'c: 404']);
  });

  test.each([400, 409, 413, 421, 504])(
    'does not repeat elsewhere what was answered with %i',
    async (status) => {
      const { asked, run } = asking({ a: status });
      expect((await run('ab')).status).toBe(status);
      expect(asked).toEqual(['a']);
    },
  );

  test('has the outcome of the last one when none answers', async () => {
    expect((await asking({ a: 'lost', b: 503 }).run('ab')).status).toBe(503);
    await expect(asking({ a: 503, b: 'lost' }).run('ab')).rejects.toThrow('b is lost');
    await expect(asking({}).run('')).rejects.toMatchObject({ code: 'unavailable', outcome: 'none' });
  });
});
