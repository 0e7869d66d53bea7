import { isCount, isRecord } from './shape.ts';
import { EDGE } from './votes.ts';

/** What an agent says of itself when it wants to be a member. Its key is proven before, by the link's handshake. */
export interface HostOffer {
  /** The hash of its public key: core takes the caller's word that it is. */
  readonly host: string;
  /** What its operator calls it. */
  readonly name: string | null;
  /** Ed25519, raw, base64url. */
  readonly publicKey: string;
  /** Base URLs where others reach it, best first; none behind a NAT. */
  readonly addresses: readonly string[];
  readonly database: string;
  /** Of the data directory; null: the directory is empty. */
  readonly history: string | null;
  /** Its clock, unix ms. */
  readonly time: number;
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** Measured; see cpu-rating.ts. */
  readonly cpuRating: number;
}

/** What the system partition knows when it looks at an offer. */
export interface JoiningContext {
  readonly database: string;
  readonly history: string;
  readonly now: number;
  /** Of the same host id, null where none ever proposed itself. */
  readonly knownKey: string | null;
  /** After a refusal: before that, it may not propose itself again. */
  readonly retryAt: number | null;
  /** Hosts that are proposed or accepted, this one not among them. */
  readonly others: number;
  /** What partition 0 takes, which every member holds. */
  readonly neededBytes: number;
}

export const JOINING_REFUSALS = {
  malformed: 'the proposal is not of the documented shape',
  'another-key': 'the host id belongs to another key',
  'other-database': 'the data directory holds another database',
  'other-history': 'the data directory belongs to another cluster: start with an empty one',
  'clock-off': 'the clock is too far from the cluster’s: set it, best by NTP, and join again',
  'no-space': 'the disk has not enough free space',
  'too-many-hosts': 'the cluster has as many hosts as it can have',
  'too-early': 'the host was refused lately: it may propose itself again later',
} as const;
export type JoiningRefusal = keyof typeof JOINING_REFUSALS;

/** Chosen: the network information lists all of them, and every host keeps it in memory. */
export const HOSTS_MAX = 1024;
/** Chosen: above what NTP leaves and a slow message adds, below what would falsify how old a bounded read is. */
export const CLOCK_SKEW_MAX_MS = 2_000;
/** Chosen: room for partition 0 twice (a snapshot arrives beside the old copy), and for this besides. */
export const JOINING_SPARE_BYTES = 64 * 2 ** 20;
/** Chosen: the first wait after a refusal, and the longest; it doubles. */
export const PROPOSE_AGAIN_FIRST_MS = 10_000;
export const PROPOSE_AGAIN_MAX_MS = 60 * 60_000;

const NAME_MAX = 100;
const ADDRESSES_MAX = 4;
const ADDRESS_LENGTH_MAX = 300;

/** 80 bits of a key's hash in lower-case Crockford base32. */
const HOST_ID = /^[0-9a-hjkmnp-tv-z]{16}$/;
/** 32 bytes. */
const PUBLIC_KEY = /^[A-Za-z0-9_-]{43}$/;
const ADDRESS = /^https?:\/\/[^\s/?#]+(\/[^\s?#]*)?$/;

/** The offer in a message, or null where it is none. Fields that are not known are left out. */
export function readOffer(value: unknown): HostOffer | null {
  if (!isRecord(value)) return null;
  const { host, name = null, publicKey, addresses, database, history = null, time } = value;
  const { freeBytes, totalBytes, cpuRating } = value;
  if (typeof host !== 'string' || !HOST_ID.test(host) || host === EDGE) return null;
  if (name !== null && (typeof name !== 'string' || name.length > NAME_MAX)) return null;
  if (typeof publicKey !== 'string' || !PUBLIC_KEY.test(publicKey)) return null;
  if (!areAddresses(addresses)) return null;
  if (typeof database !== 'string' || (history !== null && typeof history !== 'string')) return null;
  if (!isCount(time) || !isCount(freeBytes) || !isCount(totalBytes) || !isRating(cpuRating)) return null;
  return { host, name, publicKey, addresses, database, history, time, freeBytes, totalBytes, cpuRating };
}

export function areAddresses(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.length <= ADDRESSES_MAX &&
    value.every((each) => typeof each === 'string' && each.length <= ADDRESS_LENGTH_MAX && ADDRESS.test(each))
  );
}

export function isRating(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0;
}

/**
 * Why the host cannot be voted on, or null. Whether it can be reached, the voters find out. A stolen id is named
 * first: such a caller is told nothing else.
 */
export function judgeOffer(offer: HostOffer, context: JoiningContext): JoiningRefusal | null {
  if (context.knownKey !== null && context.knownKey !== offer.publicKey) return 'another-key';
  if (offer.database !== context.database) return 'other-database';
  if (offer.history !== null && offer.history !== context.history) return 'other-history';
  if (isClockOff(offer.time, context.now)) return 'clock-off';
  if (offer.freeBytes < 2 * context.neededBytes + JOINING_SPARE_BYTES) return 'no-space';
  if (context.others >= HOSTS_MAX) return 'too-many-hosts';
  if (context.retryAt !== null && context.now < context.retryAt) return 'too-early';
  return null;
}

export function isClockOff(time: number, now: number): boolean {
  return Math.abs(time - now) > CLOCK_SKEW_MAX_MS;
}

/** How long a host waits after its `refusals`th refusal in a row, from 1. */
export function proposeAgainMs(refusals: number): number {
  return Math.min(PROPOSE_AGAIN_MAX_MS, PROPOSE_AGAIN_FIRST_MS * 2 ** Math.min(refusals - 1, 30));
}
