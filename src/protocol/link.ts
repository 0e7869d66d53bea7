import * as v from 'valibot';
import { RPC_VERSION } from './rpc.ts';

/** Path of a link at any host; the number of the partition follows. */
export const LINK_PATH = '/v1/link/';

/** Host id of the edge: all objects of a database together. It has no key of its own, and proves itself by the secret. */
export const EDGE_HOST = 'edge';

/** Why a link was closed, by WebSocket close code (RFC 6455 section 7.4.2 leaves 4000 to 4999 to applications). */
export const linkClose = {
  /** A frame that is none, or has no business here. */
  garbage: 4400,
  /** The other host does not know the secret, or is not who it says. */
  notAuthentic: 4401,
  /** The handshake took too long. */
  slow: 4408,
  /** Another database, or another history of it. */
  otherHistory: 4409,
  /** The same host has opened a newer one. */
  superseded: 4410,
  /** The two hosts have no version in common. */
  version: 4426,
} as const;

/** Versions that a host of version `newest` speaks: its own and the one before, newest first. */
export function versionsOf(newest: number = RPC_VERSION): readonly number[] {
  return newest > 1 ? [newest, newest - 1] : [newest];
}

/** The newest version that both speak; null if there is none. */
export function commonVersion(ours: readonly number[], theirs: readonly number[]): number | null {
  const common = ours.filter((version) => theirs.includes(version));
  return common.length === 0 ? null : Math.max(...common);
}

/** That many bytes in base64url without padding (RFC 4648 section 5); the bits that the last character has too many are 0. */
function base64url(bytes: 32 | 64) {
  const [before, last] = bytes === 32 ? [42, 'AEIMQUYcgkosw048'] : [85, 'AQgw'];
  return v.pipe(v.string(), v.regex(new RegExp(`^[A-Za-z0-9_-]{${before}}[${last}]$`)));
}

/** Without control characters, which separate the fields of what is signed. */
function word(lengthMax: number) {
  return v.pipe(v.string(), v.regex(/^[\x21-\x7e]+$/), v.maxLength(lengthMax));
}

export const NONCE_BYTES = 32;
/** Of SHA-256 and HMAC-SHA-256. */
const DIGEST_BYTES = 32;
const PUBLIC_KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

const host = v.union([v.literal(EDGE_HOST), v.pipe(v.string(), v.regex(/^[0-9a-hjkmnp-tv-z]{16}$/))]);
const version = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1_000_000));
const milliseconds = v.pipe(v.number(), v.integer(), v.minValue(0));

/** Dialling host → other host: the first frame. Lengths are bounded so that all of it fits in a socket's attachment. */
export const Hello = v.object({
  /** Versions that it speaks. */
  versions: v.pipe(v.array(version), v.minLength(1), v.maxLength(8)),
  host,
  /** Raw Ed25519 public key. */
  publicKey: base64url(PUBLIC_KEY_BYTES),
  nonce: base64url(NONCE_BYTES),
  database: word(128),
  /** Of its data; null if it has none yet. */
  history: v.nullable(word(64)),
  /** Where others reach it (a base URL); null if nobody does. */
  address: v.nullable(word(512)),
});
export type Hello = v.InferOutput<typeof Hello>;

/** Answer to {@link Hello}. */
export const Challenge = v.object({
  /** The version of this link from here on. */
  version,
  host,
  nonce: base64url(NONCE_BYTES),
  /** HMAC-SHA-256 with the cluster secret. */
  proof: base64url(DIGEST_BYTES),
  /** Null for the edge, which has no key. */
  publicKey: v.nullish(base64url(PUBLIC_KEY_BYTES), null),
  signature: v.nullish(base64url(SIGNATURE_BYTES), null),
});
export type Challenge = v.InferOutput<typeof Challenge>;

/** Dialling host → other host: it has the secret, and the key of its id. */
export const Prove = v.object({ proof: base64url(DIGEST_BYTES), signature: base64url(SIGNATURE_BYTES) });
export type Prove = v.InferOutput<typeof Prove>;

/** Answer to {@link Prove}: the link is open. */
export const Welcome = v.object({
  /** The other host's clock, Unix milliseconds. */
  time: milliseconds,
  /** Of its data; null if it has none yet. */
  history: v.nullable(word(64)),
});
export type Welcome = v.InferOutput<typeof Welcome>;

/**
 * Head of a call that carries a message of docs/protocol.md, "Messages": its body is the call's data, as it is, because
 * JSON that is read and written again loses what tells `5.0` from `5`.
 */
export const CarriedCall = v.object({
  traceparent: v.optional(v.pipe(v.string(), v.maxLength(256))),
  /** Between agents, whose links are for all partitions; without it, the partition of the link's path. */
  partition: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
  /** Of a read that a replica may answer: what it must be to do so. */
  freshness: v.optional(
    v.object({
      consistency: v.picklist(['session', 'bounded', 'eventual']),
      maxStalenessMs: v.exactOptional(milliseconds),
      atLeast: v.exactOptional(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
      /** The longest timestamp has 81 characters. */
      atLeastTime: v.exactOptional(v.pipe(v.string(), v.maxLength(81))),
    }),
  ),
});
export type CarriedCall = v.InferOutput<typeof CarriedCall>;

/** Head of the reply to a {@link CarriedCall}; the answer's body is the reply's data. */
export const CarriedReply = v.object({
  status: v.pipe(v.number(), v.integer(), v.minValue(200), v.maxValue(599)),
});
export type CarriedReply = v.InferOutput<typeof CarriedReply>;

/** The head of a reply to a call that failed: an error as the public API has it. */
export const ErrorHead = v.object({
  error: v.object({
    code: v.string(),
    message: v.string(),
    outcome: v.optional(v.picklist(['none', 'unknown', 'partial'])),
    detail: v.optional(v.record(v.string(), v.unknown())),
  }),
});
