import { assert } from '../base/assert.ts';
import { fromBase64Url, toBase64Url } from './base64url.ts';

const HMAC = { name: 'HMAC', hash: 'SHA-256' } as const;
const encoder = new TextEncoder();

/** The cluster secret, which proves that a host belongs and never leaves it. */
export interface Secret {
  /** HMAC-SHA-256 (RFC 2104) of the text, base64url. */
  prove(text: string): Promise<string>;
  /** Whether `proof` is what {@link prove} gives for the text; in a time that tells nothing of the right one. */
  isProof(proof: string, text: string): Promise<boolean>;
}

/** An empty secret is none: AssertionError. A short one can be guessed from a proof that anybody may ask for. */
export async function importSecret(secret: string): Promise<Secret> {
  assert(secret !== '', 'the cluster secret must not be empty');
  const key = await crypto.subtle.importKey('raw', encoder.encode(secret), HMAC, false, ['sign', 'verify']);
  return {
    async prove(text) {
      return toBase64Url(new Uint8Array(await crypto.subtle.sign('HMAC', key, encoder.encode(text))));
    },
    async isProof(proof, text) {
      const bytes = fromBase64Url(proof);
      return bytes !== null && (await crypto.subtle.verify('HMAC', key, bytes, encoder.encode(text)));
    },
  };
}
