/**
 * What an agent says of itself when it wants to be a member (`src/protocol/hosts.ts` checks its shape and bounds). Its key
 * is proven before, by the link's handshake.
 */
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
  /** After a refusal, or a removal by hand: before that, it may not propose itself again. */
  readonly retryAt: number | null;
  /** Hosts that are proposed or accepted, this one not among them. */
  readonly others: number;
  /** See {@link bytesNeeded}. */
  readonly neededBytes: number;
}

export const JOINING_REFUSALS = {
  'another-key': 'the host id belongs to another key',
  'other-database': 'the data directory holds another database',
  'other-history': 'the data directory belongs to another cluster: start with an empty one',
  'clock-off': 'the clock is too far from the cluster’s: set it, best by NTP, and join again',
  'no-space': 'the disk has not enough free space',
  'too-many-hosts': 'the cluster has as many hosts as it can have',
  'too-early':
    'the host was refused or removed lately: it may propose itself again later, or once it is accepted by hand',
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

/**
 * Why the host cannot be voted on, or null. Whether it can be reached, the voters find out. A stolen id is named
 * first: such a caller is told nothing else.
 */
export function judgeOffer(offer: HostOffer, context: JoiningContext): JoiningRefusal | null {
  if (context.knownKey !== null && context.knownKey !== offer.publicKey) return 'another-key';
  if (offer.database !== context.database) return 'other-database';
  if (offer.history !== null && offer.history !== context.history) return 'other-history';
  if (isClockOff(offer.time, context.now)) return 'clock-off';
  if (offer.freeBytes < context.neededBytes) return 'no-space';
  if (context.others >= HOSTS_MAX) return 'too-many-hosts';
  if (context.retryAt !== null && context.now < context.retryAt) return 'too-early';
  return null;
}

/** Free space that a newcomer must have, where partition 0, which every member holds, takes so many bytes. */
export function bytesNeeded(systemBytes: number): number {
  return 2 * systemBytes + JOINING_SPARE_BYTES;
}

export function isClockOff(time: number, now: number): boolean {
  return Math.abs(time - now) > CLOCK_SKEW_MAX_MS;
}

/** How long a host waits after its `refusals`th refusal in a row, from 1. */
export function proposeAgainMs(refusals: number): number {
  return Math.min(PROPOSE_AGAIN_MAX_MS, PROPOSE_AGAIN_FIRST_MS * 2 ** Math.min(refusals - 1, 30));
}
