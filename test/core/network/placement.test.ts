import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PartitionId } from '../../../src/base/brand.ts';
import {
  Placement,
  type PlacementHost,
  RESERVE_BYTES,
  weightOf,
} from '../../../src/core/network/placement.ts';
import { HOST_STATUSES } from '../../../src/core/network/status.ts';

const GIB = 2 ** 30;
const partitions = (count: number) => Array.from({ length: count }, (_, i) => (i + 1) as PartitionId);

function hostOf(host: string, changes: Partial<PlacementHost> = {}): PlacementHost {
  return {
    host,
    status: 'read',
    freeBytes: 64 * GIB,
    heldBytes: 0,
    unreliability: 0,
    distanceMs: 10,
    ...changes,
  };
}

const anyHosts = fc
  .uniqueArray(fc.string({ minLength: 1, maxLength: 16 }), { minLength: 2, maxLength: 12 })
  .chain((names) =>
    fc.tuple(
      ...names.map((name) =>
        fc
          .record({
            freeBytes: fc.integer({ min: 1, max: 2000 }).map((gib) => gib * GIB),
            unreliability: fc.double({ min: 0, max: 8, noNaN: true }),
            distanceMs: fc.option(fc.double({ min: 0, max: 500, noNaN: true })),
          })
          .map((changes) => hostOf(name, changes)),
      ),
    ),
  );
const wanted = fc.integer({ min: 1, max: 4 });

