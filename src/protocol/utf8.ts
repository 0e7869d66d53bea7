/**
 * Whether the bytes are UTF-8 as JavaScript's decoder means it (https://encoding.spec.whatwg.org/#utf-8-decoder):
 * no overlong forms, no surrogates, nothing beyond U+10FFFF.
 */
export function isUtf8(bytes: Uint8Array): boolean {
  let at = 0;
  while (at < bytes.length) {
    const lead = bytes[at++] as number;
    if (lead < 0x80) continue;
    const count =
      lead >= 0xc2 && lead <= 0xdf ? 1 : lead >> 4 === 0xe ? 2 : lead >= 0xf0 && lead <= 0xf4 ? 3 : 0;
    if (count === 0) return false;
    const [low, high] = secondByteBounds(lead);
    for (let i = 0; i < count; i++) {
      const next = bytes[at++] ?? 0;
      if (i === 0 ? next < low || next > high : next < 0x80 || next > 0xbf) return false;
    }
  }
  return true;
}

function secondByteBounds(lead: number): readonly [low: number, high: number] {
  if (lead === 0xe0) return [0xa0, 0xbf];
  if (lead === 0xed) return [0x80, 0x9f];
  if (lead === 0xf0) return [0x90, 0xbf];
  if (lead === 0xf4) return [0x80, 0x8f];
  return [0x80, 0xbf];
}
