import {
  decodeSession,
  encodeSession,
  mergeSessions,
  newSession,
  type SessionToken,
} from '../protocol/session.ts';
import type { ReadDemand } from './freshness.ts';
import type { KnownNetwork } from './known-network.ts';

const NAME = '"session":"';

/** What a partition's answer has seen. The token is its last member: none of what comes before can be taken for it. */
export function sessionIn(answer: string): SessionToken {
  const start = answer.lastIndexOf(NAME) + NAME.length;
  return decodeSession(answer.slice(start, answer.indexOf('"', start)));
}

/** The token of an answer that the router has made: the request's, and what partitions have seen for it. */
export function sessionText(
  known: KnownNetwork,
  { session }: ReadDemand,
  seen: readonly SessionToken[],
): string {
  const former = session?.token ?? newSession(known.information.history);
  return known.seal.seal(encodeSession(mergeSessions(former, ...seen)));
}
