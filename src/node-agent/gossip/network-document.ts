import * as v from 'valibot';
import { compactNetwork, expandNetwork } from '../../core/network/compact.ts';
import { documentOf, type GossipDocument } from '../../core/network/gossip-message.ts';
import { KnownNetwork } from '../../gateway/known-network.ts';
import { SessionSeal } from '../../protocol/session-seal.ts';
import type { Reply } from './newest-network.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** What is read of a network information that another agent passes on; fields of later versions stay in it. */
const Information = v.looseObject({
  database: v.string(),
  version: count,
  history: v.string(),
  schemaVersion: count,
  systemIndex: count,
  hosts: v.array(
    v.looseObject({
      host: v.string(),
      kind: v.string(),
      status: v.string(),
      publicKey: v.optional(v.string()),
      addresses: v.optional(v.array(v.string())),
      replicas: v.optional(v.array(count)),
    }),
  ),
  partitions: v.array(
    v.looseObject({
      id: count,
      epoch: count,
      ranges: v.array(v.looseObject({ start: count, end: count })),
      status: v.string(),
      host: v.string(),
    }),
  ),
  catalogue: v.looseObject({ version: count }),
});

const Body = v.looseObject({
  network: v.unknown(),
  verifyingKey: v.nullable(v.string()),
  revokedTokens: v.array(v.string()),
});

/** For what answers nobody. */
const NO_SEAL = new SessionSeal(null);

/** As agents tell it each other. The same network gives the same text, whoever has it from where. */
export function networkDocument({ network, verifyingKey, revokedTokens }: Reply): GossipDocument {
  const compact = compactNetwork(network);
  const body = { network: compact, verifyingKey, revokedTokens: [...revokedTokens].sort() };
  return documentOf(network.version, JSON.stringify(body, inOrder));
}

/** What a document says, or why it is of no use. */
export function readNetworkDocument({ body, version }: GossipDocument): Reply | string {
  try {
    const { network, verifyingKey, revokedTokens } = v.parse(Body, JSON.parse(body));
    const information = v.parse(Information, expandNetwork(network)) as unknown as Reply['network'];
    if (information.version !== version) return `version ${information.version} under number ${version}`;
    // A router must be able to use it: its schema, and ranges that tile the ring.
    new KnownNetwork(information, NO_SEAL);
    return { network: information, verifyingKey, revokedTokens };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Members by name: what has gone through a database comes back with them in another order. */
function inOrder(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
