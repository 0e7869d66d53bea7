import { AtollError } from './error.ts';

/** How long after its issue a key stands for its request, ms (chosen: a client that retries for longer asks first). */
export const KEY_RETENTION_MS = 24 * 3_600_000;
/** How far a key's time of issue may lie ahead of a host's clock, ms (chosen: far beyond clocks that are kept). */
export const KEY_AHEAD_MS = 5 * 60_000;

export interface IdempotencyKey {
  /** In the one form in which it is compared. */
  readonly text: string;
  /** Unix milliseconds, by its maker's clock. */
  readonly issuedMs: number;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-([0-9a-f])[0-9a-f]{3}-[0-9a-f]{12}$/;
const WITH_TIME = /^([1-9]\d{0,13})-[A-Za-z0-9_-]{8,64}$/;

const HOW_TO_MAKE_ONE =
  'idempotencyKey must be a UUIDv7 (RFC 9562), or the Unix time in milliseconds, a "-", and 8 to 64 of A-Z a-z 0-9 _ -, ' +
  'such as 1767225600000-order_4711: its time of issue says how long it is remembered';

/**
 * A key as a client sends it: a UUIDv7, whose first 48 bits are Unix milliseconds (RFC 9562, section 5.7), or `<ms>-<text>`.
 * Error: `bad-request`, which says how to make one.
 */
export function readIdempotencyKey(sent: string): IdempotencyKey {
  const lower = sent.toLowerCase();
  const uuid = UUID.exec(lower);
  if (uuid !== null) {
    const [, version, variant] = uuid;
    // Version 7, of the variant whose first two bits are 10: sections 4.1 and 4.2.
    if (version !== '7' || !/[89ab]/.test(variant ?? ''))
      throw new AtollError('bad-request', HOW_TO_MAKE_ONE);
    return { text: lower, issuedMs: Number.parseInt(lower.slice(0, 8) + lower.slice(9, 13), 16) };
  }
  const issued = WITH_TIME.exec(sent)?.[1];
  if (issued === undefined) throw new AtollError('bad-request', HOW_TO_MAKE_ONE);
  return { text: sent, issuedMs: Number(issued) };
}

/** @throws AtollError `idempotency-conflict` for a key that is no longer remembered, `bad-request` for one of the future */
export function checkAge({ issuedMs }: Pick<IdempotencyKey, 'issuedMs'>, now: number): void {
  if (issuedMs < now - KEY_RETENTION_MS) {
    throw new AtollError(
      'idempotency-conflict',
      `the idempotency key has expired: it was issued at ${shown(issuedMs)}, and keys are remembered for 24 hours; ` +
        'find out whether the write is applied, and send it with a new key only if it is not',
    );
  }
  if (issuedMs > now + KEY_AHEAD_MS) {
    throw new AtollError(
      'bad-request',
      `idempotencyKey was issued at ${shown(issuedMs)}, more than 5 minutes ahead of this host's clock: ` +
        'set the clock of whoever makes keys',
    );
  }
}

function shown(milliseconds: number): string {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? `${milliseconds} ms` : date.toISOString();
}

/** Random bytes of a {@link newIdempotencyKey}. */
export const KEY_RANDOM_BYTES = 10;

/** A UUIDv7 (RFC 9562, section 5.7) of that moment and {@link KEY_RANDOM_BYTES} random bytes. */
export function newIdempotencyKey(now: number, random: Uint8Array): string {
  const bytes = [...random.subarray(0, KEY_RANDOM_BYTES)];
  bytes[0] = 0x70 | ((bytes[0] ?? 0) & 0x0f);
  bytes[2] = 0x80 | ((bytes[2] ?? 0) & 0x3f);
  const hex = hexTime(now) + bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)];
  return parts.join('-');
}

/**
 * What a partition knows a keyed request by: its key's time of issue, then `digest`, which stands for database, principal
 * and key. The time first, so that the oldest are the first of their table.
 */
export function requestId(issuedMs: number, digest: string): string {
  return `${hexTime(issuedMs)}-${digest}`;
}

/** Below the id of every request whose key was issued at that time or later, above all others. */
export function firstRequestIdOf(issuedMs: number): string {
  return hexTime(Math.max(0, issuedMs));
}

/** 12 hex digits: their order is that of time. */
function hexTime(milliseconds: number): string {
  return Math.floor(milliseconds).toString(16).padStart(12, '0');
}
