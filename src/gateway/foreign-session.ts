import type { ReadDemand } from './freshness.ts';
import type { KnownNetwork } from './known-network.ts';
import { PlanRefusal } from './planned.ts';

/**
 * A session is of this history of the database, and a host of this cluster has made its tokens.
 *
 * @throws PlanRefusal `history-gone`; AtollError `bad-request` for a token that was made or changed elsewhere
 */
export function refuseForeignSession(
  { information, seal }: KnownNetwork,
  { session }: Pick<ReadDemand, 'session'>,
): void {
  if (session === null) return;
  if (session.token.history !== information.history) {
    throw new PlanRefusal(
      'history-gone',
      'the session is of another database, or of another history of this one, which was recovered since: ' +
        'begin a new session, without a token',
    );
  }
  for (const token of session.sent) seal.check(token);
}
