import * as v from 'valibot';

/**
 * How hosts become members, stay so, and know each other: docs/protocol.md, "Hosts". Who sends a message is known by the
 * link, never taken from the message.
 */
export const hostMessage = {
  /** Call, agent → system partition: the proposal to take it in; repeated until it is decided. */
  join: 'join',
  /** Call, agent → system partition, every few seconds. */
  heartbeat: 'heartbeat',
  /** Event, system partition → agent: look at a newcomer, and vote. */
  voteRequest: 'vote-request',
  /** Call, agent → system partition. */
  vote: 'vote',
  /** Call, agent → system partition: hand a call on to another member. Its answer is that member's. */
  relay: 'relay',
  /** Call, system partition → agent: a {@link Relay} that is for it. */
  relayed: 'relayed',
  /** Call, any host → any other: is it there, and how far. */
  probe: 'probe',
  /** Call, any host → any other: the hosts that it knows. */
  hostList: 'host-list',
  /** Event, any host → any other: core/network/gossip-message.ts. */
  gossip: 'gossip',
} as const;

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const milliseconds = v.pipe(v.number(), v.finite(), v.minValue(0));
const rating = v.pipe(v.number(), v.finite(), v.gtValue(0));
const hostId = v.pipe(v.string(), v.regex(/^(?:edge|[0-9a-hjkmnp-tv-z]{16})$/));
const agentId = v.pipe(v.string(), v.regex(/^[0-9a-hjkmnp-tv-z]{16}$/));
const publicKey = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{43}$/));
const text = (lengthMax: number) => v.pipe(v.string(), v.maxLength(lengthMax));
/** Base URLs, best first. */
const addresses = v.pipe(
  v.array(v.pipe(text(300), v.regex(/^https?:\/\/[^\s/?#]+(\/[^\s?#]*)?$/))),
  v.maxLength(4),
);
/** As many as the network information lists. */
const HOSTS_MAX = 1024;
const REPLICAS_MAX = 16_384;

/** What an agent says of itself: core/network/joining.ts. */
export const Join = v.object({
  host: agentId,
  /** What its operator calls it. */
  name: v.nullish(text(100), null),
  publicKey,
  addresses,
  database: text(128),
  /** Of its data directory; null if that is empty. */
  history: v.nullish(text(64), null),
  /** Its clock, Unix ms. */
  time: count,
  freeBytes: count,
  totalBytes: count,
  cpuRating: rating,
});
export type Join = v.InferOutput<typeof Join>;

export const JoinReply = v.object({
  /** core/network/status.ts. */
  status: text(32),
  /** The number of its proposal; null if none was made. */
  proposal: v.nullable(count),
  /** Why it is not taken: a code of core/network/joining.ts, and the same for people. */
  refusal: v.nullish(
    v.object({ reason: text(64), message: text(1000), retryAfterMs: v.nullish(milliseconds, null) }),
    null,
  ),
});
export type JoinReply = v.InferOutput<typeof JoinReply>;

/** core/network/heartbeat.ts. */
export const Heartbeat = v.object({
  time: count,
  freeBytes: count,
  totalBytes: count,
  heldBytes: count,
  cpuRating: rating,
  addresses: v.exactOptional(addresses),
  latencies: v.pipe(v.record(hostId, milliseconds), v.maxEntries(HOSTS_MAX)),
  replicas: v.pipe(
    v.array(v.object({ partition: count, matched: count, leaderLast: count, lagMs: milliseconds })),
    v.maxLength(REPLICAS_MAX),
  ),
  differing: v.exactOptional(
    v.pipe(
      v.array(v.object({ partition: count, at: count, tables: v.pipe(v.array(text(200)), v.maxLength(16)) })),
      v.maxLength(64),
    ),
  ),
});
export type Heartbeat = v.InferOutput<typeof Heartbeat>;

export const HeartbeatReply = v.object({
  /** The system partition's clock, Unix ms. */
  time: count,
  /** Of this host: core/network/status.ts. */
  status: text(32),
  /** Of the network information. */
  version: count,
  /** Partitions that this host shall hold replicas of. */
  replicas: v.pipe(v.array(count), v.maxLength(REPLICAS_MAX)),
});
export type HeartbeatReply = v.InferOutput<typeof HeartbeatReply>;

export const VoteRequest = v.object({
  proposal: count,
  host: agentId,
  publicKey,
  addresses,
  freeBytes: count,
  /** The partition's bytes that it must have room for. */
  neededBytes: count,
  /** Unix ms by the system partition's clock: votes count until then. */
  deadline: count,
});
export type VoteRequest = v.InferOutput<typeof VoteRequest>;

/** The voter is the host of the link. */
export const Vote = v.object({
  proposal: count,
  accept: v.boolean(),
  /** What its check has shown. */
  reason: text(1000),
});
export type Vote = v.InferOutput<typeof Vote>;

export const VoteReply = v.object({
  /** core/network/votes.ts. */
  result: text(32),
});
export type VoteReply = v.InferOutput<typeof VoteReply>;

export const Probe = v.object({ time: count });
export type Probe = v.InferOutput<typeof Probe>;

export const ProbeReply = v.object({
  /** Its clock, Unix ms. */
  time: count,
  status: text(32),
  freeBytes: v.nullable(count),
});
export type ProbeReply = v.InferOutput<typeof ProbeReply>;

/** The data are those of the call that is handed on. */
export const Relay = v.object({ to: agentId, type: text(64), head: v.unknown() });
export type Relay = v.InferOutput<typeof Relay>;

/** `from`: the member that calls, as the system partition knows it. */
export const Relayed = v.object({ from: agentId, type: text(64), head: v.unknown() });
export type Relayed = v.InferOutput<typeof Relayed>;

export const HostList = v.object({
  /** Of the network information that it is from. */
  version: count,
  hosts: v.pipe(
    v.array(v.object({ host: hostId, publicKey: v.nullable(publicKey), addresses, status: text(32) })),
    v.maxLength(HOSTS_MAX),
  ),
});
export type HostList = v.InferOutput<typeof HostList>;

/** Message of any partition to the system partition: is this host, with this key, a member. */
export interface HostCheck {
  readonly host: string;
  readonly publicKey: string;
}

/** System partition → every other one, `host-removed`: the host is no member any more. */
export interface HostRemoved {
  readonly host: string;
}

export interface HostCheckReply {
  readonly member: boolean;
  /** core/network/status.ts; `unknown` for a host that never proposed itself. */
  readonly status: string;
}
