import { type CryptoKey, compactVerify, errors, SignJWT } from 'jose';
import * as v from 'valibot';
import { AtollError } from '../../protocol/error.ts';
import type { Principal } from './principal.ts';
import { type Role, roles } from './role.ts';
import { TOKEN_ALGORITHM } from './signing-key.ts';

const ISSUER = 'atoll';

/** Chosen: clocks of routers may differ by as much without a new token being refused. */
const NOT_BEFORE_TOLERANCE_SECONDS = 5;

export interface TokenGrant {
  readonly role: Role;
  /** Null for all databases. */
  readonly databases: readonly string[] | null;
  /** Unix milliseconds, rounded up to a second; null for never. */
  readonly expiresAtMs: number | null;
  /** Unix milliseconds; valid at once if absent. */
  readonly notBeforeMs?: number;
  /** Random if absent. */
  readonly id?: string;
}

/** A token whose signature holds, and the times between which it counts. */
export interface VerifiedToken {
  readonly principal: Principal;
  /** Unix seconds. */
  readonly notBefore: number;
  /** Unix seconds; Infinity for never. */
  readonly expires: number;
}

const Claims = v.object({
  iss: v.literal(ISSUER),
  jti: v.string(),
  role: v.picklist(roles),
  databases: v.optional(v.array(v.string())),
  exp: v.optional(v.number()),
  nbf: v.optional(v.number()),
});

/** A signed JWT (RFC 7519). The grant's id, by which it can be revoked, comes back with it. */
export async function signToken(
  signingKey: CryptoKey,
  grant: TokenGrant,
  nowMs: number,
): Promise<{ token: string; id: string }> {
  const id = grant.id ?? crypto.randomUUID();
  const claims = {
    role: grant.role,
    ...(grant.databases === null ? {} : { databases: [...grant.databases] }),
  };
  const jwt = new SignJWT(claims)
    .setProtectedHeader({ alg: TOKEN_ALGORITHM, typ: 'JWT' })
    .setIssuer(ISSUER)
    .setJti(id)
    .setIssuedAt(Math.floor(nowMs / 1000));
  if (grant.expiresAtMs !== null) jwt.setExpirationTime(Math.ceil(grant.expiresAtMs / 1000));
  if (grant.notBeforeMs !== undefined) jwt.setNotBefore(Math.ceil(grant.notBeforeMs / 1000));
  return { token: await jwt.sign(signingKey), id };
}

/** Checks the signature and the claims' shape, not the times. Error: `unauthorized`. */
export async function verifySignature(token: string, verifyingKey: CryptoKey): Promise<VerifiedToken> {
  const claims = v.safeParse(Claims, parsePayload(await verifiedPayload(token, verifyingKey)));
  if (!claims.success) throw unauthorized('the token lacks what an Atoll token says');
  const { jti, role, databases, exp, nbf } = claims.output;
  return {
    principal: { id: jti, role, databases: databases ?? null },
    notBefore: nbf ?? 0,
    expires: exp ?? Infinity,
  };
}

/** Error: `unauthorized`, saying by how much the token is early or late. */
export function checkTimes({ notBefore, expires }: VerifiedToken, nowMs: number): void {
  const now = nowMs / 1000;
  if (now >= expires) throw unauthorized(`the token expired at ${isoTime(expires)}; ask for a new one`);
  if (now < notBefore - NOT_BEFORE_TOLERANCE_SECONDS) {
    throw unauthorized(`the token is not valid before ${isoTime(notBefore)}`);
  }
}

export function unauthorized(message: string): AtollError {
  return new AtollError('unauthorized', message);
}

async function verifiedPayload(token: string, verifyingKey: CryptoKey): Promise<Uint8Array> {
  try {
    return (await compactVerify(token, verifyingKey, { algorithms: [TOKEN_ALGORITHM] })).payload;
  } catch (error) {
    if (error instanceof errors.JWSSignatureVerificationFailed) {
      throw unauthorized('the token was not signed by this cluster');
    }
    if (error instanceof errors.JOSEAlgNotAllowed) throw unauthorized('a token is signed with EdDSA only');
    throw unauthorized('the token is no JWT, and not the one of ATOLL_TOKEN');
  }
}

/** Null if it is no JSON; the schema refuses that. */
function parsePayload(payload: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(payload));
  } catch {
    return null;
  }
}

function isoTime(seconds: number): string {
  // Beyond what a Date can hold, the number itself must do.
  return Math.abs(seconds) < 8.64e12 ? new Date(seconds * 1000).toISOString() : `${seconds} s`;
}
