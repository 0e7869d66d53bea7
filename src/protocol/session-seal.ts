import { blake3 } from '@noble/hashes/blake3.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { bytesToBase64Url } from './base64url.ts';
import { AtollError } from './error.ts';

/** What the key is for, as derive_key demands: never another. */
const CONTEXT = 'atoll 2026-11-27 session token seal';
const SEAL_BYTES = 16;

/**
 * Proves that a session token is this cluster's own. On the wire it is `token.seal`, the seal being the first 16 bytes of
 * BLAKE3, keyed, of the token's characters, base64url (https://github.com/BLAKE3-team/BLAKE3-specs, sections 2.3 and 6). Every host
 * that answers clients has the key, and so any of them takes another's tokens.
 */
export class SessionSeal {
  readonly #keyed: ReturnType<typeof blake3.create>;
  /** Used again and again: a hasher costs as much to make as a token to hash (measured). */
  readonly #hasher: ReturnType<typeof blake3.create>;
  /** Reads between two writes all have the same. */
  #token = '';
  #sealed = '';

  /** `secret`: the cluster's; without one, what else no client knows. From nothing, tokens are checked for damage alone. */
  constructor(secret: string | null | undefined) {
    const key = blake3(utf8ToBytes(secret ?? ''), { context: utf8ToBytes(CONTEXT) });
    this.#keyed = blake3.create({ key, dkLen: SEAL_BYTES });
    this.#hasher = this.#keyed.clone();
  }

  seal(token: string): string {
    if (token !== this.#token) {
      this.#sealed = `${token}.${this.#sealOf(token)}`;
      this.#token = token;
    }
    return this.#sealed;
  }

  /** Error: `bad-request` for a token that no host of this cluster has made. */
  check(text: string): void {
    const dot = text.indexOf('.');
    if (dot > 0 && isEqual(text.slice(dot + 1), this.#sealOf(text.slice(0, dot)))) return;
    throw new AtollError(
      'bad-request',
      'session is no token of this cluster: send one as it came, or begin a new session, without a token',
      'none',
      { field: 'session' },
    );
  }

  /** A text that is no session token, sealed for another purpose; a `:` is in no token, so neither seal holds for the other. */
  sealFor(purpose: string, text: string): string {
    return `${text}.${this.#sealOf(`${purpose}:${text}`)}`;
  }

  isSealedFor(purpose: string, sealed: string): boolean {
    const dot = sealed.indexOf('.');
    return dot > 0 && isEqual(sealed.slice(dot + 1), this.#sealOf(`${purpose}:${sealed.slice(0, dot)}`));
  }

  #sealOf(token: string): string {
    return bytesToBase64Url(this.#keyed._cloneInto(this.#hasher).update(bytesOf(token)).digest());
  }
}

const scratch = new Uint8Array(512);

/** Of nearly all, which are short and ASCII, without the platform's encoder: that costs as much as the hash (measured). */
function bytesOf(text: string): Uint8Array {
  if (text.length > scratch.length) return utf8ToBytes(text);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return utf8ToBytes(text);
    scratch[i] = code;
  }
  return scratch.subarray(0, text.length);
}

/** In a time that says nothing of where they differ. */
function isEqual(given: string, right: string): boolean {
  let difference = given.length ^ right.length;
  for (let i = 0; i < right.length; i++) difference |= given.charCodeAt(i) ^ right.charCodeAt(i);
  return difference === 0;
}
