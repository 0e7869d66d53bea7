import type { System } from '../core/replica/system.ts';
import type { NetworkReply } from '../protocol/network.ts';

/** What routers and hosts are told of the network, and of tokens. */
export function networkReply(system: System): NetworkReply {
  return {
    network: system.network(),
    verifyingKey: system.setting('verifying_key'),
    revokedTokens: system.tokens().flatMap(({ id, revokedAt }) => (revokedAt === null ? [] : [id])),
  };
}
