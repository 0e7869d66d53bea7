/**
 * UTF-8, strict as https://www.rfc-editor.org/rfc/rfc3629: no overlong forms, no surrogates, nothing past U+10FFFF. Short
 * text is done here, as a call into the runtime costs more than it; long text is the runtime's.
 */

/** This folder is checked without a runtime; each of Atoll's has these two (https://encoding.spec.whatwg.org). */
declare const TextEncoder: new () => {
  encodeInto(text: string, target: Uint8Array): { readonly read: number; readonly written: number };
};
declare const TextDecoder: new (
  label: 'utf-8',
  options: { readonly fatal: true; readonly ignoreBOM: true },
) => { decode(bytes: Uint8Array): string };

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** From this length on the runtime does it, units or bytes (chosen: at 1,000 it is five to ten times as fast, measured on Node). */
const LONG = 48;

/** Bytes of `text`. A lone surrogate becomes U+FFFD, as SQLite hosts make of it. */
export function encodeUtf8(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 3);
  return bytes.slice(0, writeUtf8(text, bytes, 0));
}

/**
 * Writes `text` into `target` at `offset`, if it is ASCII alone: as many bytes as it has units, for which there must be room.
 * False for any other, of which a part may have been written.
 */
export function writeAscii(text: string, target: Uint8Array, offset: number): boolean {
  if (text.length >= LONG) {
    // Whatever is not ASCII takes more bytes than units, and so does not fit.
    return encoder.encodeInto(text, target.subarray(offset, offset + text.length)).read === text.length;
  }
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x80) return false;
    target[offset + i] = code;
  }
  return true;
}

/** Writes `text` into `target` at `offset`, which must have room for 3 bytes per unit; returns the end. */
export function writeUtf8(text: string, target: Uint8Array, offset: number): number {
  let at = offset;
  for (let i = 0; i < text.length; i++) {
    let code = text.charCodeAt(i);
    if (code < 0x80) {
      target[at++] = code;
      continue;
    }
    if (code < 0x800) {
      target[at++] = 0xc0 | (code >> 6);
      target[at++] = 0x80 | (code & 63);
      continue;
    }
    if (code >= 0xd800 && code <= 0xdfff) {
      const low = code < 0xdc00 && i + 1 < text.length ? text.charCodeAt(i + 1) : 0;
      if (low >= 0xdc00 && low <= 0xdfff) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        i++;
        target[at++] = 0xf0 | (code >> 18);
        target[at++] = 0x80 | ((code >> 12) & 63);
        target[at++] = 0x80 | ((code >> 6) & 63);
        target[at++] = 0x80 | (code & 63);
        continue;
      }
      code = 0xfffd;
    }
    target[at++] = 0xe0 | (code >> 12);
    target[at++] = 0x80 | ((code >> 6) & 63);
    target[at++] = 0x80 | (code & 63);
  }
  return at;
}

/** UTF-16 units of a short text. */
const scratch = new Uint16Array(LONG);

/** Text of `bytes`, or null when they are not valid UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | null {
  if (bytes.length >= LONG) return decodeLong(bytes);
  let count = 0;
  for (let at = 0; at < bytes.length; ) {
    const byte = bytes[at] as number;
    if (byte < 0x80) {
      scratch[count++] = byte;
      at++;
      continue;
    }
    const size = sequenceSize(bytes, at);
    if (size === 0) return null;
    const code = codePoint(bytes, at, size);
    if (code < 0x10000) scratch[count++] = code;
    else {
      scratch[count++] = 0xd800 + ((code - 0x10000) >> 10);
      scratch[count++] = 0xdc00 + (code & 0x3ff);
    }
    at += size;
  }
  return textOfUnits(count);
}

function decodeLong(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

function textOfUnits(count: number): string {
  return String.fromCharCode.apply(null, scratch.subarray(0, count) as unknown as number[]);
}

/** Length of the valid sequence at `at`; 0 when it is not valid. Table 3-7 of the Unicode standard. */
function sequenceSize(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  const second = bytes[at + 1] ?? 0;
  if (first >= 0xc2 && first <= 0xdf) return continuation(second) ? 2 : 0;
  const third = bytes[at + 2] ?? 0;
  if (first >= 0xe0 && first <= 0xef) {
    const low = first === 0xe0 ? 0xa0 : 0x80;
    const high = first === 0xed ? 0x9f : 0xbf;
    return second >= low && second <= high && continuation(third) ? 3 : 0;
  }
  if (first < 0xf0 || first > 0xf4) return 0;
  const low = first === 0xf0 ? 0x90 : 0x80;
  const high = first === 0xf4 ? 0x8f : 0xbf;
  const fourth = bytes[at + 3] ?? 0;
  return second >= low && second <= high && continuation(third) && continuation(fourth) ? 4 : 0;
}

function continuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

function codePoint(bytes: Uint8Array, at: number, size: number): number {
  const first = bytes[at] ?? 0;
  let code = size === 1 ? first : first & (0xff >> (size + 1));
  for (let i = 1; i < size; i++) code = (code << 6) | ((bytes[at + i] ?? 0) & 63);
  return code;
}
