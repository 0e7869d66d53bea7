import { describe, expect, it } from 'vitest';
import { cpuRating, cpuWorkload, REFERENCE_MS } from '../../../src/core/network/cpu-rating.ts';

describe('cpu rating', () => {
  it('is proportional to speed, by the shortest measurement', () => {
    expect(cpuRating([REFERENCE_MS])).toBe(100);
    expect(cpuRating([REFERENCE_MS * 7, REFERENCE_MS / 2, REFERENCE_MS])).toBe(200);
    expect(cpuRating([1e9])).toBe(1);
    expect(cpuRating([0])).toBe(REFERENCE_MS * 1000);
    expect(() => cpuRating([])).toThrow();
  });

  it('measures the same work everywhere', () => {
    expect(cpuWorkload()).toBe(1_223_271_199);
  });
});
