import type { CryptoKey } from 'jose';
import { assert } from '../../base/assert.ts';
import { equalsSecret } from './constant-time.ts';
import { type Principal, STATIC_ID } from './principal.ts';
import { checkTimes, unauthorized, type VerifiedToken, verifySignature } from './token.ts';

/** Chosen: a tenant each for a router's hot set, about 1 kB apiece. */
const DEFAULT_CACHE_SIZE = 1000;

export interface TokenVerifierOptions {
  /** Null while the cluster has no key yet: then only the static token is good. */
  readonly verifyingKey: CryptoKey | null;
  /** `ATOLL_TOKEN`: an admin of everything, never expiring. Null if there is none. */
  readonly staticToken: string | null;
  readonly cacheSize?: number;
}

const STATIC_ADMIN: Principal = { id: STATIC_ID, role: 'admin', databases: null };

/**
 * Turns `Authorization` headers into principals. Signatures are checked once for each token and remembered, the
 * least recently used forgotten first; times and revocation are checked for every request.
 */
export class TokenVerifier {
  private readonly verifyingKey: CryptoKey | null;
  private readonly staticToken: string | null;
  private readonly cacheSize: number;
  /** In order of last use. */
  private readonly verified = new Map<string, VerifiedToken>();
  private revoked: ReadonlySet<string> = new Set();

  constructor({ verifyingKey, staticToken, cacheSize = DEFAULT_CACHE_SIZE }: TokenVerifierOptions) {
    assert(staticToken !== '', 'ATOLL_TOKEN must not be empty');
    assert(cacheSize >= 1, 'the cache holds at least one token');
    this.verifyingKey = verifyingKey;
    this.staticToken = staticToken;
    this.cacheSize = cacheSize;
  }

  /** Ids of tokens that count no more, all of them; effective at once. */
  setRevoked(ids: ReadonlySet<string>): void {
    this.revoked = ids;
  }

  /**
   * `header` is the value of `Authorization`; `nowMs` Unix milliseconds. Only a token that was not seen before takes a promise. Error:
   * `unauthorized`, with the reason.
   */
  verify(header: string | null | undefined, nowMs: number): Principal | Promise<Principal> {
    // As nearly every client writes it.
    const plain = header?.startsWith(PREFIX) ? this.known(header.slice(PREFIX.length), nowMs) : null;
    if (plain !== null) return plain;
    const token = bearerToken(header);
    return this.known(token, nowMs) ?? this.check(token).then((checked) => this.admit(token, checked, nowMs));
  }

  /** Null: a token that was not seen before. */
  private known(token: string, nowMs: number): Principal | null {
    if (this.staticToken !== null && equalsSecret(token, this.staticToken)) return STATIC_ADMIN;
    const verified = this.verified.get(token);
    return verified === undefined ? null : this.admit(token, verified, nowMs);
  }

  private admit(token: string, verified: VerifiedToken, nowMs: number): Principal {
    checkTimes(verified, nowMs);
    if (this.revoked.has(verified.principal.id)) throw unauthorized('the token was revoked');
    this.remember(token, verified);
    return verified.principal;
  }

  private async check(token: string): Promise<VerifiedToken> {
    if (this.verifyingKey === null) throw unauthorized('the token is not the one of ATOLL_TOKEN');
    return verifySignature(token, this.verifyingKey);
  }

  /** Only what is good now enters, so that bad tokens push nothing out. */
  private remember(token: string, verified: VerifiedToken): void {
    this.verified.delete(token);
    this.verified.set(token, verified);
    if (this.verified.size <= this.cacheSize) return;
    const oldest = this.verified.keys().next();
    if (!oldest.done) this.verified.delete(oldest.value);
  }
}

const PREFIX = 'Bearer ';
const BEARER = /^bearer +([^\s]+) *$/i;

function bearerToken(header: string | null | undefined): string {
  if (header === null || header === undefined || header === '') {
    throw unauthorized('send the header: Authorization: Bearer <token>');
  }
  const token = BEARER.exec(header)?.[1];
  if (token === undefined) throw unauthorized('the Authorization header must be: Bearer <token>');
  return token;
}
