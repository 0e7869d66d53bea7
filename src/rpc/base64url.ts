import { fromBase64, toBase64 } from '../protocol/base64.ts';

/** RFC 4648 section 5, without padding. */
export function toBase64Url(bytes: Uint8Array): string {
  return toBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** Null if the text is none, or not the one text for its bytes. */
export function fromBase64Url(text: string): Uint8Array<ArrayBuffer> | null {
  const bytes = fromBase64(text.replaceAll('-', '+').replaceAll('_', '/'));
  return bytes === null || toBase64Url(bytes) !== text ? null : new Uint8Array(bytes);
}
