import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Epoch, PartitionId, SchemaVersion } from '../../../src/base/brand.ts';
import { type Json, pack, unpack, VALUES_MAX } from '../../../src/core/network/columnar.ts';
import { compactNetwork, expandNetwork } from '../../../src/core/network/compact.ts';
import { splitEvenly } from '../../../src/core/schema/token-map.ts';
import type { NetworkInformation } from '../../../src/protocol/network.ts';

const travelled = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

/** Lists of one shape, as the network information has them, and lists of none. */
const shaped = fc.letrec<{ list: Json[]; one: Json }>((tie) => ({
  one: fc.oneof(
    { depthSize: 'small' },
    fc.integer({ min: -3, max: 3 }),
    fc.maxSafeInteger(),
    fc.constantFrom('read', 'write', '', null, true, 0.5),
    tie('list'),
  ),
  list: fc.oneof(
    { depthSize: 'small' },
    fc.array(fc.integer({ min: 0, max: 2 })),
    fc.array(fc.maxSafeInteger()),
    fc.array(fc.constantFrom('read', 'write', 'proposal')),
    fc.array(fc.record({ id: fc.nat(), host: tie('one'), ranges: tie('list') })),
    fc.array(fc.record({ id: fc.nat(), late: tie('one') }, { requiredKeys: ['id'] })),
    fc.array(tie('list')),
    fc.array(fc.jsonValue() as fc.Arbitrary<Json>),
  ),
})).list;

describe('a packed list', () => {
  it('unfolds to what was packed, be it alike or not', () => {
    fc.assert(
      fc.property(shaped, (values) => {
        const list = travelled(values) as Json[];
        expect(unpack(travelled(pack(list)), list.length)).toEqual(list);
      }),
      { numRuns: 2000 },
    );
  });

  it('unfolds lists of several shapes in each other, as deep as they are', () => {
    const rows = (depth: number): Json[] =>
      depth === 0 ? [1] : [{ deeper: rows(depth - 1) }, { deeper: rows(depth - 1), late: depth }];
    for (let depth = 0; depth < 12; depth++) {
      expect(unpack(travelled(pack(rows(depth))), rows(depth).length)).toEqual(rows(depth));
    }
  });

  it('keeps keys that objects inherit', () => {
    const rows = JSON.parse('[{"__proto__": 1, "b": 2}, {"__proto__": 3, "b": 4}]') as Json[];
    expect(JSON.stringify(unpack(travelled(pack(rows)), 2))).toBe(JSON.stringify(rows));
  });

  it('is refused, not unfolded, when it is malformed or too large', () => {
    const bad: [unknown, number][] = [
      [null, 1],
      [['?', []], 1],
      [['v', [1]], 2],
      [['=', [1]], 1],
      [['r', [1, 1e9]], 3],
      [['r', [1, -1, 1, 4]], 3],
      [['r', [1, 1]], 3],
      [['k', ['a'], ['i', [1]]], 1],
      [['a', ['i', [-1, 2]], ['=', 1]], 2],
      [['a', ['=', 1e9], ['=', 1]], 2],
      [['a', ['=', 2 ** 52], ['=', 1]], 9],
      [['o', [['id']]], 1],
      [['o', [[1, ['=', 1]]]], 1],
      [
        [
          'g',
          ['i', [0, 2]],
          [
            ['o', []],
            ['o', []],
          ],
        ],
        2,
      ],
      [['g', ['i', [0]], ['o']], 1],
      [['=', 1], VALUES_MAX + 1],
      [['=', 1], Number.NaN],
    ];
    for (const [packed, count] of bad) expect(() => unpack(packed, count)).toThrow(/malformed/);
    let deep: unknown = ['=', 1];
    for (let i = 0; i < 50; i++) deep = ['a', ['=', 1], deep];
    expect(() => unpack(deep, 1)).toThrow(/malformed/);
  });

  it('never breaks anything when it is spoiled: it is refused or another list', () => {
    fc.assert(
      fc.property(shaped, fc.jsonValue(), fc.nat(), (values, junk, pick) => {
        const parts: { at: unknown[]; index: number }[] = [];
        const walk = (value: unknown) => {
          if (!Array.isArray(value)) return;
          value.forEach((each, index) => {
            parts.push({ at: value, index });
            walk(each);
          });
        };
        const packed = travelled(pack(values));
        walk(packed);
        const spoil = parts[pick % parts.length] as { at: unknown[]; index: number };
        spoil.at[spoil.index] = junk;
        let read: Json[] | null = null;
        try {
          read = unpack(packed, values.length);
        } catch (error) {
          expect(error).toMatchObject({ code: 'bad-request' });
        }
        if (read !== null) expect(read).toHaveLength(values.length);
      }),
      { numRuns: 1000 },
    );
  });
});

const network: NetworkInformation = {
  database: 'main',
  version: 17,
  history: 'h1',
  schemaVersion: 3 as SchemaVersion,
  systemIndex: 40,
  hosts: [
    { host: 'edge', kind: 'edge', status: 'write' },
    { host: '3m5k0w1x9t8r7q6p', kind: 'agent', status: 'read' },
  ],
  partitions: [1, 2, 3].map((id) => ({
    id: id as PartitionId,
    epoch: 1 as Epoch,
    ranges: [{ start: id * 100, end: id * 100 + 100 }],
    status: 'write' as const,
    host: 'edge',
    appliedSchema: 3 as SchemaVersion,
  })),
  catalogue: { version: 3, tables: [{ name: 'posts' }] },
};

describe('compact network information', () => {
  it('is all of it, fields of the future included', () => {
    expect(expandNetwork(travelled(compactNetwork(network)))).toEqual(network);
    const [first, ...rest] = network.partitions;
    const newer = { ...network, later: { a: [1] }, partitions: [{ ...first, later: 1 }, ...rest] };
    expect(expandNetwork(travelled(compactNetwork(newer as unknown as NetworkInformation)))).toEqual(newer);
    const empty = { ...network, hosts: [], partitions: [] };
    expect(expandNetwork(travelled(compactNetwork(empty)))).toEqual(empty);
  });

  it('of 10,000 partitions with 3 replicas each on 200 hosts is well under 1 MB', () => {
    const names = Array.from({ length: 200 }, (_, i) => `${(i * 7919) % 1000}`.padStart(16, 'k'));
    const partitions = splitEvenly(10_000).map((range, i) => ({
      id: (i + 1) as PartitionId,
      epoch: ((i % 5) + 1) as Epoch,
      ranges: [range],
      status: 'write' as const,
      host: 'edge',
      appliedSchema: 3 as SchemaVersion,
      replicas: [0, 1, 2].map((nth) => names[(i * 37 + nth * 61 + (i >> nth)) % 200]),
    }));
    const large = { ...network, partitions };
    const text = JSON.stringify(compactNetwork(large));
    expect(text.length).toBeLessThan(500_000);
    expect(JSON.stringify(large).length).toBeGreaterThan(1_500_000);
    expect(expandNetwork(JSON.parse(text))).toEqual(large);
  });

  it('is refused in another format, and when it is none', () => {
    expect(() => expandNetwork({ ...compactNetwork(network), format: 2 })).toThrow(/format 2.*reads 1/);
    for (const junk of [
      null,
      'x',
      [],
      {},
      { format: 1 },
      { ...compactNetwork(network), hosts: { count: -1 } },
    ]) {
      expect(() => expandNetwork(junk)).toThrow(/compact|format/);
    }
  });
});
