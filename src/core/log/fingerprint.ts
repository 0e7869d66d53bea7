/**
 * MurmurHash3_x86_128, seed 0, as 32 hex digits (A. Appleby, smhasher, MurmurHash3.cpp). It finds
 * differences between replicas that mean no harm; it is no signature.
 */
export function fingerprint(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.length - (bytes.length % 16);
  // The four lanes one by one, without arrays: every byte of a snapshot comes by here, on both sides.
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  for (let at = 0; at < end; at += 16) {
    a ^= Math.imul(rotate(Math.imul(view.getInt32(at, true), C0), 15), C1);
    a = (Math.imul((rotate(a, 19) + b) | 0, 5) + 0x561ccd1b) | 0;
    b ^= Math.imul(rotate(Math.imul(view.getInt32(at + 4, true), C1), 16), C2);
    b = (Math.imul((rotate(b, 17) + c) | 0, 5) + 0x0bcaa747) | 0;
    c ^= Math.imul(rotate(Math.imul(view.getInt32(at + 8, true), C2), 17), C3);
    c = (Math.imul((rotate(c, 15) + d) | 0, 5) + 0x96cd1c35) | 0;
    d ^= Math.imul(rotate(Math.imul(view.getInt32(at + 12, true), C3), 18), C0);
    d = (Math.imul((rotate(d, 13) + a) | 0, 5) + 0x32ac3b17) | 0;
  }
  const state: Lanes = [a, b, c, d];
  const tail = new Uint8Array(16);
  tail.set(bytes.subarray(end));
  const rest = new DataView(tail.buffer);
  for (let lane = 0; lane < 4; lane++)
    if (bytes.length - end > lane * 4)
      state[lane] = (state[lane] ?? 0) ^ mixed(rest.getUint32(lane * 4, true), lane);
  return finished(state, bytes.length);
}

type Lanes = [number, number, number, number];

const C0 = 0x239b961b;
const C1 = 0xab0e9789;
const C2 = 0x38b34ae5;
const C3 = 0xa1e38b93;
const C = [C0, C1, C2, C3] as const;
const KEY_ROTATIONS = [15, 16, 17, 18] as const;

function mixed(word: number, lane: number): number {
  const first = Math.imul(word, C[lane] ?? 0);
  return Math.imul(rotate(first, KEY_ROTATIONS[lane] ?? 0), C[(lane + 1) % 4] ?? 0);
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

function finished(state: Lanes, length: number): string {
  let words = state.map((word) => word ^ length);
  words = spread(words);
  words = words.map(finalMix);
  words = spread(words);
  return words.map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
}

function spread([a = 0, b = 0, c = 0, d = 0]: number[]): number[] {
  const sum = (a + b + c + d) | 0;
  return [sum, (b + sum) | 0, (c + sum) | 0, (d + sum) | 0];
}

function finalMix(word: number): number {
  let h = word ^ (word >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}
