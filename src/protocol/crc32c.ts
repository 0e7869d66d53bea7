/**
 * CRC-32C (Castagnoli): RFC 3720 section 12.1, reflected polynomial 0x82f63b78. Finds every burst of up to 32 bits. Eight
 * bytes a step ("slicing-by-8", Kounavis and Berry, Intel 2005), as every replicated byte goes through it.
 */
const POLYNOMIAL = 0x82f63b78;

/** Row k: what a byte contributes when k more bytes follow it in the step. Signed, so that no result leaves 31-bit arithmetic. */
const tables = makeTables();

function makeTables(): Int32Array {
  const made = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
    made[byte] = value;
  }
  for (let at = 256; at < made.length; at++) {
    const shorter = made[at - 256] as number;
    made[at] = (shorter >>> 8) ^ (made[shorter & 255] as number);
  }
  return made;
}

/** Checksum of `bytes` from `start` to `end`: 0 … 2^32 − 1. */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length): number {
  const table = tables;
  let crc = -1;
  let at = start;
  for (const last = end - 8; at <= last; at += 8) {
    const low =
      crc ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24));
    crc =
      (table[1792 + (low & 255)] as number) ^
      (table[1536 + ((low >>> 8) & 255)] as number) ^
      (table[1280 + ((low >>> 16) & 255)] as number) ^
      (table[1024 + (low >>> 24)] as number) ^
      (table[768 + (bytes[at + 4] as number)] as number) ^
      (table[512 + (bytes[at + 5] as number)] as number) ^
      (table[256 + (bytes[at + 6] as number)] as number) ^
      (table[bytes[at + 7] as number] as number);
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ (table[(crc ^ (bytes[at] as number)) & 255] as number);
  return ~crc >>> 0;
}
