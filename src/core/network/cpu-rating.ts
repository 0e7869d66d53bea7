import { assert } from '../../base/assert.ts';
import { murmur3 } from '../schema/token.ts';

/** Measured: the workload on the development machine (one core of a shared server, Node 24). It rates 100. */
export const REFERENCE_MS = 8;

const BYTES = 64 * 1024;
const ROUNDS = 128;

/**
 * A fixed piece of work that resembles Atoll's own: integer hashing, and JSON out and back. Its duration, taken by
 * the caller, goes into {@link cpuRating}; the result keeps it from being optimised away, and is always the same.
 */
export function cpuWorkload(): number {
  const bytes = Uint8Array.from({ length: BYTES }, (_, i) => (i * 167) & 255);
  let hash = 0;
  for (let round = 0; round < ROUNDS; round++) {
    hash = murmur3(bytes, BYTES, hash);
    const rows = Array.from({ length: 64 }, (_, i) => ({ id: hash ^ i, name: `row ${i}`, value: i / 3 }));
    for (const { id } of JSON.parse(JSON.stringify(rows)) as { id: number }[]) hash = (hash + id) >>> 0;
  }
  return hash;
}

/**
 * Whole number from 1, 100 for the reference machine, proportional to speed. Of several durations in ms the shortest
 * counts: what else ran at the time, and the compiler, only ever add.
 */
export function cpuRating(durationsMs: readonly number[]): number {
  const shortest = Math.min(...durationsMs);
  assert(durationsMs.length > 0 && shortest >= 0, 'a rating needs durations');
  // A clock of 1 ms may show 0.
  return Math.max(1, Math.round((100 * REFERENCE_MS) / Math.max(shortest, 0.1)));
}
