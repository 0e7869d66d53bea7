import { assert } from '../base/assert.ts';
import { fromBase64Url, toBase64Url } from './base64url.ts';

/** RFC 8032. */
const ALGORITHM = 'Ed25519';
/** Crockford's base32 (https://www.crockford.com/base32.html): no i, l, o, u. */
const CROCKFORD = '0123456789abcdefghjkmnpqrstvwxyz';
/** 80 bits: nobody finds a second key for an id. */
const HOST_ID_LENGTH = 16;

/** Who a host is. The private half stays inside. */
export interface HostKey {
  /** {@link hostIdOf} of the public key. */
  readonly host: string;
  /** Raw, base64url. */
  readonly publicKey: string;
  /** Signature in base64url. */
  sign(text: string): Promise<string>;
}

/** A new key as a JWK's text (RFC 8037 section 2), to be stored; once in a host's life. Who has it is the host. */
export async function generateHostKey(): Promise<string> {
  const pair = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  assert('privateKey' in pair, 'Ed25519 makes pairs of keys');
  const { kty, crv, x, d } = (await crypto.subtle.exportKey('jwk', pair.privateKey)) as JsonWebKey;
  return JSON.stringify({ kty, crv, x, d });
}

/** Error: an AssertionError if the text is no private Ed25519 key. */
export async function importHostKey(jwkText: string): Promise<HostKey> {
  const { kty, crv, x, d } = JSON.parse(jwkText) as Partial<Record<'kty' | 'crv' | 'x' | 'd', string>>;
  assert(kty === 'OKP' && crv === ALGORITHM && x !== undefined && d !== undefined, 'a private Ed25519 key');
  const key = await crypto.subtle.importKey('jwk', { kty, crv, x, d }, ALGORITHM, false, ['sign']);
  return {
    host: await hostIdOf(x),
    publicKey: x,
    async sign(text) {
      return toBase64Url(new Uint8Array(await crypto.subtle.sign(ALGORITHM, key, encoder.encode(text))));
    },
  };
}

/** The id that belongs to a public key and to no other: 16 characters of lower-case base32 of its SHA-256. */
export async function hostIdOf(publicKey: string): Promise<string> {
  const raw = fromBase64Url(publicKey);
  assert(raw !== null && raw.length === 32, 'a raw Ed25519 key in base64url');
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', raw));
  let id = '';
  let [buffered, bits] = [0, 0];
  for (let at = 0; id.length < HOST_ID_LENGTH; at++) {
    buffered = ((buffered << 8) | (digest[at] as number)) & 0xffff;
    for (bits += 8; bits >= 5; bits -= 5) id += CROCKFORD[(buffered >> (bits - 5)) & 31];
  }
  return id.slice(0, HOST_ID_LENGTH);
}

/** Whether `signature` is of that text and by that key. False too for what is no key or no signature. */
export async function isSignedBy(publicKey: string, signature: string, text: string): Promise<boolean> {
  const [raw, signed] = [fromBase64Url(publicKey), fromBase64Url(signature)];
  if (raw?.length !== 32 || signed === null) return false;
  let key: CryptoKey;
  try {
    key = await crypto.subtle.importKey('raw', raw, ALGORITHM, false, ['verify']);
  } catch (thrown) {
    // Of 32 bytes some runtimes refuse what is no point of the curve: nobody has signed with that.
    if (thrown instanceof DOMException) return false;
    throw thrown;
  }
  return crypto.subtle.verify(ALGORITHM, key, signed, encoder.encode(text));
}

const encoder = new TextEncoder();
