import { assert } from '../base/assert.ts';

/** Largest wait before the second attempt, ms (chosen: a restarted workerd is there after 150 ms). */
export const BACKOFF_FIRST_MS = 250;
/** Largest wait at all, ms (chosen: an agent is back half a minute after its peer at the latest). */
export const BACKOFF_MAX_MS = 30_000;

/**
 * How long to wait before dialling again: "full jitter" of "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015),
 * a random part of a bound that doubles, so that hosts that lost the same peer do not return together.
 *
 * @param failures attempts that failed since a link was last open, from 1
 * @param random in [0, 1)
 * @returns ms, from 0 to {@link BACKOFF_FIRST_MS} · 2^(failures − 1) or {@link BACKOFF_MAX_MS}, whichever is less
 */
export function backoffMs(failures: number, random: number): number {
  assert(Number.isInteger(failures) && failures >= 1, () => `${failures} failures`);
  assert(random >= 0 && random < 1, () => `${random} is not in [0, 1)`);
  const bound = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (failures - 1));
  return Math.floor(random * (bound + 1));
}
