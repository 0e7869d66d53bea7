import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HOST_STATUSES } from '../../../src/core/network/status.ts';
import {
  type Candidate,
  closest,
  direction,
  directionOf,
  LatencyMatrix,
  latencyOf,
  observe,
  WINDOW_MAX,
} from '../../../src/core/network/topology.ts';

const ms = fc.double({ min: 0, max: 1e6, noNaN: true });
const point = fc.record({
  x: fc.double({ min: -1000, max: 1000, noNaN: true }),
  y: fc.double({ min: -1000, max: 1000, noNaN: true }),
});
const candidate = (host: string, changes: Partial<Candidate> = {}): Candidate => ({
  host,
  status: 'read',
  unreliability: 0,
  ...changes,
});

describe('latency', () => {
  it('is the least of the last heartbeats', () => {
    expect(latencyOf([])).toBe(null);
    fc.assert(
      fc.property(fc.array(ms, { minLength: 1, maxLength: 40 }), (samples) => {
        const window = samples.reduce<readonly number[]>(observe, []);
        expect(window).toEqual(samples.slice(-WINDOW_MAX));
        expect(latencyOf(window)).toBe(Math.min(...samples.slice(-WINDOW_MAX)));
      }),
    );
    expect(() => observe([], -1)).toThrow(/round trip/);
    expect(() => observe([], Number.NaN)).toThrow(/round trip/);
  });

  it('of two hosts that measured each other is the lesser, whoever asks', () => {
    const matrix = new LatencyMatrix();
    matrix.set('a', { b: 12, c: 80 });
    matrix.set('b', { a: 10 });
    expect([matrix.ms('a', 'b'), matrix.ms('b', 'a'), matrix.ms('c', 'a')]).toEqual([10, 10, 80]);
    expect([matrix.ms('b', 'c'), matrix.ms('x', 'x')]).toEqual([null, 0]);
    expect(matrix.distances('a', ['a', 'b', 'c', 'd'])).toEqual([0, 10, 80, null]);
    matrix.set('b', {});
    expect(matrix.ms('a', 'b')).toBe(12);
    matrix.delete('b');
    expect(matrix.distances('a', ['b', 'c'])).toEqual([null, 80]);
    expect(() => matrix.set('a', { b: -1 })).toThrow();
  });
});

describe('the triangle of latencies', () => {
  it('keeps every pair to a tenth of a millisecond', () => {
    const hosts = ['a', 'b', 'c', 'd'];
    fc.assert(
      fc.property(fc.array(fc.option(fc.nat()), { minLength: 6, maxLength: 6 }), (tenths) => {
        expect(LatencyMatrix.fromTriangle(hosts, tenths)?.triangle(hosts)).toEqual(tenths);
      }),
    );
    const matrix = new LatencyMatrix();
    matrix.set('a', { b: 1.26, d: 7 });
    matrix.set('d', { c: 3 });
    expect(matrix.triangle(hosts)).toEqual([13, null, 70, null, null, 30]);
    expect(LatencyMatrix.fromTriangle(hosts, matrix.triangle(hosts))?.ms('b', 'a')).toBe(1.3);
  });

  it('is refused when it is not one of these hosts', () => {
    expect(LatencyMatrix.fromTriangle(['a', 'b'], [])).toBe(null);
    expect(LatencyMatrix.fromTriangle(['a', 'b'], [-1])).toBe(null);
    expect(LatencyMatrix.fromTriangle(['a', 'b'], [0.5])).toBe(null);
  });
});

describe('direction', () => {
  it('is the angle at a, where latencies are distances on a plane', () => {
    fc.assert(
      fc.property(point, point, point, (a, b, c) => {
        const distance = (p: typeof a, q: typeof a) => Math.hypot(p.x - q.x, p.y - q.y);
        const [ab, ac] = [distance(a, b), distance(a, c)];
        fc.pre(ab > 1 && ac > 1);
        const dot = (b.x - a.x) * (c.x - a.x) + (b.y - a.y) * (c.y - a.y);
        const cross = (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
        expect(direction(ab, ac, distance(b, c))).toBeCloseTo(Math.abs(Math.atan2(cross, dot)), 4);
      }),
    );
  });

  it('is known for well-known triangles', () => {
    expect(direction(3, 4, 5)).toBeCloseTo(Math.PI / 2, 12);
    expect(direction(1, 1, 1)).toBeCloseTo(Math.PI / 3, 12);
    expect(direction(2, 2, 0)).toBe(0);
    expect(direction(2, 3, 5)).toBeCloseTo(Math.PI, 12);
  });

  it('stays an angle where latencies break the triangle inequality', () => {
    expect(direction(1, 1, 50)).toBe(Math.PI);
    expect(direction(10, 1, 1)).toBe(0);
    fc.assert(
      fc.property(ms, ms, ms, (ab, ac, bc) => {
        const angle = direction(ab, ac, bc);
        if (angle === null) return;
        expect(angle >= 0 && angle <= Math.PI).toBe(true);
      }),
    );
  });

  it('is unknown without a side, or from where b or c is', () => {
    expect(direction(1e-200, 1e-200, 1e-200)).toBe(null);
    expect([direction(0, 1, 1), direction(1, 0, 1)]).toEqual([null, null]);
    expect([direction(null, 1, 1), direction(1, null, 1), direction(1, 1, null)]).toEqual([null, null, null]);
    const matrix = new LatencyMatrix();
    matrix.set('a', { b: 3, c: 4 });
    expect(directionOf(matrix.ms, 'a', 'b', 'c')).toBe(null);
    matrix.set('c', { b: 5 });
    expect(directionOf(matrix.ms, 'a', 'b', 'c')).toBeCloseTo(Math.PI / 2, 12);
  });
});

describe('the closest host', () => {
  const matrix = new LatencyMatrix();
  matrix.set('me', { near: 5, far: 90 });
  const order = (candidates: Candidate[], from = 'me') =>
    closest(from, candidates, matrix.ms).map(({ host }) => host);

  it('is oneself, then by round trip, then those of whom it is unknown', () => {
    expect(order([candidate('unknown'), candidate('far'), candidate('near'), candidate('me')])).toEqual([
      'me',
      'near',
      'far',
      'unknown',
    ]);
  });

  it('may answer: no host that is catching up, proposed or gone; unavailable ones at the very end', () => {
    const statuses = HOST_STATUSES.filter((status) => status !== 'unavailable');
    const candidates = statuses.map((status) => candidate(status, { status }));
    const suspect = candidate('near', { status: 'unavailable' });
    expect(
      order([suspect, ...candidates])
        .slice(0, 2)
        .sort(),
    ).toEqual(['read', 'write']);
    expect(order([suspect, ...candidates]).slice(2)).toEqual(['near']);
  });

  it('counts as farther while it is unreliable', () => {
    expect(order([candidate('near', { unreliability: 1 }), candidate('far')])).toEqual(['near', 'far']);
    expect(order([candidate('near', { unreliability: 20 }), candidate('far')])).toEqual(['far', 'near']);
  });

  it('differs between askers to whom all are equal, and never for one asker', () => {
    const equals = Array.from({ length: 8 }, (_, i) => candidate(`host-${i}`));
    const firsts = Array.from({ length: 64 }, (_, i) => order(equals, `asker-${i}`)[0]);
    expect(new Set(firsts).size).toBe(8);
    expect(order(equals.toReversed())).toEqual(order(equals));
  });
});
