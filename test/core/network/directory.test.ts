import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PartitionId, Token } from '../../../src/base/brand.ts';
import { Directory } from '../../../src/core/network/directory.ts';
import { TOKEN_COUNT } from '../../../src/core/schema/token.ts';
import { covers, splitEvenly } from '../../../src/core/schema/token-map.ts';

const partitions = splitEvenly(7).map((range, i) => ({
  id: (i + 1) as PartitionId,
  host: 'edge',
  replicas: [`host-${i % 3}`, `host-${(i + 1) % 3}`],
  ranges: [range],
}));

describe('directory', () => {
  it('finds leader and replicas of a token', () => {
    const directory = new Directory(4, partitions);
    expect(directory.version).toBe(4);
    fc.assert(
      fc.property(fc.nat({ max: TOKEN_COUNT - 1 }), (token) => {
        const owners = partitions.filter(({ ranges }) => covers(ranges, token as Token));
        expect([directory.ownerOf(token as Token)]).toEqual(owners);
      }),
    );
  });

  it('is made of what hosts hold', () => {
    const hosts = ['host-0', 'host-1', 'host-2'].map((host, i) => ({
      host,
      replicas: [
        0,
        ...partitions.filter((_, at) => at % 3 === i || (at + 1) % 3 === i).map(({ id }) => id),
        99,
      ],
    }));
    const bare = partitions.map(({ replicas: _, ...partition }) => partition);
    const edge = { host: 'edge' };
    const directory = Directory.of({ version: 4, hosts: [edge, ...hosts], partitions: bare });
    for (const { id, ranges, replicas } of partitions) {
      const owner = directory.ownerOf(ranges[0]?.start as Token);
      expect(owner).toEqual({ id, ranges, host: 'edge', replicas: replicas.toSorted() });
    }
    const led = bare.map((partition) => ({ ...partition, host: 'host-1' }));
    const elsewhere = Directory.of({ version: 5, hosts, partitions: led });
    expect(elsewhere.partition(1 as PartitionId).replicas).toEqual(['host-0']);
  });

  it('lists what a host holds', () => {
    const directory = new Directory(4, partitions);
    expect(directory.partitionsOn('host-0')).toEqual([1, 3, 4, 6, 7]);
    expect(directory.partitionsOn('edge')).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(directory.partitionsOn('stranger')).toEqual([]);
    expect(() => directory.partition(8 as PartitionId)).toThrow(/not in the network/);
  });

  it('stops at a hole in the ring and at a host named twice', () => {
    expect(() => new Directory(4, partitions.slice(1))).toThrow(/no owner/);
    const [first, ...rest] = partitions;
    const twice = { ...(first as (typeof partitions)[0]), replicas: ['edge'] };
    expect(() => new Directory(4, [twice, ...rest])).toThrow(/twice/);
  });
});
