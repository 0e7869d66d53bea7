import type { Token } from '../../base/brand.ts';

/** Tokens are 0 … TOKEN_COUNT − 1. */
export const TOKEN_COUNT = 2 ** 32;

const C1 = 0xcc9e2d51;
const C2 = 0x1b873593;

/**
 * MurmurHash3_x86_32 (Austin Appleby, https://github.com/aappleby/smhasher, public domain) over
 * `bytes[0 … length)`. Part of the format on disk: docs/protocol.md, "Partition key and token".
 */
export function murmur3(bytes: Uint8Array, length: number = bytes.length, seed: number = 0): Token {
  let hash = seed | 0;
  const blocksEnd = length & ~3;
  for (let at = 0; at < blocksEnd; at += 4) {
    const block = byte(bytes, at) | (byte(bytes, at + 1) << 8) | (byte(bytes, at + 2) << 16);
    hash ^= scramble(block | (byte(bytes, at + 3) << 24));
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let at = length - 1; at >= blocksEnd; at--) tail = (tail << 8) | byte(bytes, at);
  if (blocksEnd < length) hash ^= scramble(tail);
  return finalize(hash ^ length) as Token;
}

function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] as number;
}

function scramble(block: number): number {
  const mixed = Math.imul(block, C1);
  return Math.imul((mixed << 15) | (mixed >>> 17), C2);
}

/** Spreads every input bit over the 32 output bits; the result is unsigned. */
function finalize(input: number): number {
  let hash = input;
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  hash ^= hash >>> 16;
  return hash >>> 0;
}
