import { CLOCK_SKEW_MAX_MS } from '../core/network/joining.ts';

/** How far this host's clock is from another's. */
export interface ClockSkew {
  /** The other clock minus ours, ms. */
  readonly offsetMs: number;
  /** The true offset is at most this far from `offsetMs`, ms. */
  readonly uncertaintyMs: number;
  /** Beyond doubt further than the limit: this host must not serve. */
  readonly isTooFar: boolean;
}

/**
 * Cristian's algorithm (Distributed Computing 3, 1989): the other host read its clock at some moment of the exchange, so
 * the offset is known up to half of its length. Only what is certain is held against the clock: a slow link is no skew.
 *
 * @param time the other clock, as it answered; all in Unix milliseconds
 * @param sentAt our clock when the question left (`prove`)
 * @param receivedAt our clock when the answer was here (`welcome`)
 */
export function clockSkew(
  {
    time,
    sentAt,
    receivedAt,
  }: { readonly time: number; readonly sentAt: number; readonly receivedAt: number },
  limitMs: number = CLOCK_SKEW_MAX_MS,
): ClockSkew {
  const uncertaintyMs = Math.max(0, receivedAt - sentAt) / 2;
  const offsetMs = time - (sentAt + receivedAt) / 2;
  return { offsetMs, uncertaintyMs, isTooFar: Math.abs(offsetMs) - uncertaintyMs > limitMs };
}
