const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const EQUALS = 0x3d;

const encoded = Uint8Array.from(ALPHABET, (character) => character.charCodeAt(0));
/** Character code to its six bits; 255 for what is no base64. */
const decoded = new Uint8Array(128).fill(255);
for (const [bits, code] of encoded.entries()) decoded[code] = bits;

/** `String.fromCharCode` takes its characters as arguments, of which the stack holds only so many. */
const CHUNK = 8192;

/** RFC 4648 section 4, with padding. No platform API for it is in all runtimes yet. */
export function toBase64(bytes: Uint8Array): string {
  const codes = new Uint8Array(Math.ceil(bytes.length / 3) * 4);
  let at = 0;
  for (let i = 0; i < bytes.length; i += 3) {
    const triple = (byteAt(bytes, i) << 16) | (byteAt(bytes, i + 1) << 8) | byteAt(bytes, i + 2);
    codes[at++] = encoded[triple >> 18] as number;
    codes[at++] = encoded[(triple >> 12) & 63] as number;
    codes[at++] = encoded[(triple >> 6) & 63] as number;
    codes[at++] = encoded[triple & 63] as number;
  }
  const surplus = (3 - (bytes.length % 3)) % 3;
  codes.fill(EQUALS, codes.length - surplus);
  let text = '';
  for (let i = 0; i < codes.length; i += CHUNK) {
    // Spreading would go through the iterator, several times slower.
    text += String.fromCharCode.apply(null, codes.subarray(i, i + CHUNK) as unknown as number[]);
  }
  return text;
}

/** 0 behind the end. */
function byteAt(bytes: Uint8Array, i: number): number {
  return i < bytes.length ? (bytes[i] as number) : 0;
}

/** Null if the text is no base64. Padding may be missing, as libSQL leaves it out, but not be wrong. */
export function fromBase64(text: string): Uint8Array | null {
  let length = text.length;
  if (length % 4 === 0 && text.endsWith('=')) length -= text.endsWith('==') ? 2 : 1;
  if (length % 4 === 1) return null;
  const bytes = new Uint8Array((length * 3) >> 2);
  let at = 0;
  let bits = 0;
  let buffered = 0;
  for (let i = 0; i < length; i++) {
    const six = decoded[text.charCodeAt(i)] ?? 255;
    if (six === 255) return null;
    bits = ((bits << 6) | six) & 0xffff;
    buffered += 6;
    if (buffered >= 8) {
      buffered -= 8;
      bytes[at++] = bits >> buffered;
    }
  }
  return bytes;
}
