import { murmur3 } from '../schema/token.ts';
import { encodeUtf8 } from '../sqlite/utf8.ts';

/** What is spread, whole: the network information, as text. */
export interface GossipDocument {
  /** From 1; of two the greater is the newer. */
  readonly version: number;
  /** Bytes of the body as UTF-8. */
  readonly size: number;
  /** Of the body, by {@link checksumOf}. */
  readonly checksum: string;
  readonly body: string;
}

export type GossipMessage =
  /** What the sender has; version 0 is nothing. Decay above 0: the sender wants to know if it is news. */
  | {
      readonly kind: 'digest';
      readonly version: number;
      readonly size: number;
      readonly checksum: string;
      readonly decay: number;
    }
  /** The digest's version is known here. */
  | { readonly kind: 'known'; readonly version: number }
  /** The version, or a newer one, is wanted. */
  | { readonly kind: 'request'; readonly version: number }
  | { readonly kind: 'document'; readonly document: GossipDocument };

/** Chosen: 30 times what 10,000 partitions and 200 hosts take. Larger documents are neither asked for nor taken. */
export const DOCUMENT_BYTES_MAX = 16 * 2 ** 20;

/** Two MurmurHash3 with different seeds, 16 hex digits: finds defects, is no signature. The links are authenticated. */
export function checksumOf(bytes: Uint8Array): string {
  const hex = (seed: number) => murmur3(bytes, bytes.length, seed).toString(16).padStart(8, '0');
  return hex(0) + hex(0x9e3779b9);
}

export function documentOf(version: number, body: string): GossipDocument {
  const bytes = encodeUtf8(body);
  return { version, size: bytes.length, checksum: checksumOf(bytes), body };
}

/** Why the body is not what size and checksum say; null if it is. */
export function documentDefect({ body, size, checksum }: GossipDocument): string | null {
  const bytes = encodeUtf8(body);
  if (bytes.length !== size) return `${bytes.length} bytes instead of ${size}`;
  return checksumOf(bytes) === checksum ? null : 'the checksum is wrong';
}

/** The message, if what came is one; unknown fields are left out. Null if it is none. */
export function parseGossipMessage(value: unknown): GossipMessage | null {
  if (!isRecord(value)) return null;
  const { kind, version, size, checksum, decay, document } = value;
  if (kind === 'document') {
    if (!isRecord(document) || typeof document.body !== 'string') return null;
    const head = headOf(document.version, document.size, document.checksum);
    return head === null || head.version === 0 ? null : { kind, document: { ...head, body: document.body } };
  }
  if (kind === 'digest') {
    const head = headOf(version, size, checksum);
    return head === null || !isCount(decay) ? null : { kind, ...head, decay };
  }
  if ((kind === 'known' || kind === 'request') && isCount(version)) return { kind, version };
  return null;
}

function headOf(version: unknown, size: unknown, checksum: unknown) {
  if (!isCount(version) || !isCount(size) || size > DOCUMENT_BYTES_MAX) return null;
  if (typeof checksum !== 'string' || checksum.length > 64) return null;
  return { version, size, checksum };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
