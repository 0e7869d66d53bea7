import { futureSession, hasApplied } from './last-commit.ts';
import type { Addressed } from './obstacle.ts';
import type { ExecuteOutcome } from './outcome.ts';
import { hasPrepared } from './prepared.ts';
import type { Replica } from './replica.ts';

/**
 * What a replica lacks of what a session has seen; null: nothing. A leader has passed every log time that was confirmed: by
 * its partition nothing was seen that it does not have.
 */
export function lacks(
  { follows, identity, last, port }: Pick<Replica, 'follows' | 'identity' | 'last' | 'port'>,
  request: Addressed,
): ExecuteOutcome | null {
  const { atLeast } = request;
  // What is prepared may be decided, and confirmed to the session, already.
  if (follows) return hasApplied(last, request) && !hasPrepared(port) ? null : { kind: 'behind' };
  if (atLeast === undefined || atLeast <= last.commit) return null;
  return { kind: 'error', error: futureSession(identity, last, atLeast) };
}