describe('placement', () => {
  it('is the same on every machine and in every version', () => {
    const placement = new Placement([
      hostOf('a'),
      hostOf('b', { freeBytes: 128 * GIB }),
      hostOf('c', { distanceMs: 200 }),
      hostOf('3m5k0w1x9t8r7q6p', { unreliability: 2 }),
    ]);
    const order = [1, 2, 3, 4, 5, 6, 4_294_967_295].map((id) =>
      placement
        .replicasOf(id as PartitionId, { replicas: 4 })
        .map((host) => host[0])
        .join(''),
    );
    expect(order).toEqual(['ba3c', 'b3ac', 'a3bc', '3bac', 'ba3c', '3abc', 'a3bc']);
  });

  it('moves replicas to a host that joins, and from a host that leaves, and no others', () => {
    fc.assert(
      fc.property(anyHosts, wanted, (hosts, replicas) => {
        const [newcomer, ...present] = hosts as [PlacementHost, ...PlacementHost[]];
        const [before, after] = [new Placement(present), new Placement(hosts)];
        for (const partition of partitions(50)) {
          const old = before.replicasOf(partition, { replicas });
          const now = after.replicasOf(partition, { replicas });
          if (!now.includes(newcomer.host)) expect(now).toEqual(old);
          else {
            const others = now.filter((host) => host !== newcomer.host);
            expect(others).toEqual(old.slice(0, others.length));
          }
        }
      }),
    );
  });

  it('moves replicas from or to a host whose weight changed, and no others', () => {
    fc.assert(
      fc.property(anyHosts, wanted, fc.integer({ min: 1, max: 2000 }), (hosts, replicas, gib) => {
        const [first, ...rest] = hosts as [PlacementHost, ...PlacementHost[]];
        const changed = { ...first, freeBytes: gib * GIB };
        const [before, after] = [new Placement(hosts), new Placement([...rest, changed])];
        for (const partition of partitions(50)) {
          const without = (names: string[]) => names.filter((host) => host !== first.host);
          const old = without(before.replicasOf(partition, { replicas }));
          const now = without(after.replicasOf(partition, { replicas }));
          const shorter = Math.min(old.length, now.length);
          expect(Math.abs(old.length - now.length)).toBeLessThanOrEqual(1);
          expect(now.slice(0, shorter)).toEqual(old.slice(0, shorter));
        }
      }),
    );
  });

  it('gives each host its share of the weights', () => {
    const sizes = [1, 2, 4, 8, 16];
    const count = 31_000;
    const placement = new Placement(sizes.map((gib) => hostOf(`host-${gib}`, { freeBytes: gib * GIB })));
    const held = new Map<string, number>();
    for (const partition of partitions(count)) {
      const [host = ''] = placement.replicasOf(partition, { replicas: 1 });
      held.set(host, (held.get(host) ?? 0) + 1);
    }
    const chiSquare = sizes.reduce((sum, gib) => {
      const expected = (count * gib) / 31;
      return sum + ((held.get(`host-${gib}`) ?? 0) - expected) ** 2 / expected;
    }, 0);
    // The 0.999 quantile of χ² with 4 degrees of freedom.
    expect(chiSquare).toBeLessThan(18.47);
  });

  it('moves a share of 1 in n when the n-th equal host joins', () => {
    const hosts = Array.from({ length: 20 }, (_, i) => hostOf(`host-${i}`));
    const [before, after] = [new Placement(hosts.slice(1)), new Placement(hosts)];
    const first = (placement: Placement, id: PartitionId) => placement.replicasOf(id, { replicas: 1 })[0];
    const moved = partitions(20_000).filter((id) => first(before, id) !== first(after, id)).length;
    // Binomial(20,000, 1/20): 1,000 ± 4 standard deviations.
    expect(Math.abs(moved - 1000)).toBeLessThan(4 * 31);
  });

  it('asks for the first of one order, however many are wanted', () => {
    fc.assert(
      fc.property(anyHosts, fc.nat(), (hosts, id) => {
        const placement = new Placement(hosts);
        const place = (replicas: number) => placement.replicasOf(id as PartitionId, { replicas });
        const order = place(hosts.length);
        expect(order.toSorted()).toEqual(hosts.map(({ host }) => host).sort());
        for (let replicas = 0; replicas <= hosts.length + 1; replicas++) {
          expect(place(replicas)).toEqual(order.slice(0, replicas));
        }
        const reversed = new Placement(hosts.toReversed());
        expect(reversed.replicasOf(id as PartitionId, { replicas: hosts.length })).toEqual(order);
      }),
    );
  });

  it('passes from a full host to the next, but leaves it what it holds', () => {
    fc.assert(
      fc.property(anyHosts, wanted, fc.boolean(), (hosts, replicas, holds) => {
        const all = new Placement(hosts).replicasOf(7 as PartitionId, { replicas });
        const [full = ''] = all;
        const space = hosts.find(({ host }) => host === full)?.freeBytes ?? 0;
        const tight = hosts.map((each) =>
          each.host === full ? { ...each, freeBytes: RESERVE_BYTES, heldBytes: space - RESERVE_BYTES } : each,
        );
        const placed = new Placement(tight).replicasOf(7 as PartitionId, {
          replicas,
          neededBytes: 1,
          current: holds ? [full] : [],
        });
        if (holds) expect(placed).toEqual(all);
        else {
          expect(placed).not.toContain(full);
          expect(placed.slice(0, all.length - 1)).toEqual(all.slice(1));
          expect(placed).toHaveLength(Math.min(replicas, hosts.length - 1));
        }
      }),
    );
  });

  it('gives nothing to hosts that are not accepted, nothing new to those that are unavailable', () => {
    const placement = new Placement(HOST_STATUSES.map((status) => hostOf(status, { status })));
    const place = (current: readonly string[]) =>
      placement.replicasOf(1 as PartitionId, { replicas: 9, current }).sort();
    expect(place([])).toEqual(['inactive', 'read', 'write']);
    expect(place(HOST_STATUSES)).toEqual(['inactive', 'read', 'unavailable', 'write']);
  });

  it('weighs space, reliability and closeness, and does not mind small changes', () => {
    const weight = (changes: Partial<PlacementHost>) => weightOf(hostOf('a', changes));
    const standard = weight({ distanceMs: 0 });
    expect(weight({ distanceMs: 0, freeBytes: 128 * GIB })).toBe(2 * standard);
    expect(weight({ distanceMs: 0, unreliability: 4 })).toBe(standard / 2);
    expect(weight({ distanceMs: 100 })).toBe(standard / 2);
    expect(weight({ distanceMs: null })).toBe(standard / 2);
    expect(weight({ distanceMs: 0, freeBytes: 4 * GIB, heldBytes: 60 * GIB })).toBe(standard);
    expect(weight({ distanceMs: 5, freeBytes: 60 * GIB, unreliability: 0.2 })).toBe(standard);
    expect(weight({ freeBytes: 0 })).toBe(0);
  });

  it('refuses a list that names a host twice', () => {
    expect(() => new Placement([hostOf('a'), hostOf('a')])).toThrow(/twice/);
  });
});
