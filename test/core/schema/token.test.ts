import { describe, expect, it } from 'vitest';
import { murmur3 } from '../../../src/core/schema/token.ts';

const text = (value: string) => new TextEncoder().encode(value);

/** Known answers of the reference implementation, as collected at https://stackoverflow.com/a/31929528. */
const vectors: [bytes: Uint8Array, seed: number, hash: number][] = [
  [text(''), 0, 0],
  [text(''), 1, 0x514e28b7],
  [text(''), 0xffffffff, 0x81f16f39],
  [Uint8Array.of(0xff, 0xff, 0xff, 0xff), 0, 0x76293b50],
  [Uint8Array.of(0x21, 0x43, 0x65, 0x87), 0, 0xf55b516b],
  [Uint8Array.of(0x21, 0x43, 0x65, 0x87), 0x5082edee, 0x2362f9de],
  [Uint8Array.of(0x21, 0x43, 0x65), 0, 0x7e4a8634],
  [Uint8Array.of(0x21, 0x43), 0, 0xa0f7b07a],
  [Uint8Array.of(0x21), 0, 0x72661cf4],
  [Uint8Array.of(0, 0, 0, 0), 0, 0x2362f9de],
  [Uint8Array.of(0, 0, 0), 0, 0x85f0b427],
  [Uint8Array.of(0, 0), 0, 0x30f4c306],
  [Uint8Array.of(0), 0, 0x514e28b7],
  [text('aaaa'), 0x9747b28c, 0x5a97808a],
  [text('abc'), 0, 0xb3dd93fa],
  [text('Hello, world!'), 0x9747b28c, 0x24884cba],
  [text('The quick brown fox jumps over the lazy dog'), 0x9747b28c, 0x2fa826cd],
];

describe('murmur3', () => {
  it.each(vectors)('gives the reference hash (%#)', (bytes, seed, hash) => {
    expect(murmur3(bytes, bytes.length, seed)).toBe(hash);
  });

  it('reads no byte beyond the given length', () => {
    expect(murmur3(text('abcdef'), 3)).toBe(murmur3(text('abc')));
  });
});
